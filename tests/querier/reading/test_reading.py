"""Does a request read once what it needs, and nothing that it has read before?"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from narfi.core.clock import ManualClock
from narfi.core.columns import Spans
from narfi.core.labels import Labels
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import QueryOptions
from querier.reading.duplicates import DuplicateIndex
from querier.reading.missing import nothing_missing
from querier.reading.reading import Reading
from querier.service import QueryService, TimeRange
from storage.batch import LogBatch
from storage.block.reader import open_block
from storage.cache import ByteCache
from storage.catalog.sql import SqlCatalog
from storage.lines.plain import PlainLines
from storage.memory_source import MemorySource
from storage.metadata import Metadata
from storage.objects.base import Allow, BadObjectError
from storage.scan import BlockProvider, Found, LogSource
from storage.sorting import build_table, merge_batches
from storage.store import BlockStore, StoreServices
from tests.storage.batches import Entry, batch_of
from tests.storage.blocks import MemoryObjects, stored

TENANT = TenantId("t")
EVERYTHING = (Matcher("app", MatchOp.RE, ".+"),)


class CountingObjects(MemoryObjects):
    """Counts what is read."""

    reads = 0

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.reads += 1
        return super().get(key)


class Fixed:
    """A provider of what is there at the moment; counts questions."""

    def __init__(self, sources: list[LogSource]) -> None:
        self.there, self.asked = sources, 0

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """Those that reach into the range."""
        self.asked += 1
        return [s for s in self.there if s.max_ts >= start_ns and s.min_ts < end_ns]

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """The same: nothing is damaged."""
        return Found(self.sources(tenant, start_ns, end_ns))

    def reading(self) -> AbstractContextManager[BlockProvider]:
        """Itself: nothing goes away."""
        return nullcontext(self)

    def judge(self, error: BadObjectError, *, again: bool, allow: Allow) -> None:
        """Nothing is damaged."""
        raise error


def run_of(entries: Sequence[Entry], name: str) -> MemorySource:
    """Entries in memory."""
    return MemorySource(merge_batches([batch_of(entries)]), name, name)


def wide_run(streams: int) -> LogBatch:
    """A run of two rows a stream, at 0 and at 10."""
    labels = [Labels.of({"app": f"a{n % 7}", "pod": f"{n:06d}"}) for n in range(streams)]
    labels.sort(key=lambda found: found.pairs)
    ts = np.tile(np.array([0, 10], np.int64), streams)
    lines = Spans.of([b"line"] * len(ts))
    bounds = np.arange(streams + 1, dtype=np.int64) * 2
    table = build_table(labels, ts, lines.length, bounds)
    stream = np.repeat(np.arange(streams, dtype=np.int32), 2)
    return LogBatch(
        table=table,
        stream=stream,
        ts=ts,
        rows=np.arange(len(ts)),
        lines=PlainLines(lines),
        metadata=Metadata(),
    )


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    """One thread."""
    found = LocalExecutor(1)
    yield found
    found.close()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    """An empty catalog."""
    found = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(1))
    yield found
    found.close()


def test_a_repeated_question_over_many_streams_reads_nothing(
    catalog: SqlCatalog, executor: LocalExecutor
) -> None:
    """Neither the streams of a block nor the order of its rows are too many to be remembered.

    The order takes half of the cache of columns here.
    """
    objects = CountingObjects()
    store = BlockStore(StoreServices(catalog, objects, ManualClock(1)), 3 << 20)
    store.publish([store.write(wide_run(100_000), TENANT, "cut")], [])
    service = QueryService(Engine(Fixed([]), store, executor), lambda _: Limits())
    where, options = (
        TimeRange((TENANT,), 0, 11),
        QueryOptions(tenants=(TENANT,), start_ns=0, end_ns=11, step_ns=1, limits=Limits()),
    )
    for ask in (
        lambda: service.query('sum by (app) (count_over_time({app=~".+"}[5s]))', options),
        lambda: service.query('{app="a1"}', options),
        lambda: service.label_names(where, "", Budget()),
        lambda: service.label_values(where, "app", "", Budget()),
    ):
        ask()
        before = objects.reads
        ask()
        assert objects.reads == before


def test_an_order_that_the_cache_does_not_take_is_read_once_by_its_block() -> None:
    row, written = stored(wide_run(50), 0)
    objects = CountingObjects()
    objects.content = written.content
    source = open_block(row, objects, ByteCache(0), ByteCache(0))
    assert source.order().nbytes > 0
    before = objects.reads
    source.order()
    source.times()
    assert objects.reads == before


def test_all_selectors_of_a_query_share_one_look_at_the_catalog(
    catalog: SqlCatalog, executor: LocalExecutor
) -> None:
    store = BlockStore(StoreServices(catalog, MemoryObjects(), ManualClock(1)), 1 << 20)
    store.publish([store.write(wide_run(3), TENANT, "cut")], [])
    engine = Engine(Fixed([]), store, executor)
    options = QueryOptions(tenants=(TENANT,), start_ns=0, end_ns=11, step_ns=1, limits=Limits())
    query = " / ".join(['sum(count_over_time({app=~".+"}[5s]))'] * 3)
    engine.run(query, options)
    asked: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    sa.event.listen(catalog.database.engine, "before_cursor_execute", note)
    engine.run(query, options)
    assert len(asked) == 1


def test_what_is_flushed_between_two_selectors_is_seen_once_by_both() -> None:
    entries: list[Entry] = [("a", 1, b"x", {})]
    heads, blocks = Fixed([run_of(entries, "cut")]), Fixed([])
    reading = Reading(
        heads=heads,
        blocks=blocks,
        duplicates=DuplicateIndex(),
        missing=nothing_missing,
        tenants=(TENANT,),
        budget=Budget(),
    )
    first = reading.view(EVERYTHING, (0, 10))
    blocks.there = [run_of(entries, "cut")]
    heads.there = []
    second = reading.view(EVERYTHING, (0, 20))
    for view in (first, second):
        assert [one.source.source_id for one in view.sources] == ["cut"]
    assert heads.asked == 1
    reading.view(EVERYTHING, (5, 15))
    assert blocks.asked == 2


def test_who_went_away_gets_no_labels(executor: LocalExecutor) -> None:
    blocks = Fixed([run_of([("a", 1, b"x", {})], "one")])
    service = QueryService(Engine(Fixed([]), blocks, executor), lambda _: Limits())
    gone, where = Budget(), TimeRange((TENANT,), 0, 10)
    gone.cancel()
    for ask in (
        lambda: service.label_names(where, "", gone),
        lambda: service.label_values(where, "app", "", gone),
        lambda: service.series(where, [EVERYTHING], gone),
    ):
        with pytest.raises(QueryCancelledError):
            ask()
