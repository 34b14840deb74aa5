"""Samples reach a receiver: once, in order, through outages, restarts and refusals."""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from narfi.core.clock import ManualClock, SystemClock
from narfi.core.relabel import RelabelRule
from narfi.core.ruler_settings import RemoteWriteSettings
from narfi.core.settings import SettingsError
from narfi.core.tenant import TenantId
from ruler.metrics import NEWEST, NEWEST_WRITTEN, WRITE_DROPPED, WRITE_FAILED, WRITTEN_BYTES
from ruler.remote_write import writer as writer_module
from ruler.remote_write.target import Target, targets_of
from ruler.remote_write.writer import Writer
from ruler.series import WrittenSample
from tests.ruler.remote_write.receiver import Receiver, metrics_receiver

A, B = TenantId("a"), TenantId("b/c")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with metrics_receiver() as found:
        yield found


@contextmanager
def writing(target: Target, folder: Path, clock: Any = None) -> Iterator[Writer]:
    """A writer that works."""
    writer = Writer(target, folder, clock or SystemClock())
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when it holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sample(name: str, value: float | None = 1.0) -> WrittenSample:
    return WrittenSample((("__name__", name),), value)


def quick(receiver: Receiver, **more: Any) -> Target:
    values = {"deadline_s": 0.0, "min_backoff_s": 0.02, "max_backoff_s": 0.1, **more}
    return Target(name="p", url=receiver.url, **values)


def test_values_and_ends_arrive_with_the_tenant(receiver: Receiver, tmp_path: Path) -> None:
    target = quick(receiver, headers={"X-More": "1"}, auth=lambda: ("me", "pw"))
    with writing(target, tmp_path) as writer:
        writer.write(A, [sample("x", 2.5), sample("y", None)], 1000)
        receiver.wait_for(2)
        writer.write(B, [sample("x")], 1001)
        receiver.wait_for(3)
    (_, name, ts, value), ended, other = receiver.values
    assert (name, ts, value) == ("x", 1000, 2.5)
    assert struct.pack("<d", ended[3])[-2:] == b"\xf0\x7f" or ended[3] != ended[3]
    assert other[0] == B
    headers = receiver.requests[0][1]
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["x-prometheus-remote-write-version"] == "0.1.0"
    assert (headers["x-more"], headers["authorization"]) == ("1", "Basic bWU6cHc=")
    assert "retry-attempt" not in headers


