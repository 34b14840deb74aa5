"""How is a log query answered? Find the newest (or oldest) `limit` rows, then decode only those.

First pass: the shortest prefix of the pipeline that can drop rows, with only the labels that its
filters read, over segments in time order, until no segment can hold a better row. Second pass: the
whole pipeline over the chosen rows. Invariant: the answer equals that of the whole pipeline over
everything, sorted and cut (reference/logql.md §13).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from logql.ast import LogQuery
from logql.format import format_query, format_stage
from narfi.core.columns import I32, I64
from querier.executors.local import LocalExecutor
from querier.logs.streams import StreamsBuilder
from querier.operators.base import Demand
from querier.operators.frame import Frame
from querier.operators.pipeline import Pipeline, build_pipeline, split_for_limit
from querier.plan.explain import read_of
from querier.plan.slices import Slices
from querier.plan.tasks import (
    ScanTask,
    batches_of,
    line_bytes,
    plan_tasks,
    stream_ids,
    streams_of,
)
from querier.query import Direction, QueryOptions
from querier.reading.view import SourceView, View
from querier.result import Phase, QueryStats, Read, StreamsResult
from querier.rules import Rule
from storage.scan import Columns, ScanRequest
from storage.stream_labels import U64

FETCH_BYTES = 8 << 20
"""Lines of an answer that are read at once, about."""

CANDIDATE_BYTES = 64
"""Of a row that may be in the answer, while all are sorted."""

MOST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may be in the answer: where they lie and what orders them."""

    ts: I64
    stream: U64  # fingerprint
    source: I32  # order of the source in the view
    row: I64

    def take(self, index: NDArray[np.integer]) -> "Candidates":
        """The given candidates."""
        return Candidates(self.ts[index], self.stream[index], self.source[index], self.row[index])


@dataclass(frozen=True, slots=True)
class _Found:
    candidates: Candidates
    stats: QueryStats


