"""What flows between metric operators? Dense cells: series by steps.

Invariant: `labels` are unique (except after label_replace, as in Loki), sorted by name within each
series, without empty values; a value counts only where `present`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from querier.budget import Account
from querier.result import LabelPairs

F64 = NDArray[np.float64]
Mask2 = NDArray[np.bool_]

CELL_BYTES = 9
"""Of a cell: value and presence."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Values of each series at each step; `ordered` when the order of series was asked for."""

    labels: tuple[LabelPairs, ...]
    values: F64  # [series, steps]
    present: Mask2  # [series, steps]
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return int(self.values.shape[1])

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> "Matrix":
        """The given series."""
        index = np.asarray(rows, np.int64)
        labels = tuple(self.labels[i] for i in index.tolist())
        return Matrix(labels, self.values[index], self.present[index], self.ordered)

    def with_labels(self, labels: Sequence[LabelPairs]) -> "Matrix":
        """The same cells under other names."""
        return Matrix(tuple(labels), self.values, self.present, self.ordered)

    def nonempty(self, account: Account) -> "Matrix":
        """Only the series that have a value at some step; the account pays for a copy instead."""
        some = self.present.any(axis=1)
        if some.all():
            return self
        with account.held(self.nbytes):
            found = self.take(np.flatnonzero(some))
        account.release(self.nbytes - found.nbytes)
        return found

    @property
    def nbytes(self) -> int:
        """What the cells take."""
        return len(self.labels) * self.steps * CELL_BYTES


def empty_matrix(steps: int) -> Matrix:
    """No series at all."""
    return Matrix((), np.zeros((0, steps)), np.zeros((0, steps), np.bool_))


def constant_matrix(value: float, steps: int) -> Matrix:
    """One series without labels, the same value at every step."""
    return Matrix(((),), np.full((1, steps), value), np.ones((1, steps), np.bool_))


def group_series(
    labels: Sequence[LabelPairs], key: Callable[[LabelPairs], LabelPairs]
) -> tuple[NDArray[np.int64], tuple[LabelPairs, ...]]:
    """(group number of each series, labels of each group in order of first appearance)."""
    numbers: dict[LabelPairs, int] = {}
    groups = [numbers.setdefault(key(pairs), len(numbers)) for pairs in labels]
    return np.array(groups, np.int64), tuple(numbers)
