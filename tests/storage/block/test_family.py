"""A family knows which row of the block lies at each place of its file."""

import numpy as np

from narfi.core.columns import Spans
from storage.block.family import Family, FamilyShape
from storage.lines.template import LineKind, Template


def shape_of(constant: bytes, rows: list[int]) -> FamilyShape:
    """A shape without holes."""
    return FamilyShape(Template(LineKind.TEXT, (constant,), ()), np.array(rows, np.int64), ())


def test_plain_rows_come_last() -> None:
    family = Family(
        name="app",
        shapes=[shape_of(b"started", [1, 4]), shape_of(b"stopped", [0, 2])],
        columns=[],
        plain_rows=np.array([3], np.int64),
        plain=Spans.of([b"what nobody knew"]),
    )
    assert family.rows().tolist() == [1, 4, 0, 2, 3]
