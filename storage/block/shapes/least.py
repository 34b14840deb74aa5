"""From how many lines on does a shape pay?

Bytes are saved from few lines on, but a cell (a hole of a shape) costs CPU, whatever is in it. A
flush is what a push waits for, so it leaves shapes of few lines to the merge, which is asked once;
a small block, which is merged soon, leaves more to it.
"""

from dataclasses import dataclass, replace

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


FLUSHED = LeastRows(64, 1, 3072)
"""For a full block as it is flushed: of real logs, six of seven cells hold 3 % of the lines."""
FULL_BYTES = 36_000_000
"""Of lines: so much is a block that was flushed because it is full."""
MOST_HOLE_BYTES = 16_384
"""A hole with so many bytes of lines costs less than what it saves, in any block."""
MERGED = LeastRows(32, 1, 2048)
"""For blocks that are merged: they are read more often than written."""
USUAL_LINES = 1024
"""Lines of a file of its own where the settings say nothing else (`encode.MIN_ROWS`)."""


def flushed(nbytes: int) -> LeastRows:
    """What a shape needs in a block of so many bytes of lines, as it is flushed.

    A hole needs the same share of the block, up to `MOST_HOLE_BYTES`: so what cells cost a byte
    grows little as blocks get smaller.
    """
    hole_bytes = FLUSHED.hole_bytes * FULL_BYTES // max(nbytes, 1)
    most = max(hole_bytes, FLUSHED.hole_bytes)
    return replace(FLUSHED, hole_bytes=min(most, MOST_HOLE_BYTES))


def least_rows(min_lines: int, usual: LeastRows) -> LeastRows:
    """What a shape needs where it would be `min_lines` lines with a file of its own.

    Who asks for fewer than usual gets as few bytes a hole too; 0: no shapes.
    """
    if not min_lines:
        return LeastRows(NEVER, NEVER)
    hole_bytes = usual.hole_bytes
    if min_lines < USUAL_LINES:
        hole_bytes = min(min_lines, hole_bytes)
    return LeastRows(min(min_lines, usual.text), usual.keyed, hole_bytes)
