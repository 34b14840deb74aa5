"""How do samples of many leaf tasks become cells? One accumulator per range function.

Samples arrive in any order of time; series are numbered over the whole query. Invariant: the
result does not depend on how samples were split into pieces (but for rounding).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from narfi.core.clock import MAX_TIME_NS, MAX_WINDOW_NS, MIN_TIME_NS, NS_PER_S
from narfi.core.columns import I32, I64
from narfi.core.kernels.windows import (
    add_counts,
    add_edges,
    add_extremes,
    add_moments,
    add_sums,
    counter_rates,
    quantiles,
)
from querier.metrics.matrix import F64, Mask2

ONE: I64 = np.ones(1, np.int64)


@dataclass(frozen=True, slots=True)
class Grid:
    """Steps at `start_ns + k * step_ns` for k < steps; windows of `span_ns` shifted by offset.

    Invariant: the steps are times that can be asked for (`MIN_TIME_NS`, `MAX_TIME_NS`).
    """

    start_ns: int
    step_ns: int
    steps: int
    span_ns: int
    offset_ns: int = 0

    @property
    def base_ns(self) -> int:
        """The end of the first window."""
        return self.start_ns - self.offset_ns

    @property
    def window_ns(self) -> int:
        """How far a window reaches back, where that makes a difference."""
        return min(self.span_ns, MAX_WINDOW_NS)

    @property
    def is_beyond_time(self) -> bool:
        """Whether the offset moves a window to where no entry is looked for."""
        last = self.base_ns + (self.steps - 1) * self.step_ns
        return self.base_ns < 2 * MIN_TIME_NS or last > MAX_TIME_NS - MIN_TIME_NS

    def data_range(self) -> tuple[int, int]:
        """`[start, end)` ns of the entries that any window holds."""
        last = self.base_ns + (self.steps - 1) * self.step_ns
        return self.base_ns - self.window_ns + 1, last + 1

    def around(self, min_ts: int, max_ts: int) -> tuple["Grid", int]:
        """(the steps between which, or in whose windows, the times lie; the number of the first).

        A source of an hour needs no cells for the other steps of a month.
        """
        ahead, behind = min_ts - self.base_ns, max_ts - self.base_ns
        first = max(-(-ahead // self.step_ns) - 1, 0)
        last = max(-(-behind // self.step_ns), (behind + self.window_ns - 1) // self.step_ns)
        first = min(first, self.steps - 1)
        last = min(max(last, first), self.steps - 1)
        start_ns = self.start_ns + first * self.step_ns
        return replace(self, start_ns=start_ns, steps=last - first + 1), first


class Accumulator(Protocol):
    """Cells of one range function."""

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        """Take samples: `values` are int64 weights for counts, float64 otherwise."""
        ...

    def resize(self, series: int) -> None:
        """Make room for this many series; called before `add` sees new numbers."""
        ...

    def finish(self) -> tuple[F64, Mask2]:
        """(values, presence), [series, steps]."""
        ...


class _Cells:
    """A growing [series, width] array with a fill value."""

    def __init__(self, width: int, dtype: type, fill: float) -> None:
        self.array: NDArray[Any] = np.full((0, width), fill, dtype)
        self._fill = fill
        self._used = 0

    def resize(self, series: int) -> None:
        if series > len(self.array):
            room = max(series, 2 * len(self.array))
            grown = np.full((room, self.array.shape[1]), self._fill, self.array.dtype)
            grown[: len(self.array)] = self.array
            self.array = grown
        self._used = max(self._used, series)

    def used(self) -> NDArray[Any]:
        return self.array[: self._used]


class CountAccumulator:
    """Sums of integer weights: entries, or bytes."""

    def __init__(self, grid: Grid, scale: float = 1.0) -> None:
        self._grid, self._scale = grid, scale
        self._weights = _Cells(grid.steps + 1, np.int64, 0)
        self._counts = _Cells(grid.steps + 1, np.int64, 0)
        self._counted = False

    def resize(self, series: int) -> None:
        self._weights.resize(series)
        self._counts.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        grid = self._grid
        place = (grid.base_ns, grid.step_ns, grid.window_ns)
        if values is not ONE:
            self._counted = True
            add_counts(series, ts, values.astype(np.int64), *place, self._weights.array)
        add_counts(series, ts, ONE, *place, self._counts.array)

    def add_counted(self, series: I32, diff: I64, first: int = 0) -> None:
        """Take counts of distinct series, as differences along the steps from the first."""
        self._counts.array[series, first : first + diff.shape[1]] += diff

    def finish(self) -> tuple[F64, Mask2]:
        counts = np.cumsum(self._counts.used(), axis=1)[:, :-1]
        weights = np.cumsum(self._weights.used(), axis=1)[:, :-1] if self._counted else counts
        return weights / self._scale, counts > 0


class _ValueAccumulator:
    """Common to functions of unwrapped values: presence from counts."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._counts = _Cells(grid.steps + 1, np.int64, 0)
        self._place = (grid.base_ns, grid.step_ns, grid.window_ns)

    def resize(self, series: int) -> None:
        self._counts.resize(series)

    def count(self, series: I32, ts: I64) -> None:
        add_counts(series, ts, ONE, *self._place, self._counts.array)

    def counts(self) -> NDArray[np.int64]:
        return np.cumsum(self._counts.used(), axis=1)[:, :-1]


