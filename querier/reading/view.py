"""Which sources does a query read, and which of their rows are there twice?

Heads are asked first and blocks second; a block whose head part is in the view is left out, so an
entry that is being flushed is seen once (design §6). Rows that are there twice are found by
`duplicates.py`; those that a delete request hides (`hiding.py`), and streams that who asks may not
see, are left out as well.
Invariant: sources of a view are in order of arrival; of two equal entries the earlier one stays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from narfi.core.columns import I64, Mask
from narfi.core.grant import ALL_STREAMS, Streams
from narfi.core.kernels.marks import mark
from narfi.core.matchers import Matcher
from narfi.core.tenant import TenantId
from querier.budget import Account, Budget
from querier.reading.duplicates import Chosen, DuplicateIndex, excluded_rows
from querier.reading.hiding import HiddenEntries
from querier.reading.same_lines import NO_ROWS
from storage.batch import LogBatch
from storage.scan import LogSource, SourceProvider

COUNTED = 1 << 14
"""Occurrences of streams that are counted exactly."""
COUNTER_BITS = 22
"""Of a place among the marks by which more are counted: two marks and more for an occurrence, up to
two millions; the error is below a percent up to ten millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """One source as a query sees it."""

    source: LogSource
    order: int  # place in order of arrival
    streams: Mask  # selected and not hidden as a whole, by ordinal
    excluded: I64  # ascending row numbers that are hidden, or that another source has already
    left_out: I64 = field(
        default_factory=lambda: NO_ROWS
    )  # ascending ordinals that the matchers select and that are hidden

    def kept(self, batch: LogBatch) -> LogBatch:
        """The rows of a batch of the source that are not excluded."""
        if not len(self.excluded) or not len(batch):
            return batch
        place = np.searchsorted(self.excluded, batch.rows)
        found = self.excluded[np.minimum(place, len(self.excluded) - 1)] == batch.rows
        return batch.take(~found) if found.any() else batch

    def excluded_of(self, streams: Mask) -> I64:
        """The excluded rows of some streams (by ordinal); ascending."""
        owner = np.searchsorted(self.source.table.first_row, self.excluded, side="right") - 1
        return self.excluded[streams[owner]]


@dataclass(frozen=True, slots=True)
class Listed:
    """All sources of the time range, whether or not they have a stream of the selector."""

    heads: tuple[LogSource, ...] = ()
    blocks: tuple[LogSource, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A consistent set of sources; only those with a stream that is asked for."""

    sources: tuple[SourceView, ...] = ()
    listed: Listed = Listed()

    def count_streams(self) -> int:
        """How many streams are selected in all sources together.

        Beyond `COUNTED` occurrences estimated, within a percent, so that it costs no sorting.
        """
        found = [v.source.table.fingerprints_of(v.streams) for v in self.sources]
        count = sum(map(len, found))
        if len(found) < 2:
            return count
        if count <= COUNTED:
            every = np.sort(np.concatenate(found))  # a tenth of the time of `np.unique`
            return min(count, 1) + int(np.count_nonzero(every[1:] != every[:-1]))
        bits = min(count.bit_length() + 1, COUNTER_BITS)
        marks = np.zeros(1 << (bits - 6), np.uint64)
        for fingerprints in found:
            mark(fingerprints, bits, marks)
        free = max((1 << bits) - int(np.bitwise_count(marks).sum()), 1)
        return round((1 << bits) * math.log((1 << bits) / free))


def take_view(
    heads: SourceProvider,
    blocks: SourceProvider,
    duplicates: DuplicateIndex,
    tenant: TenantId,
    time_range: tuple[int, int],
    matchers: Sequence[Matcher],
    hidden: HiddenEntries | None = None,
) -> View:
    """Everything of the tenant that may hold entries of the streams in `[start, end)` ns."""
    listed = list_sources(heads, blocks, tenant, time_range)
    return view_of(listed, duplicates, time_range, matchers, hidden)


def list_sources(
    heads: SourceProvider, blocks: SourceProvider, tenant: TenantId, time_range: tuple[int, int]
) -> Listed:
    """All sources of the tenant that reach into `[start, end)` ns, in order of arrival."""
    live = tuple(heads.sources(tenant, *time_range))
    cuts = {source.cut_id for source in live}
    stored = blocks.sources(tenant, *time_range)
    return Listed(live, tuple(s for s in stored if s.cut_id not in cuts))


def overlapping(sources: Sequence[LogSource], time_range: tuple[int, int]) -> tuple[LogSource, ...]:
    """Those that reach into `[start, end)` ns."""
    start_ns, end_ns = time_range
    return tuple(s for s in sources if s.max_ts >= start_ns and s.min_ts < end_ns)


def view_of(
    listed: Listed,
    duplicates: DuplicateIndex | None,
    time_range: tuple[int, int],
    matchers: Sequence[Matcher],
    hidden: HiddenEntries | None = None,
    permitted: Streams = ALL_STREAMS,
    budget: Budget | None = None,
) -> View:
    """The sources that have a stream of the matchers in `[start, end)` ns.

    Without an index, rows that are there twice are not looked for; without `hidden`, nothing is.
    Streams that are not permitted are hidden as a whole, so whoever uses the view need not know.
    To find rows that are there twice is charged to the budget. Raises as `Budget.charge`, `check`.
    """
    chosen: list[Chosen] = []
    out: list[I64] = []
    left_out: list[I64] = []
    for source in (*listed.blocks, *listed.heads):
        streams = selected_streams(source, time_range, matchers)
        selected, rows = streams, NO_ROWS
        if permitted and streams.any():
            streams = streams & source.table.select(permitted)
        if hidden is not None and streams.any():
            gone = hidden.of(source, streams, time_range)
            if gone is not None:
                streams, rows = streams & ~gone.streams, gone.rows
        without = NO_ROWS if streams is selected else np.flatnonzero(selected & ~streams)
        if streams.any():
            chosen.append(Chosen(source, streams))
            out.append(rows)
            left_out.append(without)
    if duplicates is not None:
        twice = excluded_rows(chosen, duplicates, Account(budget))
        out = [_both(rows, other) for rows, other in zip(out, twice, strict=True)]
    views = (
        SourceView(
            source=one.source, order=order, streams=one.streams, excluded=rows, left_out=without
        )
        for order, (one, rows, without) in enumerate(zip(chosen, out, left_out, strict=True))
    )
    return View(tuple(views), listed)


def _both(hidden: I64, twice: I64) -> I64:
    if not len(hidden) or not len(twice):
        return hidden if len(hidden) else twice
    return np.union1d(hidden, twice)


def selected_streams(
    source: LogSource, time_range: tuple[int, int], matchers: Sequence[Matcher]
) -> Mask:
    """Streams of the matchers that reach into the range. Read only."""
    start_ns, end_ns = time_range
    table = source.table
    streams = table.select(matchers)
    if source.min_ts >= start_ns and source.max_ts < end_ns:
        return streams
    return streams & (table.last_ts >= start_ns) & (table.first_ts < end_ns)
