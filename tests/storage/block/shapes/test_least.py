"""Does a shape need what was asked for, and no lines at all become one where shapes are off?"""

import numpy as np

from storage.block.shapes.cut import cut
from storage.block.shapes.encode import MIN_ROWS
from storage.block.shapes.group import family_groups
from storage.block.shapes.least import (
    FLUSHED,
    MERGED,
    NEVER,
    USUAL_LINES,
    LeastRows,
    flushed,
    least_rows,
)
from tests.reference.families import run_of

APP = {"app": "a"}


def test_a_shape_pays_from_so_many_bytes_for_each_hole_on() -> None:
    least = LeastRows(1, 1, 100)
    assert [least.pays(nbytes, 3) for nbytes in (299, 300)] == [False, True]
    assert least.pays(0, 0)
    assert LeastRows(1, 1).pays(0, 9)


def test_fewer_lines_where_a_file_of_its_own_would_need_fewer() -> None:
    assert least_rows(8, FLUSHED) == LeastRows(8, 1, 8)
    assert least_rows(4096, FLUSHED) == least_rows(USUAL_LINES, FLUSHED) == FLUSHED
    assert USUAL_LINES == MIN_ROWS
    assert least_rows(1024, MERGED) == MERGED
    assert least_rows(0, FLUSHED) == LeastRows(NEVER, NEVER)


def test_a_hole_needs_the_same_share_of_a_smaller_block() -> None:
    assert flushed(72_000_000) == flushed(36_000_000) == FLUSHED == LeastRows(64, 1, 3072)
    assert flushed(18_000_000) == LeastRows(64, 1, 6144)
    assert [flushed(size).hole_bytes for size in (6_700_000, 9, 0)] == [16_384] * 3


def test_groups_that_do_not_pay_are_left_out() -> None:
    """Also one half of a skeleton, where texts of it are two shapes."""
    lines = [b"user %d came in at %d" % (n, n) for n in range(30)]
    lines += [b"disk %d went bad on %d" % (n, n) for n in range(9)]
    lines += [b'{"a":%d,"b":%d}' % (n, n) for n in range(9)]
    run = run_of([(APP, lines)])
    found = cut(run.lines, fine=False)
    rows = np.arange(len(lines))

    def sizes(hole_bytes: int) -> list[int]:
        groups = family_groups(found, rows, LeastRows(5, 1, hole_bytes))
        return sorted(len(group.rows) for group in groups)

    json = sum(len(line) for line in lines[-9:])
    assert sizes(0) == [9, 9, 30]
    assert sizes(json // 2 + 1) == sizes(60) == [30]
    assert sizes(2000) == []
