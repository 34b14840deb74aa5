"""Which functions need every sample of a window? Quantile, counter rate, first and last value.

Samples are kept as they come and charged; `finish` sorts them series by series. Windows slide:
where they overlap, each sample enters and leaves once (narfi/core/kernels/sliding.py).
Invariant: samples of one instant stay in the order in which they were added.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64
from narfi.core.kernels.sliding import (
    counter_rates,
    scatter_samples,
    slide_quantiles,
    window_edges,
)
from narfi.core.kernels.windows import add_counts, quantiles
from querier.budget import Account
from querier.metrics.cells import CELLS_AT_ONCE, new_cells
from querier.metrics.grid import ONE, Grid
from querier.metrics.matrix import F64, Mask2

SAMPLES_AT_ONCE = 1 << 19
"""Sorted and worked on between two looks at the deadline, as far as they are of several series."""

MOVES_AT_ONCE = 1 << 19
"""Samples that enter or leave windows between two looks at the deadline."""

FEW_WINDOWS = 4
"""Samples in so many windows or fewer: each window is sorted, which is quicker than to slide."""

PLACE_BYTES = 16
"""Of a sample in its place: time and value."""
SORTED_BYTES = 40
"""Of a sample while its series is worked on: order, sorted copies, rank."""


@dataclass(frozen=True, slots=True)
class Run:
    """Samples of neighbouring series, sorted by (series, ts); `bounds` begin at 0."""

    bounds: I64
    ts: I64
    values: F64


Compute = Callable[[Run, Grid, F64, Account], None]
"""Fills the cells of a run that have samples."""


class KeptSamples:
    """An accumulator that keeps samples."""

    def __init__(self, grid: Grid, compute: Compute, account: Account) -> None:
        self._grid, self._compute, self._account = grid, compute, account
        self._parts: list[tuple[I32, I64, F64]] = []
        self._series = 0

    def resize(self, series: int) -> None:
        """Make room for this many series."""
        self._series = max(self._series, series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        """Keep samples."""
        part = series, ts, values.astype(np.float64)
        self._account.charge(sum(column.nbytes for column in part))
        self._parts.append(part)

    def finish(self) -> tuple[F64, Mask2]:
        """(values, presence), [series, steps]."""
        account, grid, steps = self._account, self._grid, self._grid.steps
        out, present = new_cells(self._series, steps, account)
        bounds, ts, values = self._placed()
        for first, end in self._runs(bounds):
            account.check()
            with account.held(int(bounds[end] - bounds[first]) * SORTED_BYTES):
                run = _sorted(bounds[first : end + 1], ts, values)
                self._compute(run, grid, out[first:end], account)
                counts = np.zeros((end - first, steps + 1), np.int64)
                series = _series_of(run.bounds)
                place = (grid.base_ns, grid.step_ns, grid.window_ns)
                add_counts(series, run.ts, ONE, *place, counts)
                present[first:end] = np.cumsum(counts, axis=1)[:, :-1] > 0
        account.release(len(ts) * PLACE_BYTES)
        return out, present

    def _placed(self) -> tuple[I64, I64, F64]:
        """(where each series begins, and the end; times; values), parts in the order they came."""
        counts = np.zeros(self._series, np.int64)
        for series, _, _ in self._parts:
            counts += np.bincount(series, minlength=self._series)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        size = int(bounds[-1])
        self._account.charge(size * PLACE_BYTES)
        ts, values = np.empty(size, np.int64), np.empty(size, np.float64)
        place = bounds[:-1].copy()
        self._parts.reverse()
        while self._parts:
            self._account.check()
            part = self._parts.pop()
            scatter_samples(*part, place, ts, values)
            self._account.release(sum(column.nbytes for column in part))
        return bounds, ts, values

    def _runs(self, bounds: I64) -> Iterator[tuple[int, int]]:
        """Neighbouring series that together have few enough samples and cells."""
        most_series = max(1, CELLS_AT_ONCE // self._grid.steps)
        first = 0
        while first < self._series:
            full = int(np.searchsorted(bounds, bounds[first] + SAMPLES_AT_ONCE, side="right")) - 1
            end = min(max(full, first + 1), first + most_series, self._series)
            yield first, end
            first = end


def _series_of(bounds: I64) -> I32:
    return np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))


def _sorted(bounds: I64, ts: I64, values: F64) -> Run:
    """The samples of some series by time."""
    low, high = int(bounds[0]), int(bounds[-1])
    times, found = ts[low:high], values[low:high]
    local = bounds - low
    falling = np.flatnonzero(np.diff(times) < 0) + 1
    if not np.isin(falling, local).all():  # not only where a series ends
        order = np.lexsort((times, _series_of(local)))
        times, found = times[order], found[order]
    return Run(local, times, found)


def quantile_of(q: float) -> Compute:
    """Linear interpolation at q * (n - 1) of the sorted values; NaN sorts first."""

    def compute(run: Run, grid: Grid, out: F64, account: Account) -> None:
        place = (grid.base_ns, grid.step_ns, grid.window_ns)
        if grid.overlap <= FEW_WINDOWS:
            quantiles(run.bounds, run.ts, run.values, *place, q, out)
            return
        rank, ordered = _ranked(run)
        tree = np.zeros(int(np.diff(run.bounds).max(initial=0)) + 1, np.int32)
        state = np.zeros(5, np.int64)
        samples = (run.bounds, run.ts, rank, ordered)
        while not slide_quantiles(*samples, *place, q, MOVES_AT_ONCE, tree, state, out):
            account.check()

    return compute


def _ranked(run: Run) -> tuple[I32, F64]:
    """(place of each sample among the values of its series, the values by place)."""
    series = _series_of(run.bounds)
    order = np.lexsort((run.values, ~np.isnan(run.values), series))
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order)) - run.bounds[series[order]]
    return rank, run.values[order]


def counter(run: Run, grid: Grid, out: F64, account: Account) -> None:
    """Increase per second, resets corrected."""
    later = np.empty(len(run.ts))
    place = (grid.base_ns, grid.step_ns, grid.window_ns)
    counter_rates(run.bounds, run.ts, run.values, *place, later, out)


def edge_of(*, newest: bool) -> Compute:
    """The last value by time, or the first."""

    def compute(run: Run, grid: Grid, out: F64, account: Account) -> None:
        place = (grid.base_ns, grid.step_ns, grid.window_ns)
        window_edges(run.bounds, run.ts, run.values, *place, newest, out)

    return compute
