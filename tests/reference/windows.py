"""Range functions, slow and obvious: for each step, list the samples of its window and compute."""

import itertools
import math
from collections.abc import Sequence

NS = 1_000_000_000


def window(
    samples: Sequence[tuple[int, float]], t: int, span: int, offset: int
) -> list[tuple[int, float]]:
    """Samples with `t - offset - span < ts <= t - offset`, in order of time (stable)."""
    inside = [s for s in samples if t - offset - span < s[0] <= t - offset]
    return sorted(inside, key=lambda s: s[0])


def value_of(
    op: str, inside: Sequence[tuple[int, float]], span: int, upper: int, q: float = 0.5
) -> float | None:
    """The value of a range function; None when the window is empty."""
    if not inside:
        return None
    values = [v for _, v in inside]
    seconds = span / NS
    match op:
        case "count_over_time":
            return len(values)
        case "rate":
            return len(values) / seconds
        case "sum_over_time":
            return math.fsum(values)
        case "avg_over_time":
            return math.fsum(values) / len(values)
        case "min_over_time":
            return min(values)
        case "max_over_time":
            return max(values)
        case "stdvar_over_time" | "stddev_over_time":
            mean = math.fsum(values) / len(values)
            variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
            return variance if op == "stdvar_over_time" else math.sqrt(variance)
        case "first_over_time":
            return values[0]
        case "last_over_time":
            return values[-1]
        case "quantile_over_time":
            ordered = sorted(values)
            rank = q * (len(ordered) - 1)
            low = math.floor(rank)
            high = min(low + 1, len(ordered) - 1)
            return ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)
        case "rate_counter":
            return counter_rate(inside, span, upper)
    raise ValueError(op)


def counter_rate(inside: Sequence[tuple[int, float]], span: int, upper: int) -> float:
    """Increase with resets, extrapolated, per second."""
    if len(inside) < 2:
        return 0.0
    increase = inside[-1][1] - inside[0][1]
    for (_, before), (_, after) in itertools.pairwise(inside):
        if after < before:
            increase += before
    sampled = (inside[-1][0] - inside[0][0]) / NS
    if sampled == 0:
        return math.nan
    to_start = (inside[0][0] - (upper - span)) / NS
    to_end = (upper - inside[-1][0]) / NS
    gap = sampled / (len(inside) - 1)
    if increase > 0 and inside[0][1] >= 0:
        to_start = min(to_start, sampled * inside[0][1] / increase)
    reach = sampled
    reach += to_start if to_start < gap * 1.1 else gap / 2
    reach += to_end if to_end < gap * 1.1 else gap / 2
    return increase * reach / sampled / (span / NS)
