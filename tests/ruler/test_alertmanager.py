"""Does every notice arrive, newest first of all, whatever the receiver answers?"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from narfi.core.clock import SystemClock
from narfi.core.ruler_settings import AlertmanagerClientSettings, RulerSettings
from narfi.core.settings import SettingsError
from narfi.core.tenant import TenantId
from ruler.alertmanager import MAX_BATCH, Receiver, Sender, WaitingNotices
from ruler.notices import Notice
from ruler.receivers import receivers_of
from tests.ruler.receiver import FakeAlertmanager, fake_alertmanager

T, U = TenantId("t"), TenantId("u")
NOW = SystemClock().now_ns()
HOUR = 3600 * 10**9


def notice(name: str, *, is_over: bool = False) -> Notice:
    """One that is valid for an hour."""
    return Notice(
        labels=(("alertname", name),),
        annotations={},
        starts_ns=NOW - HOUR,
        ends_ns=NOW - 1 if is_over else NOW + HOUR,
        url="http://g/explore",
        is_over=is_over,
    )


@pytest.fixture
def receiver() -> Iterator[FakeAlertmanager]:
    with fake_alertmanager() as found:
        yield found


def sender(receiver: FakeAlertmanager, **more: str) -> Sender:
    """One that was started."""
    settings = RulerSettings(
        external_labels={},
        alertmanager_url=(receiver.url,),
        alertmanager_client=AlertmanagerClientSettings(**more),  # type: ignore[arg-type]
    )
    found = Sender(receivers_of(settings)[0], SystemClock())
    found.start()
    return found


def test_what_fails_is_told_again_and_only_as_it_is_now(receiver: FakeAlertmanager) -> None:
    receiver.answers = [500, 503, 429]
    mine = sender(receiver)
    mine.tell(T, [notice("a"), notice("b")])
    with receiver.changed:
        assert receiver.changed.wait_for(lambda: len(receiver.headers) == 1, 60)
    mine.tell(T, [notice("a", is_over=True)])
    told = receiver.wait_for(2)
    mine.stop()
    assert receiver.wrong == []
    assert len(receiver.headers) == 4
    ends = {alert["labels"]["alertname"]: alert["endsAt"] for alert in told}
    assert sorted(ends) == ["a", "b"]
    assert ends["a"] < ends["b"], "the late notice that it fires was not told"


def test_what_the_receiver_calls_wrong_is_given_up(receiver: FakeAlertmanager) -> None:
    receiver.answers = [400]
    mine = sender(receiver)
    mine.tell(T, [notice("a")])
    with receiver.changed:
        assert receiver.changed.wait_for(lambda: len(receiver.headers) == 1, 60)
    mine.tell(T, [notice("b")])
    assert [a["labels"]["alertname"] for a in receiver.wait_for(1)] == ["b"]
    mine.stop()


def test_a_notice_that_ran_out_is_not_told(receiver: FakeAlertmanager) -> None:
    mine = sender(receiver)
    mine.tell(T, [replace(notice("old"), ends_ns=NOW - 1), notice("new")])
    assert [a["labels"]["alertname"] for a in receiver.wait_for(1)] == ["new"]
    mine.stop()


def test_headers(receiver: FakeAlertmanager) -> None:
    mine = sender(receiver, basic_auth_username="me", basic_auth_password="pass")
    mine.tell(T, [notice("a")])
    receiver.wait_for(1)
    mine.stop()
    assert receiver.headers[0]["x-scope-orgid"] == "t"
    assert receiver.headers[0]["authorization"] == "Basic bWU6cGFzcw=="
    other = sender(receiver, credentials="secret")
    other.tell(T, [notice("a")])
    receiver.wait_for(2)
    other.stop()
    assert receiver.headers[1]["authorization"] == "Bearer secret"


def test_batches_are_of_one_tenant_and_bounded() -> None:
    waiting = WaitingNotices(1000)
    assert waiting.offer(T, [notice(str(k)) for k in range(MAX_BATCH + 1)]) == []
    waiting.offer(U, [notice("x")])
    tenant, first = waiting.take()
    assert (tenant, len(first)) == (T, MAX_BATCH)
    waiting.offer(T, [notice("0", is_over=True)])
    waiting.give_back(T, first)
    _, again = waiting.take()
    assert [n.labels for n in again[: MAX_BATCH - 1]] == [n.labels for n in first[1:]]
    left = [waiting.take() for _ in range(2)]
    over = [n.is_over for tenant, some in left if tenant == T for n in some]
    assert sorted(over) == [False, True] or over == [True]
    assert not len(waiting)


def test_the_oldest_are_dropped_when_too_many_wait() -> None:
    waiting = WaitingNotices(2)
    assert waiting.offer(T, [notice("a"), notice("b")]) == []
    assert waiting.offer(U, [notice("c")]) == [T]
    assert [n.labels[0][1] for n in waiting.take()[1]] == ["b"]


def test_settings_of_receivers() -> None:
    settings = RulerSettings.model_validate(
        {"alertmanager_url": "http://a:9093/am/, https://u:p%40@b"}
    )
    first, second = receivers_of(settings)
    assert (first.url, first.auth) == ("http://a:9093/am", None)
    assert (second.url, second.auth) == ("https://b", ("u", "p@"))
    for wrong in ({"alertmanager_url": "a:9093"}, {"alertmanager_client": {"tls_ca_path": "/no"}}):
        with pytest.raises(SettingsError, match=r"ruler\.alertmanager"):
            receivers_of(RulerSettings.model_validate(wrong))
    assert isinstance(first, Receiver)
