"""How many rows does a query have, and how many bytes are their lines?"""

from dataclasses import dataclass

import numpy as np

from querier.executors.leaf import Leaf
from querier.explore.question import Question
from querier.operators.base import Demand

LENGTHS = Demand(frozenset(), errors=False, lines=True)


@dataclass(frozen=True, slots=True)
class RowCount:
    """Of all rows, or those of a leaf task."""

    rows: int
    bytes: int
    charged: int = 0  # to the budget of the leaf: a few bytes, which nobody counts


@dataclass(frozen=True, slots=True)
class CountRows:
    """The rows of a leaf."""

    def run(self, leaf: Leaf) -> RowCount:
        """No row is shown; its line is as long as the stages leave it."""
        rows = size = 0
        for frame in leaf.frames():
            rows += len(frame)
            size += int(frame.lines.lengths().sum(dtype=np.int64))
        return RowCount(rows, size)


def row_count(question: Question) -> RowCount:
    """All rows of the query."""
    parts = list(question.partials(question.query, LENGTHS, CountRows()))
    return RowCount(sum(part.rows for part in parts), sum(part.bytes for part in parts))
