"""How do samples become values per step? One pass over unsorted samples, no sort.

A step k stands at `t0 + k * step` and covers `t - offset - span < ts <= t - offset` (left-open,
reference/logql.md §10.2). Arguments are ns; `base = t0 - offset`. Cell arrays are [series, steps].
Samples lie within the windows of the steps, or between them; so no sum here leaves 64 bits.
"""

import numpy as np
from numpy.typing import NDArray

from narfi.core.kernels.jit import kernel
from narfi.core.kernels.quantile import between, is_inside, neighbours, outside

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

FEW_ROWS = 8
"""So many rows of a run are looked at one by one, which costs less than to bisect them."""


@kernel(inline=True)
def _first_step(ts: int, base: int, step: int) -> int:
    """The first step that stands at or after ts."""
    ahead = ts - base
    if ahead <= 0:
        return 0
    return (ahead - 1) // step + 1


@kernel(inline=True)
def _last_step(ts: int, base: int, step: int, span: int, steps: int) -> int:
    """The last step whose window still holds ts; -1 when none does."""
    ahead = (ts - base) + (span - 1)
    if ahead < 0:
        return -1
    last = ahead // step
    return last if last < steps else steps - 1


@kernel("void(ci32, ci64, ci64, int64, int64, int64, int64[:, ::1])", early=True)
def add_counts(
    series: I32, ts: I64, weight: I64, base: int, step: int, span: int, diff: I64
) -> None:
    """Add integer weights as differences: the running sum along a row gives the cells.

    `weight` has one place per sample, or a single place that counts for all; `diff` has steps + 1
    columns.
    """
    steps = diff.shape[1] - 1
    single = weight.shape[0] == 1
    low, high = 0, -1
    oldest, newest = 1, 0  # all times between them have the same steps
    for i in range(series.shape[0]):
        if not oldest <= ts[i] <= newest:
            low = _first_step(ts[i], base, step)
            high = _last_step(ts[i], base, step, span, steps)
            oldest, newest = _same_steps(ts[i], base, step, span)
        if low <= high:
            w = weight[0] if single else weight[i]
            diff[series[i], low] += w
            diff[series[i], high + 1] -= w


@kernel()
def _same_steps(ts: int, base: int, step: int, span: int) -> tuple[int, int]:
    """`oldest <= t <= newest`: times around ts within the same windows."""
    behind_end = (ts - base - 1) % step  # since the last end of a window
    behind_begin = (ts - base + span - 1) % step  # since a window was left
    return ts - min(behind_end, behind_begin), ts + step - 1 - max(behind_end, behind_begin)


@kernel(inline=True)
def until(ts: I64, low: int, high: int, edge: int) -> int:
    """The first of the ascending rows `low <= row < high` that lies behind the edge, or high."""
    while low < high:
        middle = (low + high) // 2
        if ts[middle] <= edge:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(inline=True)
def _quotient(ahead: int, step: int, inverse: float) -> int:
    """`ahead // step`, of numbers that are not negative, without a division; inverse: 1 / step."""
    found = int(ahead * inverse)  # one too few or too many at most
    rest = ahead - found * step
    if rest < 0:
        return found - 1
    return found + 1 if rest >= step else found


@kernel(inline=True)
def _steps_of(
    ahead: int, step: int, inverse: float, span: int, whole: int, last_step: int, beyond: int
) -> tuple[int, int]:
    """The first and the last step whose windows hold a time, so far ahead of the first step.

    It lies within the windows or between them; `beyond` is how far ahead the last step is, `whole`
    how many steps the span has, where it is a multiple of the step, else 0.
    """
    first = 0 if ahead <= 0 else _quotient(ahead - 1, step, inverse) + 1
    if first and whole:
        return first, min(first - 1 + whole, last_step)
    ahead += span - 1
    return first, last_step if ahead >= beyond else _quotient(ahead, step, inverse)


@kernel("int64(ci32, ci64, ci64, ci64, int64, int64, int64, int64[:, ::1])", early=True)
def count_runs(
    series: I32, low: I64, high: I64, ts: I64, base: int, step: int, span: int, diff: I64
) -> int:
    """As `add_counts` of the rows `low[i] : high[i]` of each series, whose times ascend.

    Bisects the edges of the windows, so that most rows are not looked at. Returns the number of
    rows from the beginning of the first window to the end of the last.
    """
    steps, flat = diff.shape[1] - 1, diff.reshape(-1)
    beyond, inverse = (steps - 1) * step, 1.0 / step
    whole = span // step if span % step == 0 else 0
    oldest, newest = base - span, base + beyond
    rows = 0
    for i in range(series.shape[0]):
        left, end = low[i], high[i]
        if end - left > FEW_ROWS:
            left = until(ts, left, end, oldest)
            end = until(ts, left, end, newest)
            if left == end:
                continue
        first = last = 0
        if end - left > FEW_ROWS:
            first = _first_step(ts[left], base, step)
            last = _last_step(ts[end - 1], base, step, span, steps)
        if end - left <= FEW_ROWS or end - left <= last - first:  # fewer rows than windows
            mine = series[i] * diff.shape[1]
            for row in range(left, end):
                ahead = ts[np.uint64(row)] - base
                if -span < ahead <= beyond:
                    opens, ends = _steps_of(ahead, step, inverse, span, whole, steps - 1, beyond)
                    flat[np.uint64(mine + opens)] += 1
                    flat[np.uint64(mine + ends + 1)] -= 1
                    rows += 1
            continue
        rows += end - left
        right = left
        for k in range(first, last + 1):
            upper = base + k * step
            right = until(ts, right, end, upper)
            left = until(ts, left, right, upper - span)
            diff[series[i], k] += right - left
            diff[series[i], k + 1] -= right - left
    return rows


