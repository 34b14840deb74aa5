"""How do samples of many leaf tasks become cells? One accumulator per range function.

Samples arrive in any order of time; series are numbered over the whole query. Where a sample is in
many windows it is added to a bucket, and windows are put together from buckets at the end; so the
cost never grows with samples times windows.
Each gives what it holds as a partial, and takes partials of others (partials.py).
Invariant: the result does not depend on how samples were split into pieces (but for rounding), nor
on how partials were grouped.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narfi.core.clock import NS_PER_S
from narfi.core.columns import I32, I64
from narfi.core.kernels.sliding import LARGEST, SMALLEST, SUM, fold_buckets, fold_moments
from narfi.core.kernels.windows import add_counts, add_extremes, add_moments, add_sums
from querier.budget import Account
from querier.metrics.cells import Cells, new_cells, series_runs
from querier.metrics.grid import ONE, Grid
from querier.metrics.kept_samples import KeptSamples, counter, edge_of, quantile_of
from querier.metrics.matrix import F64, Mask2
from querier.metrics.partials import Folded, Held, Samples

FEW_WINDOWS = 16
"""Samples in so many windows or fewer are added to each of them."""


class Accumulator(Protocol):
    """Cells of one range function."""

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        """Take samples: `values` are int64 weights for counts, float64 otherwise."""
        ...

    def resize(self, series: int) -> None:
        """Make room for this many series; called before `add` sees new numbers."""
        ...

    def partial(self) -> Held:
        """What it holds, to be merged elsewhere; shares memory, so nothing is added afterwards."""
        ...

    def merge(self, held: Held, numbers: I32) -> None:
        """Take a partial; `numbers` are the numbers here of its series, distinct."""
        ...

    def finish(self) -> tuple[F64, Mask2]:
        """(values, presence), [series, steps]."""
        ...


class _Places:
    """Where samples go: to the cells of their windows, or to buckets between edges of windows.

    The edges of all windows cut time into at most 2 * steps + 1 buckets, and each window is a run
    of them.
    """

    def __init__(self, grid: Grid, *, bucketed: bool) -> None:
        self._grid = grid
        self.bucketed = bucketed
        self.width = 2 * grid.steps + 1 if self.bucketed else grid.steps
        if self.bucketed:
            ends = grid.base_ns + np.arange(grid.steps, dtype=np.int64) * grid.step_ns
            self.first, self.last = self._bucket(ends - grid.window_ns + 1), self._bucket(ends)

    def columns(self, folded: Folded) -> slice:
        """The columns here of cells that were folded for some of the steps.

        Two edges of windows lie in front of each step that is left out, and no sample does.
        """
        first = folded.first * 2 if self.bucketed else folded.first
        return slice(first, first + folded.arrays[-1].shape[1])

    def of(self, ts: I64) -> tuple[I64, tuple[int, int, int]]:
        """What the kernels take for times, and for (base, step, span)."""
        if self.bucketed:
            return self._bucket(ts), (0, 1, 1)
        return ts, (self._grid.base_ns, self._grid.step_ns, self._grid.window_ns)

    def _bucket(self, ts: I64) -> I64:
        """How many ends and beginnings of windows lie before each time."""
        grid = self._grid
        ahead = ts - grid.base_ns
        ends = -(-ahead // grid.step_ns)
        beginnings = -(-(ahead + grid.window_ns) // grid.step_ns)
        found: I64 = np.clip(ends, 0, grid.steps) + np.clip(beginnings, 0, grid.steps)
        return found


class CountAccumulator:
    """Sums of integer weights: entries, or bytes."""

    def __init__(self, grid: Grid, account: Account, scale: float = 1.0) -> None:
        self._grid, self._scale, self._account = grid, scale, account
        self._counts = Cells(grid.steps + 1, np.int64, 0, account)
        self._weights: Cells | None = None  # as the counts while every weight is one

    def resize(self, series: int) -> None:
        self._counts.resize(series)
        if self._weights is not None:
            self._weights.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        grid = self._grid
        place = (grid.base_ns, grid.step_ns, grid.window_ns)
        if values is not ONE:
            weights = self._weighed().array
            add_counts(series, ts, values.astype(np.int64), *place, weights)
        add_counts(series, ts, ONE, *place, self._counts.array)

    def _weighed(self) -> Cells:
        if self._weights is None:
            self._weights = Cells(self._grid.steps + 1, np.int64, 0, self._account)
            self._weights.resize(len(self._counts.used()))
        return self._weights

    def partial(self) -> Held:
        """Differences along the steps: of counts, and of weights that are not one."""
        counts = self._counts.used()
        weights = self._weights
        return Folded(arrays=(counts,) if weights is None else (counts, weights.used()))

    def merge(self, held: Held, numbers: I32) -> None:
        if isinstance(held, Samples):
            self.add(numbers[held.series], held.ts, held.weights())
            return
        counts, *weights = held.arrays
        columns = slice(held.first, held.first + counts.shape[1])
        self._counts.array[numbers, columns] += counts
        for found in weights:
            self._weighed().array[numbers, columns] += found

    def finish(self) -> tuple[F64, Mask2]:
        diffs = self._counts.used()
        weights = diffs if self._weights is None else self._weights.used()
        values, present = new_cells(len(diffs), self._grid.steps, self._account)
        for run in series_runs(len(diffs), self._grid.steps, self._account):
            counts = np.cumsum(diffs[run], axis=1)[:, :-1]
            sums = counts if weights is diffs else np.cumsum(weights[run], axis=1)[:, :-1]
            np.divide(sums, self._scale, out=values[run])
            np.greater(counts, 0, out=present[run])
        return values, present


class _ValueAccumulator:
    """Common to functions of unwrapped values: presence from counts."""

    def __init__(self, grid: Grid, account: Account, *, bucketed: bool) -> None:
        self._grid, self._account = grid, account
        self._counts = Cells(grid.steps + 1, np.int64, 0, account)
        self._places = _Places(grid, bucketed=bucketed)

    def resize(self, series: int) -> None:
        self._counts.resize(series)

    def count(self, series: I32, ts: I64) -> None:
        grid = self._grid
        place = (grid.base_ns, grid.step_ns, grid.window_ns)
        add_counts(series, ts, ONE, *place, self._counts.array)

    def merge_counts(self, held: Folded, numbers: I32) -> None:
        counts = held.arrays[0]
        self._counts.array[numbers, held.first : held.first + counts.shape[1]] += counts

    def folded(self, cells: F64, mode: int, out: F64) -> None:
        """The values of windows."""
        places = self._places
        if places.bucketed:
            later = np.empty(places.width)
            fold_buckets(cells, places.first, places.last, mode, later, out)
        else:
            out[:] = cells

    def counts(self, run: slice) -> NDArray[np.int64]:
        return np.cumsum(self._counts.used()[run], axis=1)[:, :-1]


class SumAccumulator(_ValueAccumulator):
    """sum, rate and avg of unwrapped values."""

    def __init__(
        self,
        grid: Grid,
        account: Account,
        *,
        bucketed: bool,
        scale: float = 1.0,
        mean: bool = False,
    ) -> None:
        super().__init__(grid, account, bucketed=bucketed)
        self._sums = Cells(self._places.width, np.float64, 0.0, account)
        self._scale, self._mean = scale, mean

    def resize(self, series: int) -> None:
        super().resize(series)
        self._sums.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        self.count(series, ts)
        places, grid = self._places.of(ts)
        add_sums(series, places, values.astype(np.float64), *grid, self._sums.array)

    def partial(self) -> Held:
        """Differences of counts, and sums."""
        return Folded(arrays=(self._counts.used(), self._sums.used()))

    def merge(self, held: Held, numbers: I32) -> None:
        if isinstance(held, Samples):
            self.add(numbers[held.series], held.ts, held.weights())
            return
        self.merge_counts(held, numbers)
        self._sums.array[numbers, self._places.columns(held)] += held.arrays[1]

    def finish(self) -> tuple[F64, Mask2]:
        sums = self._sums.used()
        values, present = new_cells(len(sums), self._grid.steps, self._account)
        for run in series_runs(len(sums), self._places.width, self._account):
            counts = self.counts(run)
            self.folded(sums[run], SUM, values[run])
            values[run] /= np.maximum(counts, 1) if self._mean else self._scale
            np.greater(counts, 0, out=present[run])
        return values, present


class ExtremeAccumulator(_ValueAccumulator):
    """min and max; NaN only where there is no number."""

    def __init__(self, grid: Grid, account: Account, *, bucketed: bool, largest: bool) -> None:
        super().__init__(grid, account, bucketed=bucketed)
        self._best = Cells(self._places.width, np.float64, np.nan, account)
        self._largest = largest

    def resize(self, series: int) -> None:
        super().resize(series)
        self._best.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        self.count(series, ts)
        numbers = values.astype(np.float64)
        places, grid = self._places.of(ts)
        add_extremes(series, places, numbers, *grid, self._largest, self._best.array)

    def partial(self) -> Held:
        """Differences of counts, and the best values."""
        return Folded(arrays=(self._counts.used(), self._best.used()))

    def merge(self, held: Held, numbers: I32) -> None:
        if isinstance(held, Samples):
            self.add(numbers[held.series], held.ts, held.weights())
            return
        self.merge_counts(held, numbers)
        columns, found = self._places.columns(held), held.arrays[1]
        best = self._best.array[numbers, columns]
        better = found > best if self._largest else found < best
        self._best.array[numbers, columns] = np.where(better | np.isnan(best), found, best)

    def finish(self) -> tuple[F64, Mask2]:
        best = self._best.used()
        values, present = new_cells(len(best), self._grid.steps, self._account)
        mode = LARGEST if self._largest else SMALLEST
        for run in series_runs(len(best), self._places.width, self._account):
            self.folded(best[run], mode, values[run])
            np.greater(self.counts(run), 0, out=present[run])
        return values, present


class MomentAccumulator:
    """stddev and stdvar over the population."""

    def __init__(self, grid: Grid, account: Account, *, bucketed: bool, root: bool) -> None:
        self._grid, self._account, self._root = grid, account, root
        self._places = _Places(grid, bucketed=bucketed)
        width = self._places.width
        self._counts = Cells(width, np.int64, 0, account)
        self._means = Cells(width, np.float64, 0.0, account)
        self._squares = Cells(width, np.float64, 0.0, account)

    def resize(self, series: int) -> None:
        for cells in (self._counts, self._means, self._squares):
            cells.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        cells = (self._counts.array, self._means.array, self._squares.array)
        places, grid = self._places.of(ts)
        add_moments(series, places, values.astype(np.float64), *grid, *cells)

    def partial(self) -> Held:
        """Counts, means and sums of squared deviations."""
        return Folded(
            arrays=(self._counts.used(), self._means.used(), self._squares.used()),
        )

    def merge(self, held: Held, numbers: I32) -> None:
        if isinstance(held, Samples):
            self.add(numbers[held.series], held.ts, held.weights())
            return
        place = numbers, self._places.columns(held)
        count, mean, square = (
            cells.array[place] for cells in (self._counts, self._means, self._squares)
        )
        more, other, spread = held.arrays
        both = np.maximum(count + more, 1)
        delta = np.where((count > 0) & (more > 0), other - mean, 0.0)
        joined = np.where(count > 0, mean + delta * more / both, other)
        self._counts.array[place] = count + more
        self._means.array[place] = joined
        self._squares.array[place] = square + spread + delta * delta * count * more / both

    def finish(self) -> tuple[F64, Mask2]:
        series = len(self._counts.used())
        values, present = new_cells(series, self._grid.steps, self._account)
        for run in series_runs(series, self._places.width, self._account):
            counts, squares = self._folded(run)
            variance = squares / np.maximum(counts, 1)
            values[run] = np.sqrt(variance) if self._root else variance
            np.greater(counts, 0, out=present[run])
        return values, present

    def _folded(self, run: slice) -> tuple[I64, F64]:
        """Counts and sums of squared deviations of windows."""
        counts, squares = self._counts.used()[run], self._squares.used()[run]
        places = self._places
        if not places.bucketed:
            return counts, squares
        out = (
            np.empty((len(counts), self._grid.steps), np.int64),
            np.empty((len(counts), self._grid.steps)),
        )
        later = np.empty((3, places.width))
        means = self._means.used()[run]
        fold_moments(counts, means, squares, places.first, places.last, later, *out)
        return out


def is_bucketed(grid: Grid) -> bool:
    """Whether values go to buckets between the edges of windows, since each is in many windows."""
    return grid.overlap > FEW_WINDOWS


def accumulator_for(
    op: str,
    grid: Grid,
    parameter: float | None,
    account: Account,
    *,
    unwrapped: bool,
    bucketed: bool | None = None,
) -> Accumulator:
    """The accumulator of a range function (reference/logql.md §10.3); charges what it holds.

    For a part of a grid, `bucketed` is that of the whole.
    """
    if bucketed is None:
        bucketed = is_bucketed(grid)
    seconds = grid.span_ns / NS_PER_S or 1.0  # a window without length holds nothing
    match op:
        case "rate" if unwrapped:
            return SumAccumulator(grid, account, bucketed=bucketed, scale=seconds)
        case "rate" | "bytes_rate":
            return CountAccumulator(grid, account, scale=seconds)
        case "count_over_time" | "bytes_over_time" | "absent_over_time":
            return CountAccumulator(grid, account)
        case "sum_over_time":
            return SumAccumulator(grid, account, bucketed=bucketed)
        case "avg_over_time":
            return SumAccumulator(grid, account, bucketed=bucketed, mean=True)
        case "min_over_time" | "max_over_time":
            largest = op == "max_over_time"
            return ExtremeAccumulator(grid, account, bucketed=bucketed, largest=largest)
        case "stddev_over_time" | "stdvar_over_time":
            root = op == "stddev_over_time"
            return MomentAccumulator(grid, account, bucketed=bucketed, root=root)
        case "first_over_time" | "last_over_time":
            compute = edge_of(newest=op == "last_over_time")
            return KeptSamples(grid, compute, account, ordered=True)
        case "quantile_over_time":
            assert parameter is not None
            return KeptSamples(grid, quantile_of(parameter), account)
        case "rate_counter":
            return KeptSamples(grid, counter, account, ordered=True)
    raise ValueError(f"unknown range function {op!r}")