class LogSearch:
    """One log query over one view."""

    def __init__(
        self,
        query: LogQuery,
        view: View,
        options: QueryOptions,
        executor: LocalExecutor,
    ) -> None:
        self._query, self._view, self._options = query, view, options
        self._executor = executor
        self._backward = options.direction is Direction.BACKWARD
        self._search: Pipeline = split_for_limit(query.stages, options.rules)
        self._whole: Pipeline = build_pipeline(query.stages, Demand(), options.rules)

    def run(self, stats: QueryStats) -> StreamsResult:
        """The answer; `stats` is added to."""
        if self._search.reads is not None:  # it shows fewer labels than the whole pipeline
            stats.rules.add(Rule.SEARCH_PREFIX)
        chosen = self._choose(stats)
        with stats.timed(Phase.FETCH):
            return self._fetch(chosen, stats)

    def explain(self, stats: QueryStats) -> Read:
        """How it was read, behind `run`."""
        stages = tuple(map(format_stage, self._search.stages))
        fetch_stages = tuple(map(format_stage, self._whole.stages))
        return read_of(format_query(self._query), stages, fetch_stages, self._view, stats)

    def _fetch(self, chosen: Candidates, stats: QueryStats) -> StreamsResult:
        """The chosen rows, put through the whole pipeline."""
        builder = StreamsBuilder(
            categorized=self._options.categorize_labels,
            backward=self._backward,
            account=self._options.budget.account(),  # open until the answer is sent
        )
        position = np.arange(len(chosen.ts))
        for order, source in enumerate(self._view.sources):
            mine = np.flatnonzero(chosen.source == order)
            if not len(mine):
                continue
            ascending = mine[np.argsort(chosen.row[mine], kind="stable")]
            for some in _by_size(source, chosen.row[ascending]):
                mine_now = ascending[some]
                self._add(builder, source, chosen.row[mine_now], position[mine_now], stats)
        result = builder.build()
        stats.entries_returned += builder.entries
        stats.bytes_returned += builder.bytes
        return result

    def _add(
        self,
        builder: StreamsBuilder,
        source: SourceView,
        rows: I64,
        places: NDArray[np.integer],
        stats: QueryStats,
    ) -> None:
        """Read some of the chosen rows whole."""
        budget = self._options.budget
        budget.check()
        batch = source.source.fetch(rows, Columns(), stats.reading)
        stats.lines_fetched += len(batch)
        stats.bytes_fetched += 0 if batch.lines is None else batch.lines.nbytes()
        where = dict(zip(batch.rows.tolist(), places.tolist(), strict=True))
        for frame in Slices(self._whole, budget).of(batch):
            builder.add(frame, [where[row] for row in frame.rows.tolist()])

    def _choose(self, stats: QueryStats) -> Candidates:
        """The rows of the answer in the order of the answer."""
        options = self._options
        names = self._search.metadata_names
        columns = Columns(lines=self._search.needs_lines, metadata=True if names is None else names)
        times = search_range(options)
        ends = Rule.STREAM_ENDS in options.rules and not self._search.operators
        if ends and not options.interval_ns:
            with stats.timed(Phase.SCAN):
                return self._edges(times, stats)
        with stats.timed(Phase.PLAN):
            tasks = plan_tasks(self._view, times, self._search, columns, stats, whole=False)
            options.budget.read(line_bytes(tasks))
            tasks.sort(key=lambda t: -t.max_ts if self._backward else t.min_ts)
        with stats.timed(Phase.SCAN):
            best = self._scan(tasks, stats)
        if options.interval_ns:
            best = _spaced(best, options.interval_ns, options.limit, backward=self._backward)
        return best

    def _scan(self, tasks: list[ScanTask], stats: QueryStats) -> Candidates:
        """The best rows of all tasks; tasks that cannot hold a better row are left out."""
        options = self._options
        wanted = None if options.interval_ns else options.limit
        best = _no_candidates()
        if wanted is None:
            return self._scan_all(tasks, stats)
        for index, found in enumerate(self._executor.map(self._find, tasks, options.budget)):
            stats.add(found.stats)
            best = self._better(best, found.candidates, wanted)
            stop = Rule.EARLY_STOP in options.rules
            if stop and self._settled(best, tasks, index + 1, options.limit):
                if index + 1 < len(tasks):
                    stats.rules.add(Rule.EARLY_STOP)
                break
        return best

    def _scan_all(self, tasks: list[ScanTask], stats: QueryStats) -> Candidates:
        """All rows of all tasks, which stay charged until the query ends."""
        budget = self._options.budget
        parts = [_no_candidates()]
        for found in self._executor.map(self._find, tasks, budget):
            stats.add(found.stats)
            budget.charge(len(found.candidates.ts) * CANDIDATE_BYTES)
            parts.append(found.candidates)
        return self._better(_joined(parts), _no_candidates(), None)

    def _edges(self, times: tuple[int, int], stats: QueryStats) -> Candidates:
        """The newest (oldest) rows when no stage drops any: the ends of each stream's rows.

        Sources are asked in time order, until none can hold a better row.
        """
        wanted = self._options.limit
        stats.rules.add(Rule.STREAM_ENDS)
        sources = sorted(
            self._view.sources,
            key=lambda v: -v.source.max_ts if self._backward else v.source.min_ts,
        )
        best = _no_candidates()
        for view in sources:
            self._options.budget.check()
            if len(best.ts) >= wanted:
                worst = int(best.ts[-1])
                source = view.source
                if source.max_ts < worst if self._backward else source.min_ts > worst:
                    stats.rules.add(Rule.EARLY_STOP)
                    break
            stats.sources_read.add(view.source.source_id)
            found = self._ends_of(view, times, wanted + len(view.excluded))
            stats.lines_scanned += len(found.ts)
            stats.lines_after_filter += len(found.ts)
            best = self._better(best, found, wanted)
        return best

    def _ends_of(self, view: SourceView, times: tuple[int, int], count: int) -> Candidates:
        nothing = Columns(lines=False, metadata=False)
        request = ScanRequest(
            streams=view.streams, start_ns=times[0], end_ns=times[1], columns=nothing
        )
        low, high = view.source.ranges(request)
        rows = _end_rows(view.source.times(), low, high, count, backward=self._backward)
        rows = rows[~np.isin(rows, view.excluded)]
        batch = view.source.fetch(rows, nothing)
        source = np.full(len(rows), view.order, np.int32)
        return Candidates(batch.ts, streams_of(view.source, batch.stream), source, rows)

    def _settled(self, best: Candidates, tasks: list[ScanTask], done: int, wanted: int) -> bool:
        """Whether no task that is left can hold a row that belongs before the last chosen one."""
        if done >= len(tasks):
            return True
        if len(best.ts) < wanted:
            return False
        worst = int(best.ts[-1])
        rest = tasks[done]
        return rest.max_ts < worst if self._backward else rest.min_ts > worst

    def _find(self, task: ScanTask) -> _Found:
        stats = QueryStats()
        best = _no_candidates()
        wanted = None if self._options.interval_ns else self._options.limit
        parts = [best]
        slices = Slices(self._search, self._options.budget)
        for batch in batches_of(task, stats):
            for frame in slices.of(batch):
                stats.lines_after_filter += len(frame)
                found = self._candidates(task, frame)
                if wanted is None:
                    parts.append(found)
                else:
                    best = self._better(best, found, wanted)
        best = _joined(parts) if wanted is None else best
        stats.reading.add(task.request.stats)
        return _Found(best, stats)

    def _candidates(self, task: ScanTask, frame: Frame) -> Candidates:
        source = np.full(len(frame), task.view.order, np.int32)
        return Candidates(frame.ts, stream_ids(task, frame), source, frame.rows)

    def _better(self, a: Candidates, b: Candidates, wanted: int | None) -> Candidates:
        """The first `wanted` of both in the order of the answer."""
        both = _joined([a, b])
        if wanted is not None and len(both.ts) > 4 * wanted:
            both = both.take(self._near_edge(both.ts, wanted))
        # within a stream, entries of one instant keep write order (reversed when backward)
        order = np.lexsort((both.row, both.source, both.stream, both.ts))
        if self._backward:
            order = order[::-1]
        return both.take(order if wanted is None else order[:wanted])

    def _near_edge(self, ts: I64, wanted: int) -> NDArray[np.integer]:
        """Rows at or beyond the wanted-th best timestamp (keeps all ties)."""
        if self._backward:
            edge = np.partition(ts, len(ts) - wanted)[len(ts) - wanted]
            return np.flatnonzero(ts >= edge)
        edge = np.partition(ts, wanted - 1)[wanted - 1]
        return np.flatnonzero(ts <= edge)


