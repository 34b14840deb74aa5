"""What happens to entries that a client does not take?"""

import pytest

from logql import ast
from logql.parser import parse
from narfi.core.grant import ALL_STREAMS
from narfi.core.tenant import TenantId
from querier.logs import tail
from querier.logs.tail import Tailer, TailHub, TooManyTailsError
from tests.storage.batches import batch_of

TENANT = TenantId("t")


def tailer_of(text: str, delay_ns: int = 0) -> Tailer:
    """A follower of a query."""
    query = parse(text)
    assert isinstance(query, ast.LogQuery)
    return Tailer(query=query, categorized=False, streams=ALL_STREAMS, delay_ns=delay_ns)


def test_a_full_queue_drops_the_oldest_and_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_WAITING_BYTES", 10)
    tailer = tailer_of('{app="a"}')
    for k in range(4):
        tailer.offer(batch_of([("a", k, b"12345", {}), ("b", k, b"", {})]))
    drained = tailer.drain()
    assert [s.entries[0].ts_ns for s in drained.streams] == [2, 3]
    assert [ts for ts, _ in drained.dropped] == [0, 1]
    assert tailer.drain() == tail.Drained((), ())


def test_only_the_tenants_followers_are_told() -> None:
    hub, mine, other = TailHub(), tailer_of('{app="a"}'), tailer_of('{app="a"}')
    hub.open(TENANT, mine, 1)
    hub.open(TenantId("other"), other, 1)
    with pytest.raises(TooManyTailsError):
        hub.open(TENANT, tailer_of('{app="a"}'), 1)
    hub.offer(TENANT, batch_of([("a", 1, b"x", {})]))
    assert len(mine.drain().streams) == 1
    assert not other.drain().streams
    hub.close(TENANT, mine)
    hub.offer(TENANT, batch_of([("a", 1, b"x", {})]))
    assert not mine.drain().streams


def test_followed_stages_act_in_their_order() -> None:
    lines = [b"env=prod", b"env=preprod", b"env=nonprod", b"env=production", b"env=\x1b[1mprod"]
    for stages, expected in [
        ('| logfmt | env=~"prod|preprod"', lines[:2]),
        ('| logfmt | label_format env="{{.env | upper}}" | env="PROD"', lines[:1]),
        ('| decolorize |= "env=prod"', [lines[0], lines[3], b"env=prod"]),
    ]:
        tailer = tailer_of('{app="a"} ' + stages)
        tailer.offer(batch_of([("a", k, line, {}) for k, line in enumerate(lines)]))
        assert [s.entries[0].line for s in tailer.drain().streams] == expected


S = 10**9


def test_with_a_delay_late_entries_come_in_their_order() -> None:
    tailer = tailer_of('{app="a"}', delay_ns=2 * S)

    def came(now_s: float) -> list[int]:
        drained = tailer.drain(int(now_s * S))
        return [stream.entries[0].ts_ns // S for stream in drained.streams]

    tailer.offer(batch_of([("a", 100 * S, b"x", {}), ("a", 103 * S, b"x", {})]))
    assert came(100.5) == []
    tailer.offer(batch_of([("a", 99 * S, b"late", {})]))
    assert came(101.5) == [99]
    tailer.offer(batch_of([("a", 98 * S, b"very late", {}), ("a", 500 * S, b"future", {})]))
    assert came(102) == [98, 100]
    assert came(103.9) == [103]
    assert came(104) == [500], "as long as the others from when it was seen"


def test_what_is_held_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_WAITING_BYTES", 10)
    tailer = tailer_of('{app="a"}', delay_ns=2 * S)
    for k in range(4):
        tailer.offer(batch_of([("a", k * S, b"12345", {})]))
        assert tailer.drain(S).streams == ()
    drained = tailer.drain(10 * S)
    assert [s.entries[0].ts_ns // S for s in drained.streams] == [2, 3]
    assert drained.lost == 0, "it was told before"
