"""Does every notice arrive, newest first of all, whatever the receiver answers?"""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from narfi.core.clock import SystemClock
from narfi.core.ruler_settings import AlertmanagerClientSettings, RulerSettings
from narfi.core.settings import SettingsError
from narfi.core.tenant import TenantId
from ruler.alertmanager import Receiver, Sender
from ruler.notices import Notice
from ruler.receivers import receivers_of
from ruler.waiting_notices import LAST_PAUSE_S, MAX_BATCH, WaitingNotices
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


class Waits:
    """Notices that wait, on a clock of its own."""

    def __init__(self, capacity: int = 1000) -> None:
        self.now_s = 0.0
        self.waiting = WaitingNotices(capacity, lambda: self.now_s)

    def take(self) -> tuple[str, list[Notice]]:
        """The next batch; there is one."""
        found = self.waiting.take()
        assert found is not None
        return found


def names(notices: list[Notice]) -> list[str]:
    """Of the alerts."""
    return [notice.labels[0][1] for notice in notices]


def test_batches_are_of_one_tenant_and_bounded_and_tenants_take_turns() -> None:
    one = Waits()
    assert one.waiting.offer(T, [notice(str(k)) for k in range(MAX_BATCH + 1)]) == 0
    one.waiting.offer(U, [notice("x")])
    tenant, first = one.take()
    assert (tenant, len(first)) == (T, MAX_BATCH)
    one.waiting.offer(T, [notice("0", is_over=True)])
    assert names(one.take()[1]) == ["x"]
    one.waiting.done(U)
    assert names(one.take()[1]) == [str(MAX_BATCH), "0"]
    one.waiting.done(T)
    assert len(one.waiting) == 0
    assert one.waiting.due_in_s() is None


def test_what_was_not_told_comes_first_again_unless_there_is_something_newer() -> None:
    one = Waits()
    one.waiting.offer(T, [notice("a"), notice("b")])
    _, batch = one.take()
    one.waiting.offer(T, [notice("c"), notice("a", is_over=True)])
    one.waiting.give_back(T, batch)
    assert one.waiting.take() is None, "it has a pause"
    one.now_s = 1.0
    _, again = one.take()
    assert [(n.labels[0][1], n.is_over) for n in again] == [
        ("b", False),
        ("c", False),
        ("a", True),
    ]


def test_a_tenant_that_is_refused_holds_up_no_other_and_its_pauses_grow() -> None:
    one, pauses = Waits(), []
    one.waiting.offer(T, [notice("a")])
    for k in range(9):
        tenant, batch = one.take()
        assert tenant == T
        one.waiting.give_back(T, batch)
        one.waiting.offer(U, [notice(str(k))])
        assert one.take()[0] == U, "at once"
        one.waiting.done(U)
        pause = one.waiting.due_in_s()
        assert pause is not None
        pauses.append(pause)
        one.now_s += pause
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert pauses[-1] == LAST_PAUSE_S
    one.take()
    one.waiting.done(T)
    one.waiting.offer(T, [notice("b")])
    assert names(one.take()[1]) == ["b"], "what is taken ends the pause"


def test_the_oldest_of_a_tenant_are_dropped_when_too_many_wait() -> None:
    one = Waits(2)
    one.waiting.offer(U, [notice("x")])
    assert one.waiting.offer(T, [notice("a"), notice("b")]) == 0
    assert one.waiting.offer(T, [notice("c")]) == 1
    assert [names(one.take()[1]) for _ in range(2)] == [["x"], ["b", "c"]]


def test_an_answer_without_an_end_holds_nobody(receiver: FakeAlertmanager) -> None:
    receiver.endless = 2
    mine = sender(receiver)
    mine.tell(T, [notice("a")])
    receiver.wait_for(1)
    mine.tell(T, [notice("b")])
    assert [a["labels"]["alertname"] for a in receiver.wait_for(2)] == ["a", "b"]
    mine.stop()


def test_a_receiver_that_hangs_keeps_no_server_that_stops() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        mine = Sender(Receiver(url=url, timeout_s=60), SystemClock())
        mine.start()
        mine.tell(T, [notice("a")])
        silent.accept()[0].recv(100)
        began = time.monotonic()
        mine.stop(0.2)
        assert time.monotonic() - began < 30


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