def search_range(options: QueryOptions) -> tuple[int, int]:
    """`[start, end)`; an empty range still holds its instant, as the recorded server has it."""
    return options.start_ns, max(options.end_ns, options.start_ns + 1)


def _end_rows(ts: I64, low: I64, high: I64, count: int, *, backward: bool) -> I64:
    """Rows of runs `low : high`, each ascending in time, among which are the `count` newest.

    Or oldest. A stream whose own end lies behind those of `count` others has none of them.
    """
    filled = np.flatnonzero(high > low)
    if len(filled) > count:
        ends = ts[high[filled] - 1] if backward else ts[low[filled]]
        place = len(ends) - count if backward else count - 1
        edge = np.partition(ends, place)[place]
        filled = filled[ends >= edge if backward else ends <= edge]
    low, high = low[filled], high[filled]
    if backward:
        low = np.maximum(low, high - count)
    else:
        high = np.minimum(high, low + count)
    sizes = high - low
    before = np.cumsum(sizes) - sizes
    rows: I64 = np.arange(int(sizes.sum())) + np.repeat(low - before, sizes)
    return rows


def _no_candidates() -> Candidates:
    return Candidates(
        np.zeros(0, np.int64),
        np.zeros(0, np.uint64),
        np.zeros(0, np.int32),
        np.zeros(0, np.int64),
    )


def _joined(parts: Sequence[Candidates]) -> Candidates:
    return Candidates(
        np.concatenate([part.ts for part in parts]),
        np.concatenate([part.stream for part in parts]),
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.row for part in parts]),
    )


def _by_size(source: SourceView, rows: I64) -> Iterator[slice]:
    """Runs of rows of about `FETCH_BYTES` of lines each, by the mean of their streams."""
    table = source.source.table
    owner = np.searchsorted(table.first_row, rows, side="right") - 1
    sizes = table.line_bytes[owner] // np.maximum(table.rows[owner], 1)
    group = np.cumsum(sizes) // FETCH_BYTES
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(rows)]
    yield from itertools.starmap(slice, itertools.pairwise(edges))


def _spaced(best: Candidates, interval_ns: int, limit: int, *, backward: bool) -> Candidates:
    """After an entry, skip entries nearer than the interval, over all streams together."""
    kept: list[int] = []
    ahead = -best.ts if backward else best.ts  # ascending
    at = 0
    while at < len(ahead) and len(kept) < limit:
        kept.append(at)
        farther = int(ahead[at]) + interval_ns
        at = max(at + 1, int(np.searchsorted(ahead, farther))) if farther <= MOST else len(ahead)
    return best.take(np.array(kept, np.int64))
