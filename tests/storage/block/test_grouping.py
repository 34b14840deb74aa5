"""Are lines whose hashes are equal by chance kept apart, or left plain, and never lost?"""

from unittest import mock

import numpy as np
import pytest

from narfi.core.columns import Spans
from narfi.core.kernels.shape_scan import hash_lines
from storage.block.shapes import group
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


@pytest.mark.parametrize("cut", ["as it is", "turned round"])
def test_equal_hashes_of_different_lines(cut: str) -> None:
    lines = LINES if cut == "as it is" else LINES[::-1]

    def collide(*arguments: object) -> None:
        hash_lines(*arguments)  # type: ignore[arg-type]
        skeleton = arguments[5]
        assert isinstance(skeleton, np.ndarray)
        skeleton.fill(7)

    with mock.patch.object(group, "hash_lines", collide):
        for shape in encode_shapes(Spans.of(lines), 1):
            columns = [column.spans().to_list() for column in shape.columns]
            for place, row in enumerate(shape.rows.tolist()):
                text = shape.template.constants[0]
                for values, constant in zip(columns, shape.template.constants[1:], strict=True):
                    text += (values[place] or b"") + constant
                assert text == lines[row]
