"""What becomes of alerts when rules change, the catalog fails, data or slots are missed?"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ruler.alerts import Alert, Key, State
from ruler.group import Rule
from ruler.live_group import Outlets
from ruler.metrics import MISSED
from ruler.schedule import Scheduler, slot_after
from ruler.state_text import RuleKey, alerts_text
from storage.catalog.base import CatalogError
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import StateRow
from tests.ruler.world import S, T, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


RULE = Rule(alert="A", expr="vector(1)")


def test_a_rule_that_changes_its_labels_ends_its_alerts(world: World) -> None:
    world.put(RULE)
    assert world.evaluate() == [("A/a", False)]
    world.put(replace(RULE, expr="vector(2)", for_ns=3600 * S))
    assert world.evaluate() == [], "another query and `for`: the alert goes on"
    world.put(replace(RULE, labels={"z": "page"}))
    assert world.evaluate() == [("A/a", True), ("A/a/page", False)]


def test_a_rule_that_comes_back_within_the_repetitions(world: World) -> None:
    world.put(RULE, Rule(alert="B", expr="vector(1)"))
    assert world.evaluate() == [("A/a", False), ("B/a", False)]
    world.put(Rule(alert="B", expr="vector(1)"))
    assert world.evaluate(30) == [("A/a", True)]
    assert world.evaluate(91) == [("A/a", True), ("B/a", False)]
    world.put(RULE, Rule(alert="B", expr="vector(1)"))
    world.evaluate(30)
    assert world.evaluate(91) == [("A/a", False), ("B/a", False)], "no end beside the new alert"


def test_a_group_that_is_gone_is_told_to_be_over_after_a_restart_too(world: World) -> None:
    world.put(RULE)
    world.evaluate()
    world.store.remove(GroupKey(T, "ns", "g"))
    world.begin()
    assert world.evaluate() == [("A/a", True)]
    for _ in range(12):
        world.evaluate(100)
    world.look()
    assert world.groups == {}
    assert world.store.states() == []


def test_an_outage_of_the_catalog_holds_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(RULE)
    world.look()

    def fails(_: StateRow, _holder: str = "") -> None:
        raise CatalogError("no")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "save_state", fails)
        assert world.evaluate() == [("A/a", False)]
    assert world.store.states() == []
    world.evaluate()
    (state,) = world.store.states()
    assert '"firing"' in state.body, "it is written as soon as that works"


def test_missing_data_holds_what_is_not_seen(world: World) -> None:
    world.put(RULE)
    world.evaluate()
    world.answers.hosts, world.answers.warnings = ("b",), ("entries are missing",)
    world.evaluate()
    (group,) = world.groups.values()
    states = {dict(a.labels)["host"]: a.state for a in group.rules[0].view.alerts}
    assert states == {"a": State.FIRING, "b": State.FIRING}
    assert group.rules[0].view.last_error == "evaluated over incomplete data: entries are missing"
    world.answers.warnings = ()
    assert ("A/a", True) in world.evaluate()


def test_too_many_alerts_are_an_error_and_keep_those_that_fire(world: World) -> None:
    world.put(RULE, limit=1)
    world.evaluate()
    world.answers.hosts = ("a", "b")
    world.evaluate()
    (group,) = world.groups.values()
    view = group.rules[0].view
    assert (view.health, view.last_error) == ("err", "exceeded limit of 1 with 2 alerts")
    assert [alert.state for alert in view.alerts] == [State.FIRING]


def test_query_offset_and_labels_of_the_group(world: World) -> None:
    rule = Rule(alert="A", expr="vector(1)", labels={"y": "own"})
    world.put(rule, query_offset_ns=30 * S, labels={"x": "1", "y": "2"})
    assert world.evaluate() == [("A/a/1/own", False)]
    assert world.answers.asked == [("vector(1.000000)", world.clock.now_ns() // S - 30)]


def test_an_unchanged_state_is_written_from_time_to_time_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.put(RULE)
    world.look()
    writes: list[int] = []
    save = world.store.save_state

    def counted(row: StateRow, holder: str = "") -> None:
        writes.append(row.slot_ns)
        save(row, holder)

    monkeypatch.setattr(world.store, "save_state", counted)
    for _ in range(11):
        world.evaluate()
    assert len(writes) == 3, "at first, and each five minutes"


def test_slots_are_spread_and_the_same_over_restarts() -> None:
    keys = [GroupKey(T, "ns", str(k)) for k in range(200)]
    now = 1_700_000_000 * S
    slots = [slot_after(key, 60 * S, now) for key in keys]
    assert all(now < slot <= now + 60 * S for slot in slots)
    assert len({slot // (6 * S) for slot in slots}) >= 10
    again = [slot_after(key, 60 * S, slot) for key, slot in zip(keys, slots, strict=True)]
    assert again == [slot + 60 * S for slot in slots]


def test_every_slot_is_evaluated_once_or_missed_and_counted(world: World) -> None:
    world.put(RULE, interval_ns=S)
    world.put(replace(RULE, alert="B"), name="h", interval_ns=S)
    scheduler = Scheduler(
        means=world.means,
        pool=world.pool,
        refresh=world.loader.refresh,
        outlets=Outlets(world.tell, world.write),
        poll_ns=60 * S,
    )
    scheduler.look()

    def evaluated(count: int) -> list[int]:
        wait_until_idle(scheduler)
        assert len(world.answers.asked) == count
        return [group.last_ns // S for group in scheduler.groups()]

    missed = MISSED.labels("t", "ns;g")
    world.clock.advance(S)
    scheduler.begin_due()
    first = evaluated(2)
    scheduler.begin_due()
    world.clock.advance(5 * S)
    scheduler.begin_due()
    assert evaluated(4) == [slot + 5 for slot in first], "the newest slot, once"
    assert missed._value.get() == 4
    world.clock.advance(-1000 * S)
    scheduler.begin_due()
    world.clock.advance(S)
    scheduler.begin_due()
    evaluated(6)
    world.pool.close()


def wait_until_idle(scheduler: Scheduler) -> None:
    """No group is being evaluated."""
    deadline = time.monotonic() + 60
    while any(planned.is_busy for planned in scheduler._planned.values()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


RECORD = Rule(record="app:lines", expr="vector(1)", labels={"team": "shop"})


def test_a_series_that_is_gone_has_ended(world: World) -> None:
    world.put(RECORD, query_offset_ns=30 * S)
    world.answers.hosts = ("a", "b")
    world.evaluate()
    name = "app:lines"
    assert world.written == [
        (f"{name}/host=a/team=shop", 1.0),
        (f"{name}/host=b/team=shop", 1.0),
    ]
    assert world.written_at == world.clock.now_ns() - 30 * S, "the time that was asked for"
    world.answers.hosts = ("a",)
    world.evaluate()
    assert world.written == [(f"{name}/host=a/team=shop", 1.0), (f"{name}/host=b/team=shop", None)]
    world.evaluate()
    assert world.written == [(f"{name}/host=a/team=shop", 1.0)], "it is told once"


def test_a_failed_evaluation_ends_no_series(world: World) -> None:
    world.put(RECORD, limit=1)
    world.evaluate()
    world.answers.hosts = ("a", "b")
    world.evaluate()
    assert world.written == []
    world.answers.hosts = ("b",)
    world.evaluate()
    assert world.written == [
        ("app:lines/host=b/team=shop", 1.0),
        ("app:lines/host=a/team=shop", None),
    ]


def test_series_of_rules_that_are_gone_end_unless_another_rule_writes_them(world: World) -> None:
    other = Rule(record="other", expr="vector(1)")
    world.put(RECORD, other, replace(RECORD, labels={"team": "pay"}))
    world.evaluate()
    assert len(world.written) == 3
    world.put(other, replace(RECORD, expr="vector(2)", labels={"team": "shop", "x": ""}))
    world.evaluate()
    assert sorted(world.written, key=str) == [
        ("app:lines/host=a/team=pay", None),
        ("app:lines/host=a/team=shop", 1.0),
        ("other/host=a", 1.0),
    ]
    world.store.remove(GroupKey(T, "ns", "g"))
    world.evaluate()
    assert sorted(world.written, key=str) == [
        ("app:lines/host=a/team=shop", None),
        ("other/host=a", None),
    ]


def test_alerts_are_written_with_their_state(world: World) -> None:
    world.put(replace(RULE, for_ns=90 * S))
    world.evaluate()
    since = float(world.clock.now_ns() // S)
    waiting = "ALERTS/alertstate=pending/host=a"
    assert world.written == [(waiting, 1.0), ("ALERTS_FOR_STATE/host=a", since)]
    world.evaluate()
    world.evaluate()
    assert world.written == [
        ("ALERTS/alertstate=firing/host=a", 1.0),
        ("ALERTS_FOR_STATE/host=a", since),
        (waiting, None),
    ]
    world.answers.hosts = ()
    world.evaluate()
    assert sorted(world.written, key=str) == [
        ("ALERTS/alertstate=firing/host=a", None),
        ("ALERTS_FOR_STATE/host=a", None),
    ]


def test_of_many_rules_only_those_that_changed_are_written_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []

    def counted(key: RuleKey, alerts: Mapping[Key, Alert]) -> str:
        written.append(key[0])
        return alerts_text(key, alerts)

    monkeypatch.setattr("ruler.live_rule.alerts_text", counted)
    names = [f"A{k}" for k in range(30)]
    world.put(*(Rule(alert=name, expr="vector(1)", for_ns=90 * S) for name in names))
    world.evaluate()
    assert len(written) <= 2 * len(names), "each once with and once without its alerts"
    written.clear()
    world.evaluate()
    assert written == [], "nothing has changed"
    world.evaluate()
    assert sorted(written) == sorted(f"alert {name}" for name in names), "all fire now"
    world.begin()
    world.answers.hosts = ()
    assert len(world.evaluate()) == len(names), "all were remembered to fire"


def test_texts_of_alerts_are_bounded_and_what_fires_goes_on(world: World) -> None:
    long = "{{ range $n := 100000 }}0123456789{{ end }}"
    rule = Rule(alert="A", expr="vector(1)", annotations={"a": "short"})
    world.put(rule, Rule(alert="B", expr="vector(1)"))
    assert world.evaluate() == [("A/a", False), ("B/a", False)]
    world.answers.hosts = ("a", "b", "c", "d", "e")
    world.put(replace(rule, annotations={"a": long}), Rule(alert="B", expr="vector(1)"))
    told = world.evaluate()
    assert [alert for alert in told if alert[0] == "A/b"] == []
    (group,) = world.groups.values()
    wrong, right = (one.view for one in group.rules)
    assert "more than 4194304 characters" in wrong.last_error
    assert [alert.state for alert in wrong.alerts] == [State.FIRING]
    assert (right.health, len(right.alerts)) == ("ok", 5)


def test_expressions_are_not_read_while_groups_are_exchanged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread does that for all tenants, and so many rules of one as it likes would stop it."""

    def reads(_expr: str) -> str:
        raise AssertionError("read too early")

    monkeypatch.setattr("ruler.live_rule.canonical", reads)
    world.put(*(Rule(alert=f"A{k}", expr="vector(1)") for k in range(3)))
    world.look()
    (group,) = world.groups.values()
    assert len(group.rules) == 3


def test_alerts_of_a_rule_that_is_gone_keep_their_link(world: World) -> None:
    world.put(RULE, Rule(alert="B", expr="vector(2)"))
    world.evaluate()
    before = dict(world.links)
    assert before["A/a"] != before["B/a"]
    world.put(RULE, name="other")
    world.store.remove(GroupKey(T, "ns", "g"))
    world.links.clear()
    assert ("B/a", True) in world.evaluate()
    assert world.links["B/a"] == before["B/a"], "what it asked, not nothing"
