"""Are batches sent in order, again with growing pauses, and given up only when they must be?"""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from promtail_agent.client.batch import Batch, TenantStreams
from promtail_agent.client.batch_queue import MemoryQueue
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.sender import Sender
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import Mark, Position

HOST = "127.0.0.1"


def batch(number: int, *tenants: str) -> Batch:
    """A batch of one line for each tenant."""
    made = Batch(opened_at_s=0.0)
    for tenant in tenants or ("",):
        line = f"line {number}{tenant}".encode("utf-8", "replace")
        made.tenants[tenant] = TenantStreams({'{a="b"}': [(number, line, [])]}, 1, len(line))
    made.marks["/log"] = Mark(number, Position(path="/log", offset=number))
    return made


class Running:
    """A sender at work."""

    def __init__(self, config: dict[str, Any], jitter: Callable[[], float]) -> None:
        self.metrics, self.marks = AgentMetrics(), list[int]()
        client = ClientConfig.model_validate(config)
        self.sender = Sender(
            config=client,
            metrics=self.metrics,
            waiting=MemoryQueue(),
            deliver=self._deliver,
            jitter=jitter,
        )
        self.sender.start()

    def _deliver(self, marks: Any) -> None:
        self.marks.append(marks["/log"].order)

    def put(self, *batches: Batch) -> None:
        for one in batches:
            assert self.sender.put(one, threading.Event())


Send = Callable[..., Running]


@pytest.fixture
def send(server: Any) -> Iterator[Send]:
    """Starts senders to the recording server."""
    running: list[Running] = []

    def start(jitter: float = 0.0, **config: Any) -> Running:
        backoff = {"min_period": "40ms", "max_period": "300ms", **config.pop("backoff", {})}
        found = Running({"url": server.url, "backoff_config": backoff, **config}, lambda: jitter)
        running.append(found)
        return found

    yield start
    for one in running:
        one.sender.finish(0.1)


