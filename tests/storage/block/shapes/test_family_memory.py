"""Do lines of known shapes join the columns of their fields, and print what they were?"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.clock import ManualClock
from narfi.core.columns import I32, Spans
from narfi.core.kernels import shape_match as sm
from narfi.core.tenant import TenantId
from storage.block.family import Family
from storage.block.identity import Layout
from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes import alike, families
from storage.block.shapes import family_memory as module
from storage.block.shapes import matched as matched_lines
from storage.block.shapes.family_memory import FamilyMemory, KnownLines
from storage.block.shapes.infer import WordLimits
from storage.block.shapes.known import Candidates
from storage.block.shapes.least import LeastRows
from storage.block.shapes.matched import Matched
from storage.catalog.sql import SqlCatalog
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from tests.reference.budget import examples
from tests.reference.families import check_family, made, run_of, slow_lines
from tests.reference.similar import TEMPLATES, Template, print_rows, sprinkle, thresholds
from tests.storage.batches import Entry, batch_of, entries_of

APP = {"app": "a"}
ANY = LeastRows(1, 1)


def matched(lines: Sequence[bytes], memory: FamilyMemory) -> int:
    """How many lines match known shapes."""
    with memory.scratch() as scratch:
        known = module.match_known(run_of([(APP, lines)]), memory, scratch, ANY)
        return len(lines) - len(known.left())


def family_of(lines: Sequence[bytes], memory: FamilyMemory, text: int = 1) -> Family:
    """The family of the lines, all of which come back."""
    (family,) = made([(APP, lines)], text, 1, memory)
    check_family(family)
    found = slow_lines(family)
    assert [found[row] for row in range(len(lines))] == list(lines)
    return family


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(120))
@given(
    templates=st.lists(TEMPLATES, min_size=1, max_size=3),
    seed=st.integers(0, 1 << 16),
    limits=st.sampled_from([None, (1, 8192, 4), (1, 2, 1)]),
    rows=st.integers(2, 12),
    most_words=st.sampled_from([1, 3, 1 << 16]),
)
def test_blocks_of_one_program_come_back(
    templates: list[Template],
    seed: int,
    limits: tuple[int, int, int] | None,
    rows: int,
    most_words: int,
) -> None:
    memory = FamilyMemory()
    before = REFUSED_SHAPES._value.get()
    with pytest.MonkeyPatch.context() as patch, thresholds(limits):
        patch.setattr(module, "LEAST_LEARNT", 2)
        patch.setattr(module, "LEAST_MATCHED", 1)
        patch.setattr(module, "WORDS", WordLimits(most_words, 2))
        for block in range(3):
            lines = [
                line for template in templates for line in print_rows(template, rows, seed + block)
            ]
            family_of(sprinkle(lines, seed + block), memory)
    assert REFUSED_SHAPES._value.get() == before


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(60))
@given(
    templates=st.lists(TEMPLATES, min_size=2, max_size=4),
    seed=st.integers(0, 1 << 16),
    most_words=st.sampled_from([1, 3, 1 << 16]),
)
def test_what_shapes_begin_with_is_asked_once(
    templates: list[Template], seed: int, most_words: int
) -> None:
    """A line that goes on behind common rows matches as one that begins with the first row."""
    compared: list[int] = []

    def both(lines: Spans, stream: I32, candidates: Candidates, *more: Any, **how: Any) -> Matched:
        alone, scratch = matched_lines.Scratch(), more[0]
        for one in (alone, scratch):
            one.cells.fill(0)  # hex digits leave what was behind them
        found = matched_lines.match(lines, stream, candidates, scratch, **how)
        own = np.arange(len(candidates.begins), dtype=np.int32)
        wanted = matched_lines.match(lines, stream, replace(candidates, begins=own), alone, **how)
        assert found.shape.tolist() == wanted.shape.tolist()
        for line, shape in enumerate(found.shape.tolist()):
            if shape >= 0:
                count = int(candidates.shapes[shape, sm.CELLS])
                assert _cells(found, line, count) == _cells(wanted, line, count)
        same = [sm.W_START, sm.W_SIZE, sm.W_DICTIONARY, sm.W_CODE]
        assert found.words[:, same].tolist() == wanted.words[:, same].tolist()
        assert found.counts.tolist() == wanted.counts.tolist()
        asked = candidates.begins[candidates.begins >= 0].tolist()
        compared.append(len(asked) - len(set(asked)))
        return found

    memory = FamilyMemory()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_LEARNT", 2)
        patch.setattr(module, "WORDS", WordLimits(most_words, 2))
        patch.setattr(module, "match", both)
        for block in range(3):
            lines = [
                b"2026-11-25T10:00:%02dZ w%d n=%d %s" % (n % 60, n % 5, n, line)
                for template in templates
                for n, line in enumerate(print_rows(template, 8, seed + block))
            ]
            family_of(lines, memory)
    assert compared


def _cells(found: Matched, line: int, count: int) -> list[int]:
    first = int(found.cell_from[line])
    cells: list[int] = found.cells[first : first + count].tolist()
    return cells


def test_shapes_that_begin_alike_have_common_rows() -> None:
    """A time, a word and a number; then they differ."""
    memory = FamilyMemory()
    ends = (b"opened %d", b"closed after %d ms", b"gave up")
    lines = [
        b"2026-11-25T10:00:%02dZ [info] 4711#%d: %s" % (n, n, end % n if b"%" in end else end)
        for end in ends
        for n in range(60)
    ]
    for _ in range(2):
        family_of(lines, memory)
    candidates = memory.known.candidates(TenantId("t"), run_of([(APP, lines)]).labels)
    shapes = [
        candidates.begins[first : first + holes].tolist()
        for first, holes, *_ in candidates.shapes.tolist()
    ]
    assert len(shapes) == len(ends)
    assert all(shape[:2] == shapes[0][:2] for shape in shapes)
    assert len({tuple(shape) for shape in shapes}) == len(ends), "they end differently"


def access(n: int) -> bytes:
    """Numbers, an address, a time, hex digits, words."""
    return b'10.0.0.%d [2023-11-14 22:13:%02d.%03d] "GET /a/%s" %d id=%08xab user=%s' % (
        n % 256,
        n % 60,
        n % 1000,
        b"xyz"[n % 3 :][:1] * 9,
        n * 7,
        n * 977,
        b"ab"[n % 2 :][:1],
    )


def test_a_second_block_matches_and_has_the_same_columns() -> None:
    memory = FamilyMemory()
    first = family_of([access(n) for n in range(400)], memory)
    lines = [access(n) for n in range(400, 700)]
    assert matched(lines, memory) == 300
    second = family_of(lines, memory)
    assert [c.name for c in second.columns] == [c.name for c in first.columns]
    assert [type(c.values) for c in second.columns] == [type(c.values) for c in first.columns]
    kinds = {type(c.values) for c in second.columns}
    assert kinds == {IntegerColumn, WordsColumn, HexColumn}


def test_what_was_few_words_gets_its_type_when_there_is_more() -> None:
    """Ids of a small block are a dictionary; the next one forgets that, the one after has hex."""
    memory = FamilyMemory()

    def ids(rows: int) -> type[HoleColumn]:
        lines = [
            b"request %s!" % (b"%016x" % (n * 0x9E3779B97F4A7C15 % 2**64)) for n in range(rows)
        ]
        return type(family_of(lines, memory).columns[0].values)

    assert [ids(200), ids(999), ids(999), ids(999)] == [
        WordsColumn,
        BytesColumn,
        HexColumn,
        HexColumn,
    ]


def word_counts(lines: Sequence[bytes], memory: FamilyMemory) -> list[int]:
    """How many words each dictionary gets while the lines match."""
    with memory.scratch() as scratch:
        known = module.match_known(run_of([(APP, lines)]), memory, scratch, ANY)
        counts: list[int] = known.matched.counts.tolist()
        return counts


def ordered(n: int) -> bytes:
    """Two members in two orders."""
    host, level = b"host-%d.example.org" % (n % 5), b"debug" if n % 3 else b"a long level"
    pairs = [b'"host":"%s"' % host, b'"level":"%s"' % level]
    return b"{%s}" % b",".join(pairs if n % 2 else pairs[::-1])


def test_few_words_of_a_field_are_numbered_as_lines_match() -> None:
    """Two shapes have two fields: two dictionaries, not four."""
    memory = FamilyMemory()
    family_of([ordered(n) for n in range(200)], memory)
    lines = [ordered(n) for n in range(200, 300)]
    assert sorted(word_counts(lines, memory)) == [2, 5]
    second = family_of(lines, memory)
    assert sorted(len(words_in(c.values)) for c in second.columns) == [2, 5]


def words_in(column: HoleColumn) -> list[bytes | None]:
    """The words of a dictionary."""
    assert isinstance(column, WordsColumn)
    return column.words.to_list()


def test_texts_are_numbered_only_while_they_are_few_words() -> None:
    """Words that become ever new ones, and few again."""
    memory = FamilyMemory()

    def who(count: int) -> list[bytes]:
        letters = bytes.maketrans(b"0123456789", b"abcdefghij")
        return [b"hello %s ok" % (b"%03d" % (n % count)).translate(letters) for n in range(900)]

    family_of(who(20), memory)
    assert word_counts(who(20), memory) == [20]
    texts = family_of(who(800), memory)
    assert isinstance(texts.columns[0].values, BytesColumn)
    assert word_counts(who(20), memory) == []
    words = family_of(who(20), memory)
    assert len(words_in(words.columns[0].values)) == 20
    assert word_counts(who(20), memory) == [20]


def test_a_full_dictionary_leaves_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FamilyMemory()
    lines = [ordered(n) for n in range(200)]
    family_of(lines, memory)
    monkeypatch.setattr(module, "WORDS", WordLimits(3, 2))
    assert sorted(word_counts(lines, memory)) == [2, 3]
    family = family_of(lines, memory)
    assert sorted(len(words_in(c.values)) for c in family.columns) == [2, 5]


def test_lines_that_match_and_lines_that_are_cut_share_columns() -> None:
    """A new order of keys in the second block."""
    memory = FamilyMemory()
    family_of([b'{"level":"info","n":%d,"id":"u-%d!"}' % (n, n * n) for n in range(99)], memory)
    lines = [b'{"level":"warn","n":%d,"id":"u-%d!"}' % (n, n * n) for n in range(70)]
    lines += [b'{"n":%d,"id":"u-%d!","level":"%s"}' % (n, n, b"ab"[n % 2 :][:1]) for n in range(40)]
    lines += [b'{"id":"u-%d!","n":%d}' % (n, n) for n in range(40)]
    family = family_of(lines, memory)
    names = [hole.name for shape in family.shapes for hole in shape.template.holes]
    assert sorted(c.name for c in family.columns) == ["id", "level", "n"]
    assert names.count("n") == 3


def test_a_dictionary_becomes_texts_and_texts_a_dictionary() -> None:
    memory = FamilyMemory()

    def block(words: int, rows: int = 1200) -> HoleColumn:
        names = [bytes([97 + n % 26, 97 + n // 26 % 26, 97 + n // 676]) for n in range(words)]
        lines = [b"user %s left at %d" % (names[n % words], n) for n in range(rows)]
        family = family_of(lines, memory)
        return family.columns[0].values

    assert isinstance(block(3), WordsColumn)
    assert isinstance(block(1100), BytesColumn)
    assert isinstance(block(3), WordsColumn)


def test_values_that_do_not_fit_a_known_type_are_cut() -> None:
    memory = FamilyMemory()
    family_of([b"took %d ms" % n for n in range(100)], memory)
    lines = [b"took %d ms" % n if n % 3 else b"took %dx ms" % n for n in range(100)]
    assert matched(lines, memory) == 66
    family = family_of(lines, memory)
    assert not len(family.plain_rows)
    assert matched(lines, memory) == 100


def test_few_lines_of_a_text_are_not_taken_for_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FamilyMemory()
    family_of([b"took %d ms" % n for n in range(100)], memory)
    lines = [b"took %d ms" % n for n in range(7)]
    assert matched(lines, memory) == 0
    assert family_of(lines, memory, 64).plain_rows.tolist() == list(range(7))
    monkeypatch.setattr(module, "LEAST_MATCHED", 7)
    assert matched(lines, memory) == 7


def test_known_lines_that_do_not_pay_in_a_block_are_not_taken() -> None:
    """So much text for so few values that a flush leaves them to the merge."""
    memory = FamilyMemory()
    family_of([b'{"a":%d,"b":%d}' % (n, n * n) for n in range(99)], memory)
    few = [b'{"a":%d,"b":%d}' % (n, n * n) for n in range(9)]
    assert sum(map(len, few)) == 2 * 61
    run = run_of([(APP, few)])
    for least, found in ((LeastRows(1, 1, 61), 1), (LeastRows(1, 1, 62), 0)):
        with memory.scratch() as scratch:
            assert len(module.match_known(run, memory, scratch, least).rows) == found
        (family,) = families.families_of(run, least, memory)
        assert len(family.shapes) == found
        assert [slow_lines(family)[row] for row in range(len(few))] == few


def test_shapes_of_few_lines_are_not_remembered() -> None:
    memory = FamilyMemory()
    family_of([b'{"a":%d}' % n for n in range(15)], memory)
    assert len(memory.known) == 0
    family_of([b'{"a":%d}' % n for n in range(16)], memory)
    assert len(memory.known) == 1


def test_tenants_share_nothing() -> None:
    memory = FamilyMemory()
    lines = [b"took %d ms" % n for n in range(100)]
    family_of(lines, memory)
    assert memory.known.candidates(run_of([]).tenant, run_of([(APP, lines)]).labels).known
    assert not memory.known.candidates(TenantId("u"), run_of([(APP, lines)]).labels).known


def test_a_known_shape_that_prints_other_lines_is_refused_and_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = FamilyMemory()
    lines = [b"took %d ms" % n for n in range(100)]
    family_of(lines, memory)
    real = KnownLines.draft

    def wrong(self: KnownLines, number: int) -> object:
        draft, values = real(self, number)
        return draft, [
            IntegerColumn(v.values + 1, v.type) for v in values if isinstance(v, IntegerColumn)
        ]

    monkeypatch.setattr(KnownLines, "draft", wrong)
    before = REFUSED_SHAPES._value.get()
    family = family_of([*lines, *(b'{"a":%d}' % n for n in range(9))], memory)
    assert REFUSED_SHAPES._value.get() == before + 1
    assert family.plain_rows.tolist() == list(range(100))
    assert len(family.shapes) == 1
    monkeypatch.undo()
    assert matched(lines, memory) == 0


def test_a_crash_forgets_all_and_keeps_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = FamilyMemory()
    lines = [b"took %d ms" % n for n in range(100)]
    family_of(lines, memory)

    def fail(*_arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(KnownLines, "draft", fail)
    assert family_of(lines, memory).plain_rows.tolist() == list(range(100))
    assert len(memory.known) == 0


def test_after_an_error_of_the_match_the_next_try_knows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = FamilyMemory()
    lines = [b"took %d ms" % n for n in range(100)]
    family_of(lines, memory)

    def fail(*_arguments: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(families, "match_known", fail)
    with pytest.raises(ValueError, match="a bug"):
        family_of(lines, memory)
    assert len(memory.known) == 0
    monkeypatch.undo()
    family_of(lines, memory)
    assert len(memory.known) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_blocks_are_written_with_what_is_known(
    tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second block of a store matches, and gives back every entry."""
    left: list[int] = []
    own = threading.get_ident()

    def asked(*arguments: Any) -> KnownLines:
        known = module.match_known(*arguments)
        if threading.get_ident() == own:  # servers of other tests may write blocks meanwhile
            left.append(len(known.left()))
        return known

    monkeypatch.setattr(families, "match_known", asked)
    clock = ManualClock(1)
    services = StoreServices(
        SqlCatalog(f"sqlite:///{tmp_path}/c.db", clock), LocalObjects(tmp_path), clock
    )
    store = BlockStore(services, 1 << 20, 1000, Layout(3, packed))
    tenant = TenantId("t")
    for block in range(2):
        lines = [access(n) for n in range(block * 300, block * 300 + 300)]
        entries: list[Entry] = [("a", n, line, {}) for n, line in enumerate(lines)]
        told: list[float] = []
        row = store.write(batch_of(entries), tenant, f"cut-{block}", progress=told.append)
        assert told[-1] == 1.0
        store.publish([row], [])
        with store.opened([row]) as (source,):
            batch = source.fetch(np.arange(300), Columns())
        assert entries_of(batch) == entries_of(merge_batches([batch_of(entries)]))
    assert left == [300, 0]


def test_the_memory_of_the_match_is_that_of_the_largest_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(matched_lines, "FIRST_CELLS", 16)
    monkeypatch.setattr(alike, "SMALL_BYTES", 0)
    memory = FamilyMemory()
    apps = [
        (
            {"app": name},
            [b"%b of %b took %d ms" % (name.encode(), name.encode(), n) for n in range(100)],
        )
        for name in ("bread", "cheese", "milk", "olives")
    ]
    for _ in range(2):
        families_made = made(apps, 1, 1, memory)
        assert {family.name for family in families_made} == {labels["app"] for labels, _ in apps}
        found = [line for family in families_made for line in slow_lines(family).items()]
        assert [line for _, line in sorted(found)] == [line for _, mine in apps for line in mine]
    with memory.scratch() as scratch:
        assert len(scratch.cells) == 128, "a hundred lines of a hole, not four hundred"
