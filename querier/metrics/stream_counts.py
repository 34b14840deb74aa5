"""How are entries counted without reading them? Rows of a stream are sorted by time: bisect.

Where no stage is left and series are told apart by stream labels alone, the number of rows in a
window is the distance of two places in the timestamps. Invariant: equal to counting the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64
from narfi.core.kernels.windows import add_counts, count_runs
from querier.budget import Account
from querier.executors.leaf import Leaf
from querier.metrics.cells import series_runs
from querier.metrics.grid import Grid
from querier.metrics.partials import Folded, SeriesPartial
from querier.metrics.series import SeriesKey, number_streams
from querier.operators.pipeline import stored_names
from querier.reading.view import SourceView
from querier.result import LabelPairs

_MINUS_ONE: I64 = np.full(1, -1, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCounts:
    """What one source has: the running sum along a row of `diff` gives the counts of a series."""

    labels: Sequence[LabelPairs]
    first: int  # step of the grid
    diff: I64  # [series, steps from the first that the source can reach, and one more]
    rows: int  # within the windows, and between them
    account: Account  # closed by who took them


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRows:
    """A leaf task that counts the selected streams of a countable source."""

    key: SeriesKey
    grid: Grid

    def run(self, leaf: Leaf) -> SeriesPartial:
        """The counts of each series."""
        found = count_streams(leaf.view, self.key, self.grid, leaf.budget.account())
        stats = leaf.stats
        stats.sources_read.add(leaf.view.source.source_id)
        stats.lines_scanned = stats.lines_counted = stats.lines_after_filter = found.rows
        return SeriesPartial(
            labels=tuple(found.labels),
            held=Folded(arrays=(found.diff,), first=found.first),
            stats=stats,
            charged=found.account.used,
        )


def is_countable(view: SourceView, key: SeriesKey) -> bool:
    """Whether stream labels decide to which series a row of the source belongs."""
    stored = view.source.metadata_names()
    return not stored if key.without else not stored & stored_names(key.names)


def count_streams(view: SourceView, key: SeriesKey, grid: Grid, account: Account) -> StreamCounts:
    """The counts of the selected streams of a countable source, at the steps that it can reach.

    The account pays for them.
    """
    table, ts = view.source.table, view.source.times()
    chosen = np.flatnonzero(view.streams)
    numbers, labels = number_streams(table, key.chosen_of_streams(table), chosen)
    low = table.first_row[chosen]
    high = low + table.rows[chosen]
    part, first = grid.around(view.source.min_ts, view.source.max_ts)
    account.charge(len(labels) * (part.steps + 1) * 8)
    diff = np.zeros((len(labels), part.steps + 1), np.int64)
    place = (part.base_ns, part.step_ns, part.window_ns)
    rows = 0
    for run in series_runs(len(chosen), part.steps, account):
        rows += count_runs(numbers[run], low[run], high[run], ts, *place, diff)
    if len(view.excluded):
        series, times = _excluded(view, chosen, numbers, ts)
        start_ns, end_ns = part.data_range()
        inside = (times >= start_ns) & (times < end_ns)
        add_counts(series[inside], times[inside], _MINUS_ONE, *place, diff)
        rows -= int(np.count_nonzero(inside))
    return StreamCounts(labels=labels, first=first, diff=diff, rows=rows, account=account)


def _excluded(view: SourceView, chosen: I64, numbers: I32, ts: I64) -> tuple[I32, I64]:
    """(series, time) of the rows of selected streams that another source has already."""
    streams = np.searchsorted(view.source.table.first_row, view.excluded, side="right") - 1
    mine = view.streams[streams]
    series = numbers[np.searchsorted(chosen, streams[mine])]
    return series, ts[view.excluded[mine]]
