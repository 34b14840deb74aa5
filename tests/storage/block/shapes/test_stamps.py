"""Is the stamp of each cell what its printed values say?"""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from storage.block.shapes.stamps import stamps_of
from storage.lines.holes import HexColumn, HoleColumn, IntegerColumn
from storage.lines.template import HoleKind, HoleType, classes_of

NUMBERS = st.integers(-(10**12), 10**12) | st.integers(-20, 20)
CELLS = st.lists(st.lists(NUMBERS, min_size=1, max_size=5), min_size=1, max_size=4)
NUMBER_TYPES = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 4)).map(
    lambda found: HoleType(
        kind=HoleKind.NUMBER, scale=found[0], least=min(found[:2]), width=found[2]
    )
)


def expected(column: HoleColumn, sizes: list[int]) -> list[list[int]]:
    """By printing all values."""
    texts = [text or b"" for text in column.spans().to_list()]
    found, at = [], 0
    for size in sizes:
        mine = texts[at : at + size]
        at += size
        lengths = [len(text) for text in mine]
        found.append([classes_of(b"".join(mine)), min(lengths), max(lengths)])
    return found


@given(CELLS, NUMBER_TYPES)
@example([[-1, -100], [5, 0, -3], [7, 123]], HoleType(kind=HoleKind.NUMBER, scale=2, least=2))
@example([[-1, -100], [5, 0, -3]], HoleType(kind=HoleKind.NUMBER))
@example([[1500, 2000], [2000]], HoleType(kind=HoleKind.NUMBER, scale=3))
def test_numbers(cells: list[list[int]], kind: HoleType) -> None:
    column = IntegerColumn(np.array([value for cell in cells for value in cell], np.int64), kind)
    sizes = [len(cell) for cell in cells]
    bounds = np.cumsum([0, *sizes]).astype(np.int64)
    assert stamps_of(kind, column, bounds).tolist() == expected(column, sizes)


@given(st.lists(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=4), min_size=1, max_size=4))
@example([[0x1122, 0x9900], [0xABCD], [0x1122]])
def test_hex_digits(cells: list[list[int]]) -> None:
    kind = HoleType(kind=HoleKind.HEX, layout=b"xx-xx")
    values = [[value >> 8, value & 255] for cell in cells for value in cell]
    column = HexColumn(np.array(values, np.uint8), kind.layout)
    sizes = [len(cell) for cell in cells]
    bounds = np.cumsum([0, *sizes]).astype(np.int64)
    assert stamps_of(kind, column, bounds).tolist() == expected(column, sizes)


@given(st.lists(st.lists(st.integers(0, 0xFFFFFFFF), min_size=1), min_size=1, max_size=4))
def test_addresses(cells: list[list[int]]) -> None:
    kind = HoleType(kind=HoleKind.IPV4)
    column = IntegerColumn(np.array([value for cell in cells for value in cell], np.int64), kind)
    sizes = [len(cell) for cell in cells]
    bounds = np.cumsum([0, *sizes]).astype(np.int64)
    assert stamps_of(kind, column, bounds).tolist() == expected(column, sizes)
