"""Does an alert go from state to state as its twin says, over gaps, restarts and missing data?"""

import json
from urllib.parse import parse_qs

from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.relabel import RelabelRule
from ruler.alerts import Alert, Found, Key, State, Terms, ended, step
from ruler.notices import Telling, always, due
from ruler.state_text import alerts_text, read_state, write_state
from tests.reference.alerts import Now, life
from tests.reference.budget import examples

S = 10**9
KEY: Key = (("alertname", "A"), ("host", "a"))
Step = tuple[int, bool, bool, bool]  # seconds since the last, seen, partial, restart behind it

steps = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 5, 5, 60, 600, 1200]), st.booleans(), st.booleans(), st.booleans()
    ),
    max_size=40,
)


def shown(alert: Alert | None) -> Now:
    """As the twin tells it."""
    if alert is None:
        return Now("none")
    active, fired, resolved = (t // S for t in (alert.active_ns, alert.fired_ns, alert.resolved_ns))
    match alert.state:
        case State.PENDING:
            return Now("pending", active)
        case State.FIRING:
            return Now("firing", active, fired)
    return Now("over", active, fired, resolved)


def restarted(alerts: dict[Key, Alert]) -> dict[Key, Alert]:
    """What the catalog gives back."""
    rules, departed = read_state(write_state([alerts_text(("alert A", (), 0), alerts)], []))
    assert departed == []
    return rules.get(("alert A", (), 0), {})


@given(
    steps,
    st.sampled_from([0, 5, 15, 600]),
    st.sampled_from([0, 5, 20, 900]),
    st.sampled_from([0, 300, 3600]),
)
@example([(1, True, False, False), (1, False, False, False), (1, True, False, False)], 0, 0, 0)
@settings(max_examples=examples(400), deadline=None)
def test_an_alert_lives_as_its_twin(
    taken: list[Step], hold: int, keep: int, tolerance: int
) -> None:
    terms = Terms(for_ns=hold * S, keep_firing_for_ns=keep * S, tolerance_ns=tolerance * S)
    alerts: dict[Key, Alert] = {}
    sent: dict[Key, int] = {}
    history: list[tuple[int, bool, bool]] = []
    now, last, told = 1_700_000_000, 0, "over"
    for pause, seen, partial, restart in taken:
        now += pause
        history.append((now, seen, partial))
        found = {KEY: Found(float(now))} if seen else {}
        before = alerts
        alerts = step(alerts, found, terms, now * S, last * S, partial=partial)
        last = now
        truth = life(history, hold, keep, tolerance)
        assert shown(alerts.get(KEY)) == truth
        if seen:
            assert alerts[KEY].value == float(now)
        for notice in due(
            alerts, sent, Telling(resend_delay_ns=15 * S), always("x"), now * S, interval_ns=5 * S
        ):
            told = "over" if notice.is_over else "firing"
            assert truth.state == told, "a false resolve, or a false alarm"
            assert notice.ends_ns > now * S or notice.is_over
        was_firing = KEY in before and before[KEY].state is State.FIRING
        if was_firing and (seen or partial):
            assert alerts[KEY].state is State.FIRING, "a lost firing"
        if KEY in alerts and alerts[KEY].state is State.FIRING:
            assert told == "firing"
        if was_firing and alerts[KEY].state is State.INACTIVE:
            assert told == "over", "an end that is not told"
        if restart:
            alerts, sent = restarted(alerts), {}


def test_with_for_15_s_and_an_interval_of_5_s_it_fires_at_the_fourth_evaluation() -> None:
    terms = Terms(for_ns=15 * S, tolerance_ns=3600 * S)
    alerts: dict[Key, Alert] = {}
    states = []
    for k in range(5):
        alerts = step(alerts, {KEY: Found(1.0)}, terms, (100 + 5 * k) * S, 0)
        states.append(alerts[KEY].state.value)
    assert states == ["pending"] * 3 + ["firing"] * 2
    assert (alerts[KEY].active_ns, alerts[KEY].fired_ns) == (100 * S, 115 * S)


def test_a_clock_that_is_put_back_does_not_stop_for() -> None:
    terms = Terms(for_ns=10 * S, tolerance_ns=3600 * S)
    alerts = step({}, {KEY: Found(1.0)}, terms, 9000 * S, 0)
    alerts = step(alerts, {KEY: Found(1.0)}, terms, 100 * S, 9000 * S)
    alerts = step(alerts, {KEY: Found(1.0)}, terms, 110 * S, 100 * S)
    assert alerts[KEY].state is State.FIRING


def test_alerts_of_a_rule_that_is_gone_end_and_are_forgotten() -> None:
    alerts = step({}, {KEY: Found(1.0)}, Terms(tolerance_ns=S), 100 * S, 0)
    over = ended(alerts, 200 * S)
    assert over[KEY].resolved_ns == 200 * S
    assert ended(over, 200 * S + 15 * 60 * S) == over
    assert ended(over, 201 * S + 15 * 60 * S) == {}


def test_notices_as_recorded() -> None:
    """scenario.json: interval 5 s, resend_delay 15 s; true from 18 s until 58 s."""
    telling = Telling(
        resend_delay_ns=15 * S,
        external_url="http://grafana.test/base/",
        datasource_uid="u",
        external_labels={"cluster": "bench", "host": "never"},
    )
    alerts: dict[Key, Alert] = {}
    sent: dict[Key, int] = {}
    told = []
    for now in range(18, 104, 5):
        found = {KEY: Found(1.0)} if now < 58 else {}
        alerts = step(alerts, found, Terms(tolerance_ns=3600 * S), now * S, (now - 5) * S)
        for one in due(alerts, sent, telling, always('x > "1"'), now * S, interval_ns=5 * S):
            told.append((now, one.starts_ns // S, one.ends_ns // S))
            labels = {"alertname": "A", "cluster": "bench", "host": "a"}
            assert dict(one.labels) == labels
            assert one.url.startswith("http://grafana.test/base/explore?left=%7B%22queries%22")
            assert "%5Cu003e" in one.url
    assert told == [
        (18, 18, 78),
        (38, 18, 98),
        (58, 18, 58),
        (78, 18, 58),
        (98, 18, 58),
    ]


def test_relabelling_changes_what_is_told_and_keeps_back() -> None:
    rules = [
        {"source_labels": ["severity"], "target_label": "prio"},
        {"source_labels": ["host"], "regex": "b", "action": "drop"},
        {"regex": "severity", "action": "labeldrop"},
    ]
    telling = Telling(
        resend_delay_ns=15 * S,
        external_labels={"cluster": "bench"},
        relabel=[RelabelRule.model_validate(rule) for rule in rules],
    )
    found: dict[Key, Found] = {
        (("alertname", "A"), ("host", host), ("severity", "page")): Found(1.0) for host in "ab"
    }
    alerts = step({}, found, Terms(tolerance_ns=0), S, 0)
    sent: dict[Key, int] = {}
    told = due(alerts, sent, telling, always("x"), S, interval_ns=S)
    assert [dict(one.labels) for one in told] == [
        {"alertname": "A", "cluster": "bench", "host": "a", "prio": "page"}
    ]
    assert set(sent) == set(alerts), "what is kept back is not due again at once"


def test_a_state_is_json_that_holds_any_value() -> None:
    alert = Alert(
        labels=(("a", "\udc80"), ("b", "é")),
        annotations={"s": "x"},
        value=float("nan"),
        state=State.FIRING,
        active_ns=1,
    )
    text = alerts_text(("alert A", (("k", "v"),), 1), {alert.labels: alert})
    body = write_state([text, ""], [alert])
    json.loads(body)
    rules, departed = read_state(body)
    assert list(rules) == [("alert A", (("k", "v"),), 1)]
    assert repr(departed[0]) == repr(alert)


def test_a_link_to_the_page() -> None:
    for base in ("https://narfi.test/ui", "https://narfi.test/a/ui/"):
        telling = Telling(resend_delay_ns=S, external_url=base)
        found = telling.url_of('sum(rate({app="a&b"}[1m])) > 1')
        address, _, hash_ = found.partition("#")
        assert address.rstrip("/") == base.rstrip("/")
        page, _, parameters = hash_.partition("?")
        assert page == "/metrics"
        assert parse_qs(parameters) == {
            "q": ['sum(rate({app="a&b"}[1m])) > 1'],
            "from": ["now-6h"],
        }