class SumAccumulator(_ValueAccumulator):
    """sum, rate and avg of unwrapped values."""

    def __init__(self, grid: Grid, *, scale: float = 1.0, mean: bool = False) -> None:
        super().__init__(grid)
        self._sums = _Cells(grid.steps, np.float64, 0.0)
        self._scale, self._mean = scale, mean

    def resize(self, series: int) -> None:
        super().resize(series)
        self._sums.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        self.count(series, ts)
        add_sums(series, ts, values.astype(np.float64), *self._place, self._sums.array)

    def finish(self) -> tuple[F64, Mask2]:
        counts, sums = self.counts(), self._sums.used().astype(np.float64)
        if self._mean:
            return sums / np.maximum(counts, 1), counts > 0
        return sums / self._scale, counts > 0


class ExtremeAccumulator(_ValueAccumulator):
    """min and max; NaN only where there is no number."""

    def __init__(self, grid: Grid, *, largest: bool) -> None:
        super().__init__(grid)
        self._best = _Cells(grid.steps, np.float64, np.nan)
        self._largest = largest

    def resize(self, series: int) -> None:
        super().resize(series)
        self._best.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        self.count(series, ts)
        numbers = values.astype(np.float64)
        add_extremes(series, ts, numbers, *self._place, self._largest, self._best.array)

    def finish(self) -> tuple[F64, Mask2]:
        return self._best.used().astype(np.float64), self.counts() > 0


class MomentAccumulator:
    """stddev and stdvar over the population."""

    def __init__(self, grid: Grid, *, root: bool) -> None:
        self._place = (grid.base_ns, grid.step_ns, grid.window_ns)
        self._counts = _Cells(grid.steps, np.int64, 0)
        self._means = _Cells(grid.steps, np.float64, 0.0)
        self._squares = _Cells(grid.steps, np.float64, 0.0)
        self._root = root

    def resize(self, series: int) -> None:
        for cells in (self._counts, self._means, self._squares):
            cells.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        cells = (self._counts.array, self._means.array, self._squares.array)
        add_moments(series, ts, values.astype(np.float64), *self._place, *cells)

    def finish(self) -> tuple[F64, Mask2]:
        counts = self._counts.used()
        variance = self._squares.used().astype(np.float64) / np.maximum(counts, 1)
        return np.sqrt(variance) if self._root else variance, counts > 0