def test_pauses_double_up_to_the_most_with_jitter(
    server: Any, send: Send, eventually: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    for jitter, expected in ((1.0, [0.04, 0.08, 0.16, 0.3, 0.3]), (0.0, [0.02, 0.04, 0.08, 0.15])):
        caplog.clear()
        server.statuses = [503] * len(expected)
        with caplog.at_level(logging.WARNING):
            send(jitter).put(batch(1))
            eventually(lambda: server.lines() == ["line 1"])
        told = [float(s) for s in re.findall(r"in_s=([\d.]+)", caplog.text)]
        assert told == expected
        gaps = [b - a for a, b in zip(server.arrivals_s, server.arrivals_s[1:], strict=False)]
        assert all(gap >= pause for gap, pause in zip(gaps, expected, strict=False))
        server.entries.clear()
        server.arrivals_s.clear()


def test_retry_after_is_heeded_up_to_the_longest_pause(
    server: Any, send: Send, eventually: Callable[..., None]
) -> None:
    server.statuses, server.retry_after = [429], "1"
    send(backoff={"max_period": "400ms"}).put(batch(1))
    eventually(lambda: server.lines() == ["line 1"])
    assert server.arrivals_s[1] - server.arrivals_s[0] >= 0.4


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_later_batches_wait_for_the_one_that_is_retried(
    server: Any, send: Send, eventually: Callable[..., None], status: int
) -> None:
    server.statuses = [status, status]
    running = send()
    running.put(batch(1), batch(2), batch(3))
    eventually(lambda: len(running.marks) == 3)
    assert server.lines() == ["line 1", "line 2", "line 3"]
    assert running.marks == [1, 2, 3]
    eventually(lambda: running.metrics.batch_retries[HOST, ""] == 2)
    assert not running.metrics.dropped_entries


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_drops_its_tenant_only_and_is_counted(
    server: Any, send: Send, eventually: Callable[..., None], status: int
) -> None:
    server.statuses = [status]
    running = send()
    running.put(batch(1, "x", "y"), batch(2))
    eventually(lambda: running.marks == [1, 2])
    assert server.lines() == ["line 1y", "line 2"]
    assert dict(running.metrics.dropped_entries) == {(HOST, "x", "ingester_error"): 1}
    assert dict(running.metrics.dropped_bytes) == {(HOST, "x", "ingester_error"): len("line 1x")}


def test_rate_limited_batches_are_dropped_where_so_configured(
    server: Any, send: Send, eventually: Callable[..., None]
) -> None:
    server.statuses = [429]
    running = send(drop_rate_limited_batches=True)
    running.put(batch(1), batch(2))
    eventually(lambda: running.marks == [1, 2])
    assert server.lines() == ["line 2"]
    assert running.metrics.dropped("rate_limited") == 1


@pytest.mark.parametrize(
    ("statuses", "config", "told"),
    [
        ([400], {}, "refused by the server in part or as a whole, not sent again entries=1"),
        ([401], {}, "refused by the server, not sent again, its entries are lost entries=1"),
        (
            [429],
            {"drop_rate_limited_batches": True},
            "dropped as configured when the server limits the rate, its entries are lost entries=1",
        ),
        (
            [503, 429],
            {"backoff": {"max_retries": 2}},
            "not delivered in 2 attempts, given up entries=1",
        ),
    ],
)
def test_the_log_says_what_became_of_a_batch(
    server: Any,
    send: Send,
    eventually: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    statuses: list[int],
    config: dict[str, Any],
    told: str,
) -> None:
    server.statuses = list(statuses)
    with caplog.at_level(logging.WARNING):
        running = send(**config)
        running.put(batch(1), batch(2))
        eventually(lambda: running.marks == [1, 2])
    final = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(final) == 1
    assert final[0].startswith(f"final error sending batch, {told} status={statuses[-1]} ")
    retried = [r.getMessage() for r in caplog.records if "will retry" in r.getMessage()]
    assert len(retried) == len(statuses) - 1


def test_the_log_says_what_becomes_of_what_waits_at_the_end(
    server: Any, send: Send, caplog: pytest.LogCaptureFixture
) -> None:
    server.down = True
    running = send(timeout="1s")
    running.put(batch(1), batch(2))
    with caplog.at_level(logging.WARNING):
        running.sender.finish(0.3)
    assert (
        "lines of files are read again at the next start, what was received is lost" in caplog.text
    )
    caplog.clear()
    server.down = False
    running = send(timeout="1s")
    running.put(batch(3))
    with caplog.at_level(logging.WARNING):
        running.sender.finish(10)
    assert "stopped before" not in caplog.text


def test_each_tenant_has_its_own_request(
    server: Any, send: Send, eventually: Callable[..., None]
) -> None:
    running = send(headers={"X-Extra": "yes", "Content-Type": "text/evil"})
    running.put(batch(1, "a", "b", ""))
    eventually(lambda: running.marks == [1])
    assert server.tenants == {"a": 1, "b": 1, "": 1}
    assert {h["X-Extra"] for h in server.headers} == {"yes"}
    assert {h["Content-Type"] for h in server.headers} == {"application/x-protobuf"}
    assert "X-Scope-OrgID" not in server.headers[2]
    eventually(lambda: running.metrics.sent_entries[HOST] == 3)


def test_no_connection_is_retried(send: Send, eventually: Callable[..., None]) -> None:
    running = send(url="http://127.0.0.1:9/loki/api/v1/push")
    running.put(batch(1))
    eventually(lambda: running.metrics.batch_retries[HOST, ""] > 3)
    assert running.marks == []


def test_the_queue_is_bounded(server: Any, send: Send, eventually: Callable[..., None]) -> None:
    """While the server is away only a few batches are in memory; the reader waits."""
    server.down = True
    running = send()
    taken = 0

    def fill() -> None:
        nonlocal taken
        for number in range(50):
            running.put(batch(number))
            taken += 1

    thread = threading.Thread(target=fill)
    thread.start()
    eventually(lambda: running.metrics.batch_retries[HOST, ""] > 4)
    assert taken <= 6
    server.down = False
    thread.join(90)
    eventually(lambda: running.marks == list(range(50)))


def test_after_the_end_nothing_is_marked_that_was_not_delivered(server: Any, send: Send) -> None:
    server.down = True
    running = send(timeout="1s")
    running.put(batch(1))
    running.sender.finish(0.3)
    assert running.marks == []


@pytest.mark.parametrize("tenant", ["tenänt", "a\nb", "a\r\nX-Evil: 1", " a", "\udcff"])
def test_a_tenant_that_no_header_takes_is_dropped_and_blocks_nothing(
    server: Any, send: Send, eventually: Callable[..., None], tenant: str
) -> None:
    running = send()
    running.put(batch(1, "good"), batch(1, tenant), batch(2))
    eventually(lambda: running.metrics.dropped("ingester_error") == 1)
    eventually(lambda: server.lines() == ["line 1good", "line 2"])
    assert not any("X-Evil" in headers for headers in server.headers)
