"""What do all lines answer, however they are stored? Plain bytes, or a shape with typed columns.

`LineColumn` is the seam that hides it: operators know only the protocol.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from narfi.core.columns import I32, Mask, Spans
from narfi.core.label_column import LabelColumn
from storage.lines.holes import HoleColumn
from storage.lines.template import Template
from storage.lines.texts import Rows


class LineColumn(Protocol):
    """The lines of n entries. Every answer equals the one computed from the decoded bytes.

    Searches return masks over the rows. `shape()` lets a parser answer from typed columns; where
    that is not provably equal it uses `spans()`.
    """

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def spans(self) -> Spans:
        """All lines as bytes (decodes when stored otherwise)."""
        ...

    def lengths(self) -> I32:
        """Bytes of each line."""
        ...

    def contains(self, needle: bytes) -> Mask:
        """Which lines contain the bytes; the empty needle is in every line."""
        ...

    def matches(self, pattern: str) -> Mask:
        """Which lines an unanchored RE2 search finds (`.` excludes newline)."""
        ...

    def about_bytes(self, mean: float) -> int:
        """`nbytes`, with the mean for lines that are typed columns: no column is read for it."""
        ...

    def parts(self, certain: Callable[[Template], bool] | None = None) -> Sequence[Rows]:
        """All rows, once: those of a shape by themselves where they are many.

        Of the other shapes those that are `certain` stand apart from the rest.
        """
        ...

    def shape(self) -> "LineShape | None":
        """What all the lines have in common; None when nothing is known of it."""
        ...

    def take(self, rows: Rows) -> "LineColumn":
        """The given rows; shares memory."""
        ...

    def nbytes(self) -> int:
        """Sum of the line lengths in bytes, without decoding where possible."""
        ...


class LineShape(Protocol):
    """Lines that are one template with typed holes."""

    @property
    def template(self) -> Template:
        """The constants and holes of every line."""
        ...

    def column(self, hole: int) -> HoleColumn:
        """The values of a hole."""
        ...

    def text_between(self, pieces: tuple[bytes | int, ...]) -> LabelColumn:
        """Constants, and holes by their numbers, put together as a label of every row."""
        ...
