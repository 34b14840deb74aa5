"""What does a leaf task of a log query find? Rows that may be in the answer, or rows of the answer.

`FindRows` puts row groups through the stages that drop rows; `FindEnds` cuts rows from the ends of
streams, where no stage drops any; `FetchRows` reads chosen rows whole. Partials are plain arrays,
and are merged by `candidates.merge` and `StreamsBuilder.merge`.
"""

from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64
from querier.executors.leaf import Leaf
from querier.logs.candidates import Candidates, joined, merge, no_candidates
from querier.logs.entries import EntriesPartial
from querier.logs.streams import StreamsBuilder
from querier.plan.spec import Rows
from querier.result import QueryStats
from storage.scan import Columns


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that may be in the answer, best first."""

    candidates: Candidates
    stats: QueryStats


@dataclass(frozen=True, slots=True)
class Fetched:
    """Rows of the answer; they stay charged until the answer is sent."""

    entries: EntriesPartial
    stats: QueryStats


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRows:
    """The best `limit` rows of a leaf, or all; `backward`: the newest are best."""

    limit: int | None
    backward: bool

    def run(self, leaf: Leaf) -> Found:
        """The rows that pass the stages."""
        best, parts = no_candidates(), [no_candidates()]
        for frame in leaf.frames():
            if not len(frame):
                continue
            leaf.stats.lines_after_filter += len(frame)
            found = _candidates(leaf, frame.ts, frame.stream, frame.rows)
            if self.limit is None:
                parts.append(found)
            else:
                best = merge([best, found], self.limit, backward=self.backward)
        return Found(joined(parts) if self.limit is None else best, leaf.stats)


@dataclass(frozen=True, slots=True, kw_only=True)
class FindEnds:
    """The newest (oldest) `limit` rows of a source, among a few more."""

    limit: int
    backward: bool

    def run(self, leaf: Leaf) -> Found:
        """Rows from the ends of the selected streams; only timestamps are read."""
        source, excluded = leaf.view.source, leaf.view.excluded
        leaf.stats.sources_read.add(source.source_id)
        low, high = leaf.ranges()
        count = self.limit + len(excluded)
        rows = _end_rows(source.times(), low, high, count, backward=self.backward)
        rows = rows[~np.isin(rows, excluded)]
        batch = source.fetch(rows, Columns(lines=False, metadata=False))
        leaf.stats.lines_scanned += len(rows)
        leaf.stats.lines_after_filter += len(rows)
        return Found(_candidates(leaf, batch.ts, batch.stream, rows), leaf.stats)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRows:
    """Rows of the answer, put through all stages."""

    rows: Rows
    categorized: bool

    def run(self, leaf: Leaf) -> Fetched:
        """The entries with their row numbers."""
        builder = StreamsBuilder(categorized=self.categorized, account=leaf.budget.account())
        for frame in leaf.fetched(self.rows.numbers, Columns()):
            builder.add(frame, frame.rows)
        return Fetched(builder.partial(), leaf.stats)


def _candidates(leaf: Leaf, ts: I64, stream: I32, rows: I64) -> Candidates:
    source = np.full(len(rows), leaf.view.order, np.int32)
    return Candidates(ts, leaf.fingerprints(stream), source, rows)


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