class EdgeAccumulator:
    """first and last value by time."""

    def __init__(self, grid: Grid, *, newest: bool) -> None:
        self._place = (grid.base_ns, grid.step_ns, grid.window_ns)
        info = np.iinfo(np.int64)
        self._unset = info.min if newest else info.max
        self._times = _Cells(grid.steps, np.int64, self._unset)
        self._values = _Cells(grid.steps, np.float64, np.nan)
        self._newest = newest

    def resize(self, series: int) -> None:
        self._times.resize(series)
        self._values.resize(series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        cells = (self._times.array, self._values.array)
        add_edges(series, ts, values.astype(np.float64), *self._place, self._newest, *cells)

    def finish(self) -> tuple[F64, Mask2]:
        present = self._times.used() != self._unset
        return self._values.used().astype(np.float64), present


class SortedAccumulator:
    """Functions that need every sample of a window: quantile, counter rate."""

    def __init__(self, grid: Grid, compute: Callable[[I64, I64, F64, Grid, F64], None]) -> None:
        self._grid, self._compute = grid, compute
        self._parts: list[tuple[I32, I64, F64]] = []
        self._series = 0

    def resize(self, series: int) -> None:
        self._series = max(self._series, series)

    def add(self, series: I32, ts: I64, values: NDArray[np.int64] | F64) -> None:
        self._parts.append((series, ts, values.astype(np.float64)))

    def finish(self) -> tuple[F64, Mask2]:
        grid = self._grid
        out = np.full((self._series, grid.steps), np.nan)
        counts = np.zeros((self._series, grid.steps + 1), np.int64)
        if self._parts:
            series, ts, values = (
                np.concatenate(column) for column in zip(*self._parts, strict=True)
            )
            order = np.lexsort((ts, series))
            series, ts, values = series[order], ts[order], values[order]
            bounds = np.searchsorted(series, np.arange(self._series + 1)).astype(np.int64)
            self._compute(bounds, ts, values, grid, out)
            add_counts(series, ts, ONE, grid.base_ns, grid.step_ns, grid.window_ns, counts)
        return out, np.cumsum(counts, axis=1)[:, :-1] > 0


def _quantile_of(q: float) -> Callable[[I64, I64, F64, Grid, F64], None]:
    def compute(bounds: I64, ts: I64, values: F64, grid: Grid, out: F64) -> None:
        quantiles(bounds, ts, values, grid.base_ns, grid.step_ns, grid.window_ns, q, out)

    return compute


def _counter(bounds: I64, ts: I64, values: F64, grid: Grid, out: F64) -> None:
    counter_rates(bounds, ts, values, grid.base_ns, grid.step_ns, grid.window_ns, out)


def accumulator_for(
    op: str, grid: Grid, parameter: float | None, *, unwrapped: bool
) -> Accumulator:
    """The accumulator of a range function (reference/logql.md §10.3)."""
    seconds = grid.span_ns / NS_PER_S or 1.0  # a window without length holds nothing
    match op:
        case "rate" if unwrapped:
            return SumAccumulator(grid, scale=seconds)
        case "rate" | "bytes_rate":
            return CountAccumulator(grid, scale=seconds)
        case "count_over_time" | "bytes_over_time" | "absent_over_time":
            return CountAccumulator(grid)
        case "sum_over_time":
            return SumAccumulator(grid)
        case "avg_over_time":
            return SumAccumulator(grid, mean=True)
        case "min_over_time" | "max_over_time":
            return ExtremeAccumulator(grid, largest=op == "max_over_time")
        case "stddev_over_time" | "stdvar_over_time":
            return MomentAccumulator(grid, root=op == "stddev_over_time")
        case "first_over_time" | "last_over_time":
            return EdgeAccumulator(grid, newest=op == "last_over_time")
        case "quantile_over_time":
            assert parameter is not None
            return SortedAccumulator(grid, _quantile_of(parameter))
        case "rate_counter":
            return SortedAccumulator(grid, _counter)
    raise ValueError(f"unknown range function {op!r}")
