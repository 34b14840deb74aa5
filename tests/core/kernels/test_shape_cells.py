"""Do kernels over many cells say what one look at each cell would say?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.columns import I64, Spans
from narfi.core.kernels import shape_cells as sc
from narfi.core.kernels.shape_values import PROFILE_SIZE, SAME
from narfi.core.kernels.shape_values import profile as profile_of
from storage.block.shapes.cells import cells_of, profiles
from storage.block.shapes.cut import cut
from storage.block.shapes.group import Group
from storage.lines.template import classes_of

VALUE = st.sampled_from([b"", b"7", b"12", b"a-b", b"\xff", b"07", b"x.y", b"1.50"])
VALUES = st.lists(st.lists(VALUE, min_size=1, max_size=6), min_size=1, max_size=5)


def table(cells: list[list[bytes]]) -> tuple[Spans, I64]:
    """(values, where those of each cell begin)."""
    bounds = np.cumsum([0, *map(len, cells)]).astype(np.int64)
    return Spans.of(value for cell in cells for value in cell), bounds


@settings(deadline=None)
@given(cells=VALUES)
def test_equal_values(cells: list[list[bytes]]) -> None:
    values, bounds = table(cells)
    out = np.empty(len(cells), np.bool_)
    sc.same_cells(values.data, values.start, values.length, bounds, out)
    assert out.tolist() == [len(set(cell)) == 1 for cell in cells]


@settings(deadline=None)
@given(cells=VALUES)
def test_profiles(cells: list[list[bytes]]) -> None:
    values, bounds = table(cells)
    found = profiles(values, bounds)
    for cell, mine in zip(cells, found, strict=True):
        one, out = Spans.of(cell), np.zeros(PROFILE_SIZE, np.int64)
        profile_of(one.data, one.start, one.length, out)
        assert mine.tolist() == out.tolist()
        assert bool(mine[SAME]) == (len(set(cell)) == 1)


@settings(deadline=None)
@given(cells=VALUES)
def test_stamps(cells: list[list[bytes]]) -> None:
    values, bounds = table(cells)
    out = np.empty((len(cells), 3), np.int64)
    sc.stamp_cells(values.data, values.start, values.length, bounds, out)
    wanted = [
        [classes_of(b"".join(cell)), min(map(len, cell)), max(map(len, cell))] for cell in cells
    ]
    assert out.tolist() == wanted
    words = sorted({value for cell in cells for value in cell})
    codes = np.array([words.index(value) for cell in cells for value in cell], np.int32)
    word = np.array([[classes_of(w), len(w)] for w in words], np.int64).reshape(-1)
    coded = np.empty((len(cells), 3), np.int64)
    sc.stamp_coded_cells(word, codes, bounds, coded)
    assert coded.tolist() == wanted


@settings(deadline=None)
@given(cells=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=4), min_size=1, max_size=4))
def test_equal_hashes(cells: list[list[int]]) -> None:
    bounds = np.cumsum([0, *map(len, cells)]).astype(np.int64)
    out = np.empty(len(cells), np.bool_)
    hashes = np.array([value for cell in cells for value in cell], np.uint64)
    sc.alike_cells(hashes, bounds, out)
    assert out.tolist() == [len(set(cell)) == 1 for cell in cells]


@settings(deadline=None)
@given(
    first=st.lists(st.integers(0, 999), min_size=1, max_size=5),
    second=st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=1, max_size=5),
)
def test_cells_are_the_holes_and_strangers_are_left_out(
    first: list[int], second: list[tuple[int, bool]]
) -> None:
    """Lines that got into a group by chance, and differ in a byte of a constant, are dropped."""
    second[0] = (second[0][0], True)
    lines = [b'{"a":%d,"b":"x"}' % n for n in first]
    lines += [b"k=%d z=%d" % (n, n) if own else b"k=%d,z=%d" % (n, n) for n, own in second]
    found = cut(Spans.of(lines), fine=False)
    rows = np.arange(len(lines))
    cells = cells_of(
        found,
        [
            Group(rows[: len(first)], int(found.how[0])),
            Group(rows[len(first) :], int(found.how[-1])),
        ],
    )
    good = [n for n, own in second if own]
    numbers = [[b"%d" % n for n in first], [b"x"] * len(first), *[[b"%d" % n for n in good]] * 2]
    assert [cells.values([c]).to_list() for c in range(len(cells))] == numbers
    assert cells.values([0, 2]).to_list() == numbers[0] + numbers[2]
    assert cells.groups[1].rows.tolist() == [
        len(first) + place for place, (_, own) in enumerate(second) if own
    ]


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    step=st.integers(1, 4),
)
def test_samples_begin_anew_in_each_cell(sizes: list[int], step: int) -> None:
    bounds = np.cumsum([0, *sizes]).astype(np.int64)
    out = np.empty(sum(sizes), np.int64)
    count = sc.sample_places(bounds, step, out)
    wanted = [
        place
        for first, end in zip(bounds.tolist(), bounds[1:].tolist(), strict=False)
        for place in range(first, end, step)
    ]
    assert out[:count].tolist() == wanted


PIECES = st.lists(st.one_of(st.sampled_from([b"a", b"bc"]), st.integers(0, 1)), max_size=4)


@settings(deadline=None)
@given(
    shapes=st.lists(st.tuples(PIECES, st.integers(1, 3)), min_size=1, max_size=4),
    damage=st.tuples(st.integers(0, 20), st.sampled_from([b"", b"x", b"ab"])),
    seed=st.integers(0, 99),
)
def test_printed_pieces_are_compared_with_lines(
    shapes: list[tuple[list[bytes | int], int]], damage: tuple[int, bytes], seed: int
) -> None:
    """Pieces of bytes are constants, numbers are columns, each at most once in a shape."""
    random = np.random.default_rng(seed)
    columns: list[list[bytes]] = [[], []]
    lines: list[bytes] = []
    good: list[bool] = []
    texts: list[bytes] = []
    pieces: list[int] = []
    piece_from, shape_from = [0], [0]
    for given_pieces, rows in shapes:
        mine = [
            piece
            for k, piece in enumerate(given_pieces)
            if isinstance(piece, bytes) or piece not in given_pieces[:k]
        ]
        for piece in mine:
            if isinstance(piece, bytes):
                pieces.append(~len(texts))
                texts.append(piece)
            else:
                pieces.append(piece)
        is_good = True
        for _ in range(rows):
            line = b""
            for piece in mine:
                if isinstance(piece, int):
                    value = [b"", b"7", b"ab"][random.integers(3)]
                    columns[piece].append(value)
                    line += value
                else:
                    line += piece
            came = line[:-1] + damage[1] if len(lines) == damage[0] else line
            is_good &= came == line
            lines.append(came)
        good.append(is_good)
        piece_from.append(len(pieces))
        shape_from.append(len(lines))
    came_lines, constants = Spans.of(lines), Spans.of(texts)
    values = Spans.of(columns[0] + columns[1])
    out = np.zeros(len(shapes), np.bool_)
    sc.compare_printed(
        came_lines.data,
        came_lines.start,
        came_lines.length,
        np.array(shape_from, np.int64),
        np.array(piece_from, np.int64),
        np.array(pieces, np.int64),
        constants.data,
        constants.start,
        constants.length,
        values.start + values.data.ctypes.data,
        values.length,
        np.array([0, len(columns[0])], np.int64),
        out,
    )
    assert out.tolist() == good
