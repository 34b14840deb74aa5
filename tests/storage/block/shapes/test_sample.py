"""Does a first block match what a sample of it taught, and is every line in it all the same?"""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes import families, sample
from storage.block.shapes import family_memory as module
from storage.block.shapes.cells import Cells, cells_of
from storage.block.shapes.columns import FamilyColumns
from storage.block.shapes.family_memory import FamilyMemory
from storage.block.shapes.least import LeastRows
from storage.lines.holes import HexColumn, IntegerColumn, WordsColumn
from tests.reference.budget import examples
from tests.reference.families import check_family, made, run_of, slow_lines
from tests.reference.similar import TEMPLATES, Template, print_rows, sprinkle

APP = {"app": "a"}


@pytest.fixture
def _early() -> Iterator[None]:
    """A sample is taken of few lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "MIN_ROWS", 200)
        patch.setattr(sample, "LEARNT", LeastRows(16, 16))
        yield


def cut_at_last(patch: pytest.MonkeyPatch) -> list[int]:
    """How many lines of each family were cut, beyond those of samples."""
    found: list[int] = []
    real = cells_of

    def told(*arguments: object) -> Cells:
        cells = real(*arguments)  # type: ignore[arg-type]
        found.append(len(cells.lines))
        return cells

    patch.setattr(families, "cells_of", told)
    return found


def block(lines: Sequence[bytes], memory: FamilyMemory) -> list[type]:
    """The kinds of the columns of the one family; every line comes back."""
    (family,) = made([(APP, lines)], 1, 1, memory)
    check_family(family)
    found = slow_lines(family)
    assert [found[row] for row in range(len(lines))] == list(lines)
    return [type(column.values) for column in family.columns]


def line(n: int) -> bytes:
    """A number, an id, a name of some, a path with a number."""
    return b"took %d ms id=%016x by %s at /a/%d/b" % (
        n,
        n * 0x9E3779B97F4A7C15 % 2**64,
        [b"amy", b"bob", b"eve"][n % 3],
        n * 7919 % 10007,
    )


@pytest.mark.usefixtures("_early")
def test_a_first_block_matches_its_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = cut_at_last(monkeypatch)
    lines = [line(n) for n in range(999)]
    kinds = block(lines, FamilyMemory())
    assert cut == []
    assert kinds == [IntegerColumn, HexColumn, WordsColumn, IntegerColumn]
    monkeypatch.setattr(sample, "MIN_ROWS", 1000)
    assert sorted(map(str, block(lines, FamilyMemory()))) == sorted(map(str, kinds))
    assert cut == [999]


@pytest.mark.usefixtures("_early")
def test_lines_unlike_the_sample_are_cut_and_share_its_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cut = cut_at_last(monkeypatch)
    lines = [b'{"n":%d,"level":"info"}' % n for n in range(640)]
    lines[1::16] = [b'{"level":"warn","n":%d}' % n for n in range(40)]
    lines[2::16] = [b'{"n":%d.5,"level":"info"}' % n for n in range(40)]
    kinds = block(lines, FamilyMemory())
    assert cut == [80]
    assert kinds == [IntegerColumn, WordsColumn, IntegerColumn]


@pytest.mark.usefixtures("_early")
def test_only_streams_without_shapes_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FamilyMemory()
    block([line(n) for n in range(640)], memory)
    made_of: list[int] = []
    real = FamilyColumns.add_groups

    def told(self: FamilyColumns, cells: Cells, *rest: object) -> None:
        made_of.append(len(cells.lines))
        real(self, cells, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FamilyColumns, "add_groups", told)
    other = [b"other %d of %d" % (n, n * n) for n in range(640)]
    again = [line(n) for n in range(640)]
    (family,) = made([(APP, again), ({"app": "b"}, other)], 1, 1, memory)
    assert not len(family.plain_rows)
    assert made_of == [40]


@pytest.mark.usefixtures("_early")
def test_a_fault_in_a_sample_costs_no_block(monkeypatch: pytest.MonkeyPatch) -> None:
    before, asked = REFUSED_SHAPES._value.get(), []

    def broken(*_: object) -> None:
        asked.append(1)
        raise ValueError("no")

    monkeypatch.setattr(sample, "cells_of", broken)
    memory = FamilyMemory()
    for _ in range(2):
        block([line(n) for n in range(640)], memory)
        memory.known.forget_all(run_of([]).tenant)
    assert REFUSED_SHAPES._value.get() == before + 1
    assert len(asked) == 1, "a tenant whose sample failed is not sampled again"


@pytest.mark.usefixtures("_early")
def test_a_learnt_shape_that_breaks_a_block_is_not_learnt_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no")

    memory = FamilyMemory()
    lines = [line(n) for n in range(640)]
    monkeypatch.setattr(families, "match_known", broken)
    with pytest.raises(ValueError, match="no"):
        block(lines, memory)
    monkeypatch.setattr(families, "match_known", module.match_known)
    cut = cut_at_last(monkeypatch)
    assert block(lines, memory)
    assert cut == [640]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(120))
@given(
    templates=st.lists(TEMPLATES, min_size=1, max_size=3),
    seed=st.integers(0, 1 << 16),
    share=st.sampled_from([1, 2, 5]),
    rows=st.integers(2, 20),
    least=st.sampled_from([1, 3]),
)
def test_blocks_come_back_whatever_the_sample_was(
    templates: list[Template], seed: int, share: int, rows: int, least: int
) -> None:
    before = REFUSED_SHAPES._value.get()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "MIN_ROWS", 1)
        patch.setattr(sample, "SHARE", share)
        patch.setattr(sample, "LEARNT", LeastRows(least, least))
        patch.setattr(module, "LEAST_LEARNT", 1)
        patch.setattr(module, "LEAST_MATCHED", 1)
        lines = [line for template in templates for line in print_rows(template, rows, seed)]
        mixed = sprinkle(lines, seed)
        memory = FamilyMemory()
        for _ in range(2):
            block(mixed, memory)
    assert REFUSED_SHAPES._value.get() == before
