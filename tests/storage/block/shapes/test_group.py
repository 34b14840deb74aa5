"""Are lines whose hashes are equal by chance kept apart, or left plain, and never lost?"""

from unittest import mock

import numpy as np
import pytest

from narfi.core.columns import Spans
from narfi.core.kernels.shape_scan import cut_lines
from storage.block.shapes import cut
from storage.block.shapes.encode import encode_shapes

LINES = [
    b"a b c",
    b"x y",
    b"{} x",
    b"(q) (r)",
    b"k=v l=w",
    b"k=1 l=2",
    b'{"a":1}',
    b'{"b":"2"}',
    b"",
    b"x" * 70_000,
    b"a b d",
]


@pytest.mark.parametrize("order", ["as it is", "turned round"])
def test_equal_hashes_of_different_lines(order: str) -> None:
    lines = LINES if order == "as it is" else LINES[::-1]

    def collide(*arguments: object) -> None:
        cut_lines(*arguments)  # type: ignore[arg-type]
        skeleton = arguments[6]
        assert isinstance(skeleton, np.ndarray)
        skeleton.fill(7)

    with mock.patch.object(cut, "cut_lines", collide):
        for shape in encode_shapes(Spans.of(lines), 1):
            columns = [column.spans().to_list() for column in shape.columns]
            for place, row in enumerate(shape.rows.tolist()):
                text = shape.template.constants[0]
                for values, constant in zip(columns, shape.template.constants[1:], strict=True):
                    text += (values[place] or b"") + constant
                assert text == lines[row]
