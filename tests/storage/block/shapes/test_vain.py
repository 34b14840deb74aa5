"""Are lines that never have a shape cut by a sample only, and do they get one when there is one?"""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from storage.block.shapes import families, vain
from storage.block.shapes.cut import CutLines, cut
from storage.block.shapes.family_memory import FamilyMemory
from storage.block.shapes.vain import SAMPLED, sampled
from tests.reference.budget import examples
from tests.reference.families import check_family, made, slow_lines

ROWS = 400
LEAST = 50
"""Lines of a shape."""


def prose(n: int) -> bytes:
    """Constants that no other line has."""
    return b"it is" + bytes(b",;"[int(bit)] for bit in f"{n:b}") + b" so"


def report(n: int) -> bytes:
    """Lines of one shape."""
    return b"took %d ms of %d" % (n, n * n)


def member(n: int) -> bytes:
    """JSON."""
    return b'{"a":%d,"b":"x%d"}' % (n, n % 7)


@pytest.fixture
def cut_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lines were cut at a time: of what is left of a block, and of samples of it."""
    found: list[int] = []

    def told(lines: Spans, *, fine: bool) -> CutLines:
        found.append(len(lines))
        return cut(lines, fine=fine)

    monkeypatch.setattr(families, "cut", told)
    monkeypatch.setattr(vain, "cut", told)
    return found


def block(memory: FamilyMemory, *streams: Sequence[bytes]) -> list[int]:
    """Lines with a shape, stream by stream; every line comes back."""
    named = [({"app": f"a{number}"}, lines) for number, lines in enumerate(streams)]
    every = [line for lines in streams for line in lines]
    found: dict[int, bytes] = {}
    shaped: set[int] = set()
    for family in made(named, LEAST, 1, memory):
        check_family(family)
        found |= slow_lines(family)
        shaped |= {row for shape in family.shapes for row in shape.rows.tolist()}
    assert [found[row] for row in range(len(every))] == every
    counts, first = [], 0
    for lines in streams:
        counts.append(len(shaped & set(range(first, first + len(lines)))))
        first += len(lines)
    return counts


def test_a_stream_that_gave_nothing_is_cut_by_a_sample(cut_rows: list[int]) -> None:
    memory, lines = FamilyMemory(), [prose(n) for n in range(ROWS)]
    reports = [report(n) for n in range(ROWS)]
    assert block(memory, lines, reports) == [0, ROWS]
    assert cut_rows == [2 * ROWS]
    cut_rows.clear()
    assert block(memory, lines, reports) == [0, ROWS]
    assert cut_rows == [ROWS // SAMPLED, 0]


def test_a_shape_that_comes_later_is_found(cut_rows: list[int]) -> None:
    """And the stream is cut as any other from then on."""
    memory, lines = FamilyMemory(), [prose(n) for n in range(ROWS)]
    block(memory, lines)
    cut_rows.clear()
    assert block(memory, [line for n in range(ROWS) for line in (prose(n), report(n))]) == [ROWS]
    assert cut_rows == [2 * ROWS // SAMPLED, 2 * ROWS]
    cut_rows.clear()
    block(memory, lines[:ROWS] + [report(n) for n in range(2 * LEAST)])
    assert cut_rows == [ROWS]


def test_few_lines_are_always_cut(cut_rows: list[int]) -> None:
    memory, lines = FamilyMemory(), [prose(n) for n in range(vain.SAMPLED_FROM - 1)]
    block(memory, lines)
    block(memory, lines)
    assert cut_rows == [len(lines)] * 2


@pytest.mark.parametrize("period", [2, 3, 8, 24])
def test_a_sample_sees_every_kind_of_turn(period: int) -> None:
    places = sampled(1000)
    assert len(places) == 125
    assert (places // SAMPLED).tolist() == list(range(125))
    assert set((places % period).tolist()) == set(range(period))
    assert [sampled(n).tolist() for n in (0, 1)] == [[], [0]]


STREAM = st.lists(st.sampled_from("prj"), min_size=1, max_size=200)


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(STREAM, min_size=1, max_size=3), min_size=2, max_size=4))
def test_every_line_comes_back(
    monkeypatch: pytest.MonkeyPatch, blocks: list[list[list[str]]]
) -> None:
    monkeypatch.setattr(vain, "SAMPLED_FROM", 10)
    kinds = {"p": prose, "r": report, "j": member}
    memory = FamilyMemory()
    for streams in blocks:
        lines = [[kinds[kind](n) for n, kind in enumerate(mine)] for mine in streams]
        block(memory, *lines)
