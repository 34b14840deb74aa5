"""What do leaf tasks hand over to an accumulator? Plain arrays with the label sets of series.

A partial is either samples as they are, or what an accumulator made of them (`Folded`), whichever
is smaller; and partials of one query can be merged in any grouping and any order:
- counts, bytes, smallest and largest values, quantiles, first and last values and counter rates are
  equal to those of one whole run, to the bit;
- sums, means and deviations of unwrapped values are floats: equal to the bit while values are whole
  numbers and every sum of them stays below 2^53 (deviations: but for rounding), else equal but for
  the rounding of another order of additions.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64
from querier.metrics.grid import ONE
from querier.metrics.matrix import F64
from querier.result import LabelPairs, QueryStats

LABELS_AT_ONCE = 256
"""Label sets of a partial that are unpickled in one go: some 100 µs, in which nothing else runs."""
ARRIVAL_BITS = 40
"""Of a row number in an arrival: rows of a source are fewer, and sources are below 2^23."""

NO_ARRIVAL: I64 = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Samples as they are, in any order; one place for each."""

    series: I32
    ts: I64
    values: NDArray[np.int64] | F64 | None  # None: each counts one
    arrival: I64  # what orders samples of one instant, where that matters, else none

    def weights(self) -> NDArray[np.int64] | F64:
        """As accumulators take values."""
        return ONE if self.values is None else self.values


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """Cells of an accumulator, [series, width] each; which they are is the accumulator's affair.

    Its steps are those of the grid from `first` on.
    """

    arrays: tuple[NDArray[Any], ...]
    first: int = 0


Held = Samples | Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPartial:
    """What a leaf task of a range aggregation found; series numbers are places in `labels`."""

    labels: tuple[LabelPairs, ...]
    held: Held
    stats: QueryStats
    charged: int  # to the budget of the leaf; whoever takes the partial releases it

    def __reduce__(self) -> tuple[object, ...]:
        parts = range(0, len(self.labels), LABELS_AT_ONCE)
        labels = [pickle.dumps(self.labels[at : at + LABELS_AT_ONCE], protocol=5) for at in parts]
        return _unpickled, (labels, self.held, self.stats, self.charged)


def _unpickled(
    parts: Sequence[bytes], held: Held, stats: QueryStats, charged: int
) -> SeriesPartial:
    labels: list[LabelPairs] = []
    for part in parts:  # others may have the interpreter between them
        labels += pickle.loads(part)
    return SeriesPartial(labels=tuple(labels), held=held, stats=stats, charged=charged)


def arrival_of(order: int, rows: I64) -> I64:
    """What orders rows of all sources of a view as they arrived."""
    return rows + (order << ARRIVAL_BITS)