@kernel("void(ci32, ci64, ci64, ci64, ci64, int64, int64, int64, int64[:, ::1])", early=True)
def sum_runs(
    series: I32,
    low: I64,
    high: I64,
    ts: I64,
    before: I64,
    base: int,
    step: int,
    span: int,
    diff: I64,
) -> None:
    """As `count_runs`, of integer weights: `before[row]` is the sum of those in front of a row."""
    steps, flat = diff.shape[1] - 1, diff.reshape(-1)
    beyond, inverse = (steps - 1) * step, 1.0 / step
    whole = span // step if span % step == 0 else 0
    oldest, newest = base - span, base + beyond
    for i in range(series.shape[0]):
        left, end = low[i], high[i]
        if end - left > FEW_ROWS:
            left = until(ts, left, end, oldest)
            end = until(ts, left, end, newest)
            if left == end:
                continue
        first = last = 0
        if end - left > FEW_ROWS:
            first = _first_step(ts[left], base, step)
            last = _last_step(ts[end - 1], base, step, span, steps)
        if end - left <= FEW_ROWS or end - left <= last - first:  # fewer rows than windows
            mine = series[i] * diff.shape[1]
            for row in range(left, end):
                ahead = ts[np.uint64(row)] - base
                if -span < ahead <= beyond:
                    opens, ends = _steps_of(ahead, step, inverse, span, whole, steps - 1, beyond)
                    weight = before[row + 1] - before[row]
                    flat[np.uint64(mine + opens)] += weight
                    flat[np.uint64(mine + ends + 1)] -= weight
            continue
        right = left
        for k in range(first, last + 1):
            upper = base + k * step
            right = until(ts, right, end, upper)
            left = until(ts, left, right, upper - span)
            diff[series[i], k] += before[right] - before[left]
            diff[series[i], k + 1] -= before[right] - before[left]


@kernel("void(ci32, ci64, cf64, int64, int64, int64, float64[:, ::1])")
def add_sums(series: I32, ts: I64, value: F64, base: int, step: int, span: int, sums: F64) -> None:
    """Add float values cell by cell (differences would leave rounding behind)."""
    steps = sums.shape[1]
    for i in range(series.shape[0]):
        low = _first_step(ts[i], base, step)
        high = _last_step(ts[i], base, step, span, steps)
        for k in range(low, high + 1):
            sums[series[i], k] += value[i]


@kernel("void(ci32, ci64, cf64, int64, int64, int64, boolean, float64[:, ::1])")
def add_extremes(
    series: I32,
    ts: I64,
    value: F64,
    base: int,
    step: int,
    span: int,
    largest: bool,
    best: F64,
) -> None:
    """Keep the smallest or largest value; `best` starts as NaN, which any number replaces."""
    steps = best.shape[1]
    for i in range(series.shape[0]):
        low = _first_step(ts[i], base, step)
        high = _last_step(ts[i], base, step, span, steps)
        v = value[i]
        for k in range(low, high + 1):
            current = best[series[i], k]
            if np.isnan(current) or (v > current if largest else v < current):
                best[series[i], k] = v


@kernel(
    "void(ci32, ci64, cf64, int64, int64, int64, int64[:, ::1], float64[:, ::1], float64[:, ::1])"
)
def add_moments(
    series: I32,
    ts: I64,
    value: F64,
    base: int,
    step: int,
    span: int,
    counts: I64,
    means: F64,
    squares: F64,
) -> None:
    """Welford's running mean and sum of squared deviations."""
    steps = counts.shape[1]
    for i in range(series.shape[0]):
        low = _first_step(ts[i], base, step)
        high = _last_step(ts[i], base, step, span, steps)
        s, v = series[i], value[i]
        for k in range(low, high + 1):
            counts[s, k] += 1
            delta = v - means[s, k]
            means[s, k] += delta / counts[s, k]
            squares[s, k] += delta * (v - means[s, k])


@kernel("void(ci64, ci64, cf64, int64, int64, int64, float64, float64[:, ::1])", allocates=True)
def quantiles(
    bounds: I64,
    ts: I64,
    value: F64,
    base: int,
    step: int,
    span: int,
    q: float,
    out: F64,
) -> None:
    """Quantile per cell of samples sorted by (series, ts); `bounds` are series starts, and the end.

    Linear interpolation at q * (n - 1); q < 0 gives -Inf, q > 1 +Inf; NaN sorts first.
    Cells without samples are left as they are.
    """
    steps = out.shape[1]
    for s in range(bounds.shape[0] - 1):
        left = right = bounds[s]
        end = bounds[s + 1]
        for k in range(steps):
            upper = base + k * step
            lower = upper - span
            while right < end and ts[right] <= upper:
                right += 1
            while left < right and ts[left] <= lower:
                left += 1
            n = right - left
            if n == 0:
                continue
            if not is_inside(q):
                out[s, k] = outside(q)
            else:
                window = value[left:right].copy()
                nans = 0
                for j in range(n):
                    if np.isnan(window[j]):
                        window[j] = window[nans]
                        window[nans] = np.nan
                        nans += 1
                window[nans:].sort()
                low, high, weight = neighbours(q, n)
                out[s, k] = between(window[low], window[high], weight)
