"""Families of lines for tests: put together again value by value, and what they promise."""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import Spans
from narfi.core.kernels.shape_values import CLASS_OF
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.block.family import Family
from storage.block.shapes.families import families_of
from storage.block.shapes.family_memory import FamilyMemory
from storage.block.shapes.least import LeastRows
from storage.block.shapes.run import Run
from storage.lines.mixed import MixedLines, MixedRows
from storage.lines.shape_set import ShapeSet
from storage.lines.shared_column import SharedColumn
from storage.lines.template import HoleKind

MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"


def run_of(streams: Sequence[tuple[dict[str, str], Sequence[bytes]]]) -> Run:
    """The lines of some streams."""
    numbers = [n for n, (_, lines) in enumerate(streams) for _ in lines]
    return Run(
        TenantId("t"),
        [Labels.of(labels) for labels, _ in streams],
        np.array(numbers, np.int32),
        Spans.of(line for _, lines in streams for line in lines),
    )


def made(
    streams: Sequence[tuple[dict[str, str], Sequence[bytes]]],
    text: int = 1,
    keyed: int = 1,
    memory: FamilyMemory | None = None,
) -> list[Family]:
    """The families of some streams."""
    return list(families_of(run_of(streams), LeastRows(text, keyed), memory))


def slow_values(family: Family) -> list[list[list[bytes]]]:
    """The printed values of each hole of each shape, taken off the columns in the shapes' order."""
    left = [[text or b"" for text in c.values.spans().to_list()] for c in family.columns]
    found = []
    for shape in family.shapes:
        mine = []
        for column in shape.columns:
            rows = len(shape.rows)
            mine.append(left[column][:rows])
            left[column] = left[column][rows:]
        found.append(mine)
    assert not any(left), "no column has more values than the shapes have lines"
    return found


def slow_lines(family: Family) -> dict[int, bytes]:
    """The line of each row."""
    found = dict(
        zip(family.plain_rows.tolist(), [t or b"" for t in family.plain.to_list()], strict=True)
    )
    for shape, values in zip(family.shapes, slow_values(family), strict=True):
        for place, row in enumerate(shape.rows.tolist()):
            text = shape.template.constants[0]
            for hole, constant in zip(values, shape.template.constants[1:], strict=True):
                text += hole[place] + constant
            assert row not in found, "a row is in one place"
            found[row] = text
    return found


def check_family(family: Family) -> None:
    """What shapes and columns promise."""
    names = [column.name.lower() for column in family.columns]
    assert len(set(names)) == len(names)
    assert not {"row", "shape", "line", "stream", "ts"} & set(names)
    assert (np.diff(family.plain_rows) > 0).all()
    for shape, values in zip(family.shapes, slow_values(family), strict=True):
        assert len(shape.rows)
        assert (np.diff(shape.rows) > 0).all()
        assert len(set(shape.columns)) == len(shape.columns) == len(shape.template.holes)
        for hole, column, texts in zip(shape.template.holes, shape.columns, values, strict=True):
            assert hole.name == family.columns[column].name
            assert min(map(len, texts)) == hole.min_length
            assert max(map(len, texts)) == hole.max_length
            seen = 0
            for byte in b"".join(texts):
                seen |= int(CLASS_OF[byte])
            if hole.type.kind is HoleKind.TIME and b"b" in hole.type.layout:
                for byte in MONTHS:
                    seen |= int(CLASS_OF[byte])
            assert seen == hole.classes, (hole, texts)


def mixed_lines(family: Family) -> MixedLines:
    """All rows of a family, as a reader has those of a row group."""
    shapes = ShapeSet(
        [shape.template for shape in family.shapes], [shape.columns for shape in family.shapes]
    )
    counts = [*(len(shape.rows) for shape in family.shapes), len(family.plain_rows)]
    bounds = np.append(0, np.cumsum(counts, dtype=np.int64))

    def column(number: int) -> SharedColumn:
        owners = shapes.owners(number).shapes
        starts = np.append(0, np.cumsum(np.diff(bounds)[owners]))
        return SharedColumn(family.columns[number].values, owners, starts)

    return MixedLines(
        MixedRows(
            shapes=shapes,
            bounds=bounds,
            whole=column,
            column=column,
            soon=lambda numbers, perhaps: None,
            plain=lambda: family.plain,
            may_hold=lambda number, text: True,
            searched=lambda numbers: None,
            limits=lambda _: None,
            decoded=lambda rows, size: None,
        )
    )
