"""What is a family? The lines of streams that print alike: several shapes over shared columns.

A column of a family is one field (a name and a type): every shape that has the field puts its
values there, one shape behind the other, so that a shape of few lines costs no column of its own.
Lines without a shape belong to the family too, behind its shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Spans
from storage.lines.holes import HoleColumn
from storage.lines.template import Template


@dataclass(frozen=True, slots=True)
class FamilyShape:
    """Rows of the block that have one shape, and where the values of its holes are.

    `template` has the stamps of these rows alone; hole k lies in column `columns[k]` of the family,
    no column is there twice.
    """

    template: Template
    rows: I64  # ascending row numbers of the block, at least one
    columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FamilyColumn:
    """A field: the values of every shape that has it, in the order of the family's shapes.

    Holes that share a column agree in what is stored (kind, scale and layout of their types); how
    a value prints (`least`, `width`) may differ from shape to shape.
    """

    name: str  # unique in the family, whatever the case of its letters
    values: HoleColumn
    encoding: str | None = None  # of Parquet, the smallest by trial; None: not tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is written as one file: the shapes one behind the other, then the plain lines."""

    name: str
    shapes: Sequence[FamilyShape]
    columns: Sequence[FamilyColumn]
    plain_rows: I64  # ascending row numbers of the block
    plain: Spans  # their lines

    def rows(self) -> I64:
        """The block's row at each place of the file."""
        return np.concatenate([*(shape.rows for shape in self.shapes), self.plain_rows])
