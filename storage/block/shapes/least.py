"""From how many lines on does a shape pay?

Bytes are saved from few lines on, but a cell (a hole of a shape) costs CPU, whatever is in it. A
flush is what a push waits for, so it leaves shapes of few lines to the merge, which is asked once.
"""

from dataclasses import dataclass

NEVER = 1 << 40
"""More lines than a block has."""


@dataclass(frozen=True, slots=True)
class LeastRows:
    """What a shape needs, by how its lines are cut."""

    text: int
    keyed: int  # JSON and logfmt: their columns are there anyway
    hole_bytes: int = 0  # bytes of its lines, for each of its holes

    def pays(self, nbytes: int, holes: int) -> bool:
        """Whether lines of so many bytes are worth the cells of their shape."""
        return nbytes >= holes * self.hole_bytes


FLUSHED = LeastRows(64, 1, 1024)
"""For a block as it is flushed: of real logs, two thirds of the cells hold 1 % of the lines."""
MERGED = LeastRows(16, 1, 512)
"""For blocks that are merged: they are read more often than written."""


def least_rows(min_lines: int, usual: LeastRows) -> LeastRows:
    """What a shape needs where it would be `min_lines` lines with a file of its own.

    As many bytes a hole too, at most; 0: no shapes.
    """
    if not min_lines:
        return LeastRows(NEVER, NEVER)
    text, hole_bytes = min(min_lines, usual.text), min(min_lines, usual.hole_bytes)
    return LeastRows(text, usual.keyed, hole_bytes)
