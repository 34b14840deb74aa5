"""What is an operator? A pure function from frame to frame, one per LogQL stage.

Operators keep row order, may drop rows and change labels or lines, and hold no state between
frames: so where batches are cut can never matter. They are built once per query and used by several
threads at once. Frames of zero rows are legal input and output.
"""

from dataclasses import dataclass
from typing import Protocol

from querier.operators.frame import Frame


class Operator(Protocol):
    """One stage, ready to run."""

    def apply(self, frame: Frame) -> Frame:
        """The frame after the stage; the input is not changed."""
        ...


@dataclass(frozen=True, slots=True)
class Demand:
    """Which labels anything after a stage may look at; None means all of them.

    Parsers may leave out every other label. `errors` tells whether parse errors can be seen
    (log queries, or a filter/grouping on `__error__`, or a metric query that must fail on them).
    """

    labels: frozenset[str] | None = None
    errors: bool = True
    lines: bool = True  # whether the final lines are looked at
