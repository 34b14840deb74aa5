"""How are entries counted without reading them? Rows of a stream are sorted by time: bisect.

Where no stage is left and series are told apart by stream labels alone, the number of rows in a
window is the distance of two places in the timestamps, and their bytes that of two sums of lengths.
Invariant: equal to counting the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64
from narfi.core.kernels.windows import add_counts, count_runs, sum_runs
from querier.budget import Account
from querier.executors.leaf import Leaf
from querier.metrics.cells import series_runs
from querier.metrics.grid import Grid
from querier.metrics.partials import Folded, SeriesPartial
from querier.metrics.series import SeriesKey, number_streams
from querier.operators.pipeline import stored_names
from querier.reading.view import SourceView
from querier.result import LabelPairs

WORTH_SIZING = 0.5
"""Of the rows of a source: then lengths of all are read, and remembered."""
_MINUS_ONE: I64 = np.full(1, -1, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCounts:
    """What one source has: the running sum along a row of `diff` gives the counts of a series."""

    labels: Sequence[LabelPairs]
    first: int  # step of the grid
    diff: I64  # [series, steps from the first that the source can reach, and one more]
    sizes: I64 | None  # as the counts, of bytes
    rows: int  # within the windows, and between them
    account: Account  # closed by who took them


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRows:
    """A leaf task that counts the selected streams of a countable source."""

    key: SeriesKey
    grid: Grid
    sized: bool = False

    def run(self, leaf: Leaf) -> SeriesPartial:
        """The counts of each series, and the bytes."""
        account = leaf.budget.account()
        found = count_streams(leaf.view, self.key, self.grid, account, sized=self.sized)
        stats = leaf.stats
        stats.sources_read.add(leaf.view.source.source_id)
        stats.lines_scanned = stats.lines_counted = stats.lines_after_filter = found.rows
        return SeriesPartial(
            labels=tuple(found.labels),
            held=Folded(
                arrays=(found.diff,) if found.sizes is None else (found.diff, found.sizes),
                first=found.first,
            ),
            stats=stats,
            charged=found.account.used,
        )


def is_countable(view: SourceView, key: SeriesKey) -> bool:
    """Whether stream labels decide to which series a row of the source belongs."""
    stored = view.source.metadata_names()
    return not stored if key.without else not stored & stored_names(key.names)


def is_worth_sizing(view: SourceView, ranges: tuple[I64, I64]) -> bool:
    """Whether the sizes of its rows are known, or most of them are asked for in these ranges."""
    low, high = ranges
    rows = int(np.maximum(high - low, 0).sum())
    known = view.source.line_sums(load=False) is not None
    return known or rows >= WORTH_SIZING * len(view.source.times())


def count_streams(
    view: SourceView, key: SeriesKey, grid: Grid, account: Account, *, sized: bool = False
) -> StreamCounts:
    """The counts of the selected streams of a countable source, at the steps that it can reach.

    The account pays for them. `sized`: and the bytes of their lines.
    """
    table, ts = view.source.table, view.source.times()
    chosen = np.flatnonzero(view.streams)
    numbers, labels = number_streams(table, key.chosen_of_streams(table), chosen)
    low, rows_of = table.first_row, table.rows
    if len(chosen) < len(table):
        low, rows_of = low[chosen], rows_of[chosen]
    high = low + rows_of
    part, first = grid.around(view.source.min_ts, view.source.max_ts)
    account.charge(len(labels) * (part.steps + 1) * 8)
    diff = np.zeros((len(labels), part.steps + 1), np.int64)
    place = (part.base_ns, part.step_ns, part.window_ns)
    rows = 0
    for run in series_runs(len(chosen), part.steps, account):
        rows += count_runs(numbers[run], low[run], high[run], ts, *place, diff)
    sums = sizes = None
    if sized:
        sums = view.source.line_sums(load=True)
        assert sums is not None
        account.charge(diff.nbytes)
        sizes = np.zeros_like(diff)
        for run in series_runs(len(chosen), part.steps, account):
            sum_runs(numbers[run], low[run], high[run], ts, sums, *place, sizes)
    if len(view.excluded):
        series, out = _excluded(view, chosen, numbers)
        start_ns, end_ns = part.data_range()
        inside = (ts[out] >= start_ns) & (ts[out] < end_ns)
        series, out = series[inside], out[inside]
        add_counts(series, ts[out], _MINUS_ONE, *place, diff)
        if sums is not None and sizes is not None:
            add_counts(series, ts[out], sums[out] - sums[out + 1], *place, sizes)
        rows -= len(out)
    return StreamCounts(
        labels=labels, first=first, diff=diff, sizes=sizes, rows=rows, account=account
    )


def _excluded(view: SourceView, chosen: I64, numbers: I32) -> tuple[I32, I64]:
    """(series, row) of the rows of selected streams that another source has already."""
    streams = np.searchsorted(view.source.table.first_row, view.excluded, side="right") - 1
    mine = view.streams[streams]
    return numbers[np.searchsorted(chosen, streams[mine])], view.excluded[mine]
