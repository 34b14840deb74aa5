"""How many streams, and how fast may one grow? By hand, from ingest-rules.md §2 and §5.2."""

import pytest

from ingester.stream_limits import ACTIVE_NS, StreamLimits, shown_size
from narfi.core.limits import Limits
from tests.ingester.pushed import NOW, TENANT, Entry, S, accepted, lines, pushed

MANY = Limits(max_global_streams_per_user=2, per_stream_rate_limit=0)
SLOW = Limits(
    max_global_streams_per_user=0, per_stream_rate_limit=1024, per_stream_rate_limit_burst=2048
)


def judged(
    streams: StreamLimits, push: dict[str, list[Entry]], limits: Limits, now: int = NOW
) -> tuple[list[bool], str | None]:
    """(which entries are refused, what is told)."""
    found, error = streams.check(TENANT, accepted(pushed(push), limits), limits, now)
    return found.tolist(), None if error is None else error.message


def app(number: int) -> str:
    """A label text."""
    return f'{{app="{number}"}}'


def test_new_streams_are_refused_when_there_are_enough() -> None:
    streams = StreamLimits()
    push = {app(k): lines(b"x") for k in range(3)}
    refused, told = judged(streams, push, MANY)
    assert refused == [False, False, True]
    assert told is not None
    assert 'when trying to create stream {app="2", service_name="2"}, reduce' in told
    assert judged(streams, {app(1): lines(b"y")}, MANY)[0] == [False], "it is known"


def test_streams_that_are_idle_make_room() -> None:
    streams = StreamLimits()
    judged(streams, {app(0): lines(b"x"), app(1): lines(b"x")}, MANY)
    later = NOW + ACTIVE_NS + 1
    assert judged(streams, {app(2): lines(b"x")}, MANY, later)[0] == [False]


def test_entries_of_a_stream_are_taken_together() -> None:
    streams = StreamLimits()
    line = b"x" * 1024
    assert judged(streams, {app(0): lines(line, line)}, SLOW)[0] == [False, False]
    refused, told = judged(streams, {app(0): lines(line), app(1): lines(b"y")}, SLOW)
    assert refused == [True, False]
    assert told is not None
    assert "Per stream rate limit exceeded (limit: 1KB/sec) while attempting to ingest" in told
    assert judged(streams, {app(0): lines(line)}, SLOW, NOW + S)[0] == [False], "it fills"


def test_idle_tenants_are_forgotten() -> None:
    streams = StreamLimits()
    judged(streams, {app(0): lines(b"x")}, MANY)
    assert streams.sweep(NOW + ACTIVE_NS) == 0
    assert streams.sweep(NOW + ACTIVE_NS + 1) == 1
    assert len(streams) == 0


@pytest.mark.parametrize(
    ("size", "text"), [(3 << 20, "3MB"), (2048, "2KB"), (1000, "1000B"), (0, "0B"), (1025, "1025B")]
)
def test_sizes_are_shown_in_the_largest_unit(size: int, text: str) -> None:
    assert shown_size(size) == text
