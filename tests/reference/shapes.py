"""Shapes of lines for tests: as `ShapedLines` in memory, and put together again the slow way."""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import Spans
from storage.block.shapes.encode import EncodedShape, encode_shapes
from storage.lines.shaped import ShapedLines, ShapeGroup
from tests.reference.similar import thresholds


def shapes_of(
    lines: Sequence[bytes], min_rows: int = 1, limits: tuple[int, int, int] | None = None
) -> list[EncodedShape]:
    """The shapes of the lines."""
    with thresholds(limits):
        return list(encode_shapes(Spans.of(lines), min_rows))


def shaped_lines(shape: EncodedShape) -> ShapedLines:
    """All rows of a shape."""
    rows = len(shape.rows)
    group = ShapeGroup(shape.template, rows, lambda hole: shape.columns[hole], lambda _: None)
    return ShapedLines(group, slice(0, rows), lambda rows, size: None)


def slow_lines(shape: EncodedShape) -> list[bytes]:
    """The lines, each put together from its constants and the printed values."""
    values = [column.spans().to_list() for column in shape.columns]
    constants = shape.template.constants
    found = []
    for row in range(len(shape.rows)):
        text = constants[0]
        for hole, constant in zip(values, constants[1:], strict=True):
            value = hole[row]
            assert value is not None
            text += value + constant
        found.append(text)
    return found


def check_template(shape: EncodedShape) -> None:
    """What a template promises of its values."""
    names = [hole.name.lower() for hole in shape.template.holes]
    assert len(set(names)) == len(names)
    assert not {"stream", "ts", "row"} & {hole.name for hole in shape.template.holes}
    from narfi.core.kernels.shape_values import CLASS_OF

    for hole, column in zip(shape.template.holes, shape.columns, strict=True):
        texts = [text or b"" for text in column.spans().to_list()]
        assert column.lengths().tolist() == [len(text) for text in texts]
        assert min(map(len, texts)) == hole.min_length
        assert max(map(len, texts)) == hole.max_length
        seen = 0
        for text in texts:
            for byte in text:
                seen |= int(CLASS_OF[byte])
        assert seen == hole.classes
    assert (np.diff(shape.rows) > 0).all()
