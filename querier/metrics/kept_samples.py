"""Which functions need every sample of a window? Quantile, counter rate, first and last value.

Samples are kept as they come and charged; `finish` sorts them series by series. Windows slide:
where they overlap, each sample enters and leaves once (narfi/core/kernels/sliding.py).
Invariant: samples of one instant are in the order of their arrival, whatever order they, or
partials of them, are added in; without an arrival, in the order in which they are added.
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
from querier.metrics.partials import NO_ARRIVAL, Held, Samples

SAMPLES_AT_ONCE = 1 << 19
"""Sorted and worked on between two looks at the deadline, as far as they are of several series."""

MOVES_AT_ONCE = 1 << 19
"""Samples that enter or leave windows between two looks at the deadline."""

FEW_WINDOWS = 4
"""Samples in so many windows or fewer: each window is sorted, which is quicker than to slide."""

ORDER_BYTES = 17
"""Of a sample while all are put in order: its place, and what finds out whether they are."""
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


@dataclass(frozen=True, slots=True)
class _Part:
    series: I32
    ts: I64
    values: F64
    arrival: I64

    @property
    def nbytes(self) -> int:
        columns = (self.series, self.ts, self.values, self.arrival)
        return sum(column.nbytes for column in columns)

    def take(self, order: I64) -> "_Part":
        return _Part(self.series[order], self.ts[order], self.values[order], self.arrival[order])


class KeptSamples:
    """An accumulator that keeps samples; `ordered` when those of one instant have an order."""

    def __init__(
        self, grid: Grid, compute: Compute, account: Account, *, ordered: bool = False
    ) -> None:
        self._grid, self._compute, self._account = grid, compute, account
        self._ordered, self._added = ordered, 0
        self._parts: list[_Part] = []
        self._series = 0

    def resize(self, series: int) -> None:
        """Make room for this many series."""
        self._series = max(self._series, series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        """Keep samples that arrive behind all others."""
        arrival = NO_ARRIVAL
        if self._ordered:
            arrival = np.arange(self._added, self._added + len(ts), dtype=np.int64)
        self._keep(_Part(series, ts, values.astype(np.float64), arrival))

    def _keep(self, part: _Part) -> None:
        self._account.charge(part.nbytes)
        self._added += len(part.ts)
        self._parts.append(part)

    def partial(self) -> Samples:
        """All samples."""
        whole = self._whole()
        return Samples(series=whole.series, ts=whole.ts, values=whole.values, arrival=whole.arrival)

    def merge(self, held: Held, numbers: I32) -> None:
        """Keep the samples of a partial, with their arrivals."""
        assert isinstance(held, Samples), "every sample is needed"
        if held.values is not None:  # a leaf that found no sample has none
            values = held.values.astype(np.float64)
            self._keep(_Part(numbers[held.series], held.ts, values, held.arrival))

    def _whole(self) -> _Part:
        """The parts as one."""
        if not self._parts:
            none = np.zeros(0, np.int64)
            return _Part(none.astype(np.int32), none, none.astype(np.float64), none)
        parts = self._parts
        return _Part(
            np.concatenate([part.series for part in parts]),
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.arrival for part in parts]),
        )

    def _in_order(self) -> None:
        """All samples as one part, in the order of their arrival."""
        size = sum(part.nbytes for part in self._parts)
        self._account.charge(size + self._added * ORDER_BYTES)
        whole = self._whole()
        self._parts.clear()
        self._account.release(size)
        if (np.diff(whole.arrival) < 0).any():
            with self._account.held(size):
                whole = whole.take(np.argsort(whole.arrival, kind="stable"))
        self._account.release(self._added * ORDER_BYTES)
        self._parts.append(whole)

    def finish(self) -> tuple[F64, Mask2]:
        """(values, presence), [series, steps]."""
        account, grid, steps = self._account, self._grid, self._grid.steps
        out, present = new_cells(self._series, steps, account)
        if self._ordered:
            self._in_order()
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
        for part in self._parts:
            counts += np.bincount(part.series, minlength=self._series)
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        size = int(bounds[-1])
        self._account.charge(size * PLACE_BYTES)
        ts, values = np.empty(size, np.int64), np.empty(size, np.float64)
        place = bounds[:-1].copy()
        self._parts.reverse()
        while self._parts:
            self._account.check()
            part = self._parts.pop()
            scatter_samples(part.series, part.ts, part.values, place, ts, values)
            self._account.release(part.nbytes)
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
