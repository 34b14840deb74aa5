"""Where among n sorted values does a quantile lie, and what is it? For the kernels that have them.

Linear interpolation at q * (n - 1), as Prometheus.
"""

import numpy as np

from narfi.core.kernels.jit import kernel


@kernel(inline=True)
def is_inside(q: float) -> bool:
    """Whether values decide; else `outside` knows the quantile."""
    return 0.0 <= q <= 1.0


@kernel(inline=True)
def outside(q: float) -> float:
    """The quantile of any values for a q that is no share of them."""
    if q < 0:
        return -np.inf
    if q > 1:
        return np.inf
    return np.nan


@kernel(inline=True)
def neighbours(q: float, n: int) -> tuple[int, int, float]:
    """(place below, place above, weight of the one above) among n > 0 sorted values."""
    place = q * (n - 1)
    low = int(np.floor(place))
    high = low + 1 if low + 1 < n else n - 1
    return low, high, place - low


@kernel(inline=True)
def between(below: float, above: float, weight: float) -> float:
    """The value between two neighbours."""
    return below * (1 - weight) + above * weight