def test_an_outage_holds_the_order_and_loses_nothing(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers[A] = [(500, {})] * 4
    with writing(quick(receiver), tmp_path) as writer:
        for k in range(20):
            writer.write(A, [sample("x", float(k))], k)
        values = receiver.wait_for(20)
    assert [value for _, _, _, value in values] == [float(k) for k in range(20)]
    attempts = [headers.get("retry-attempt", "0") for _, headers in receiver.requests]
    assert attempts[:5] == ["0", "1", "2", "3", "4"]


def test_a_receiver_says_when_to_come_again(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers[A] = [(503, {"Retry-After": "1"})]
    with writing(quick(receiver), tmp_path) as writer:
        writer.write(A, [sample("x")], 1)
        receiver.wait_for(1)
    first, second = (at for at, _ in receiver.requests)
    assert second - first >= 0.95


def test_what_a_receiver_calls_wrong_is_given_up(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers[A] = [(400, {})]
    failed = WRITE_FAILED.labels(A, "p")._value
    before = failed.get()
    with writing(quick(receiver), tmp_path) as writer:
        writer.write(A, [sample("x"), sample("y")], 1)
        wait_until(lambda: failed.get() == before + 2)
        assert "400" in writer.last_error
        writer.write(A, [sample("z")], 2)
        assert [name for _, name, _, _ in receiver.wait_for(1)] == ["z"]
        wait_until(lambda: writer.last_error == "")


@pytest.mark.parametrize("again", [True, False])
def test_too_many(receiver: Receiver, tmp_path: Path, again: bool) -> None:
    receiver.answers[A] = [(429, {})]
    with writing(quick(receiver, retry_429=again), tmp_path) as writer:
        writer.write(A, [sample("x")], 1)
        with receiver.changed:
            assert receiver.changed.wait_for(lambda: receiver.requests, 60)
        wait_until(lambda: again or not writer.waiting)
        writer.write(A, [sample("y")], 2)
        names = [name for _, name, _, _ in receiver.wait_for(1 + again)]
    assert names == (["x", "y"] if again else ["y"])


def test_a_tenant_that_is_refused_holds_up_no_other(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers[A] = [(500, {})] * 1000
    with writing(quick(receiver), tmp_path) as writer:
        writer.write(A, [sample("x")], 1)
        for k in range(5):
            writer.write(B, [sample("y")], k)
        assert {tenant for tenant, *_ in receiver.wait_for(5)} == {B}


def test_what_waits_outlives_the_process(receiver: Receiver, tmp_path: Path) -> None:
    away = replace(quick(receiver), url="http://127.0.0.1:1/")
    with writing(away, tmp_path) as writer:
        writer.write(A, [sample("x", 1.0)], 1)
        writer.write(B, [sample("x", 2.0)], 2)
        assert writer.waiting == 2
    with writing(quick(receiver), tmp_path) as writer:
        writer.write(A, [sample("x", 3.0)], 3)
        values = receiver.wait_for(3)
    assert sorted(values) == [(A, "x", 1, 1.0), (A, "x", 3, 3.0), (B, "x", 2, 2.0)]


def test_few_samples_wait_for_more_and_many_do_not(receiver: Receiver, tmp_path: Path) -> None:
    with writing(quick(receiver, deadline_s=0.5, max_samples=4), tmp_path) as writer:
        began = time.monotonic()
        writer.write(A, [sample("x"), sample("y")], 1)
        writer.write(A, [sample("x")], 2)
        receiver.wait_for(3)
        assert receiver.requests[0][0] - began >= 0.4
        assert len(receiver.requests) == 1
    with writing(quick(receiver, deadline_s=1000.0, max_samples=4), tmp_path / "b") as writer:
        for k in range(4):
            writer.write(A, [sample("x"), sample("y")], k)
        receiver.wait_for(11)


def test_a_request_has_no_more_samples_than_it_may(receiver: Receiver, tmp_path: Path) -> None:
    with writing(quick(receiver, max_samples=4), tmp_path) as writer:
        writer.write(A, [sample(f"s{k}") for k in range(10)], 1)
        names = [name for _, name, _, _ in receiver.wait_for(10)]
    assert names == [f"s{k}" for k in range(10)]
    assert len(receiver.requests) == 3


def test_series_are_relabelled_and_dropped(receiver: Receiver, tmp_path: Path) -> None:
    rules = (
        RelabelRule(action="drop", source_labels=("__name__",), regex="secret.*"),
        RelabelRule(target_label="cluster", replacement="c1"),
    )
    with writing(quick(receiver, relabel=rules), tmp_path) as writer:
        writer.write(A, [sample("secret_1"), sample("x")], 1)
        assert [name for _, name, _, _ in receiver.wait_for(1)] == ["x/c1"]


def test_old_samples_are_given_up(receiver: Receiver, tmp_path: Path) -> None:
    clock = ManualClock(10**6 * 10**9)
    dropped = WRITE_DROPPED.labels(A, "p")._value
    before = dropped.get()
    with writing(quick(receiver, age_limit_s=60.0), tmp_path, clock) as writer:
        writer.write(A, [sample("old")], 10**9 - 61_000)
        writer.write(A, [sample("new")], 10**9 - 59_000)
        assert [name for _, name, _, _ in receiver.wait_for(1)] == ["new"]
    assert dropped.get() == before + 1


def test_some_tenants_only(receiver: Receiver, tmp_path: Path) -> None:
    with writing(quick(receiver, tenants=frozenset((B,))), tmp_path) as writer:
        writer.write(A, [sample("x")], 1)
        writer.write(B, [sample("y")], 1)
        assert [name for _, name, _, _ in receiver.wait_for(1)] == ["y"]
        wait_until(lambda: writer.waiting == 0)
        assert len(receiver.values) == 1


def test_settings_are_prometheus_keys() -> None:
    client = {
        "url": "http://me:pw@prometheus:9090/api/v1/write",
        "headers": {"X-A": "1", "x-scope-orgid": "other"},
        "queue_config": {"max_samples_per_send": 7, "min_backoff": "100ms", "capacity": 9},
        "write_relabel_configs": [{"action": "labeldrop", "regex": "host"}],
    }
    settings = RemoteWriteSettings.model_validate({"enabled": True, "clients": {"p": client}})
    (target,) = targets_of(settings)
    assert (target.name, target.url) == ("p", "http://prometheus:9090/api/v1/write")
    assert target.auth is not None
    assert target.auth() == ("me", "pw")
    assert target.headers == {"X-A": "1"}
    assert (target.max_samples, target.min_backoff_s) == (7, 0.1)
    assert targets_of(settings.model_copy(update={"enabled": False})) == []
    wrong = RemoteWriteSettings.model_validate(
        {"enabled": True, "clients": {"p": {"url": "prometheus:9090"}}}
    )
    with pytest.raises(SettingsError, match=r"clients\.p\.url: 'prometheus:9090' is no URL"):
        targets_of(wrong)


def test_all_queues_together_are_bounded(receiver: Receiver, tmp_path: Path) -> None:
    """The largest one loses its oldest; a tenant that has little waiting keeps all of it."""
    target = quick(receiver, deadline_s=1000.0, queue_bytes=4000, total_bytes=6000, max_samples=500)
    writer = Writer(target, tmp_path, SystemClock())
    dropped = WRITE_DROPPED.labels(A, "p")._value.get()
    kept = WRITE_DROPPED.labels(B, "p")._value.get()
    writer.write(B, [sample("small")], 1)
    for number in range(40):
        for tenant in (A, TenantId("c"), TenantId("d")):
            writer.write(tenant, [sample(f"n{number}{'x' * 50}")], number)
    files = [path.stat().st_size for path in tmp_path.glob("*/*.samples")]
    assert 3000 < sum(files) <= 6000
    assert WRITE_DROPPED.labels(A, "p")._value.get() > dropped
    assert WRITE_DROPPED.labels(B, "p")._value.get() == kept
    waiting = writer.waiting
    writer.stop()
    smaller = Writer(replace(target, total_bytes=2000, deadline_s=0.0), tmp_path, SystemClock())
    smaller.start()
    receiver.wait_for(1)
    wait_until(lambda: smaller.waiting == 0)
    smaller.stop()
    assert 0 < len(receiver.values) < waiting
    names = [name for tenant, name, _, _ in receiver.values if tenant == A]
    assert names == sorted(names, key=lambda name: int(name[1:].rstrip("x")))
    assert [name for tenant, name, _, _ in receiver.values if tenant == B] == ["small"]


def test_empty_queues_of_many_tenants_are_forgotten(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "KEPT_TENANTS", 2)
    with writing(quick(receiver), tmp_path) as writer:
        for round_ in range(2):
            for number in range(6):
                writer.write(TenantId(f"t{number}"), [sample("x")], round_)
            receiver.wait_for(6 * (round_ + 1))
            wait_until(lambda: writer.waiting == 0)
        assert len(writer._tenants) <= 3
    assert sorted((tenant, ts) for tenant, _, ts, _ in receiver.values) == [
        (f"t{number}", round_) for number in range(6) for round_ in range(2)
    ]


def test_the_lag_of_a_receiver_is_measured(receiver: Receiver, tmp_path: Path) -> None:
    mine = TenantId("lag"), "p"
    receiver.answers["lag"] = [(503, {})] * 10**6
    with writing(quick(receiver), tmp_path) as writer:
        writer.write(mine[0], [sample("x")], 5_000)
        wait_until(lambda: len(receiver.requests) > 1)
        metrics = NEWEST, NEWEST_WRITTEN, WRITTEN_BYTES
        newest, written, size = (metric.labels(*mine)._value for metric in metrics)
        assert (newest.get(), written.get(), size.get()) == (5.0, 0.0, 0.0)
        receiver.answers.clear()
        wait_until(lambda: written.get() == 5.0)
        assert size.get() > 0
