"""Is every row in one family, with the streams that print alike, and are fields shared by type?"""

from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import I32, Spans
from narfi.core.label_column import SpansColumn
from narfi.core.labels import Labels
from storage.block import grouping
from storage.block.family import Family
from storage.block.grouping import MISC, GatheredShape, Grouping, family_of, program_of
from storage.block.shapes.encode import EncodedShape, encode_shapes
from storage.block.shapes.encodings import DELTA, DICTIONARY
from storage.lines.decode import decode_lines
from storage.lines.holes import BytesColumn, WordsColumn
from storage.lines.template import Hole, HoleKind, HoleType, LineKind, Role, Template

LINES = st.one_of(
    st.builds(lambda n: b'{"n":%d}' % n, st.integers(0, 99)),
    st.builds(lambda n: b'{"n":"%d x","N":%d}' % (n, n), st.integers(0, 99)),
    st.builds(lambda n: b"took %d ms" % n, st.integers(0, 99)),
    st.binary(max_size=3),
)


def families_of(labels: list[Labels], stream: I32, lines: Spans) -> Iterator[Family]:
    """All rows as families, as merging makes them."""
    shapes = list(encode_shapes(lines, 2))
    plain = np.ones(len(stream), np.bool_)
    for shape in shapes:
        plain[shape.rows] = False
    found = Grouping(labels, stream, lines.length, [shape.rows for shape in shapes])
    for number, name in enumerate(found.names):
        mine = [s for s, of in zip(shapes, found.of_shape, strict=True) if of == number]
        rows = np.flatnonzero(plain & (found.of_stream[stream] == number))
        if mine or len(rows):
            yield family_of(name, gathered(mine), rows, lines.take(rows))


def gathered(shapes: list[EncodedShape]) -> list[GatheredShape]:
    """As one piece each."""
    return [GatheredShape(s.rows, s.template, [[column] for column in s.columns]) for s in shapes]


def lines_of(family: Family) -> list[bytes | None]:
    """The lines of a family, printed from its columns."""
    found: list[bytes | None] = []
    at = [0] * len(family.columns)
    for shape in family.shapes:
        columns = []
        for hole, number in zip(shape.template.holes, shape.columns, strict=True):
            rows = np.arange(at[number], at[number] + len(shape.rows))
            at[number] += len(shape.rows)
            values = family.columns[number].values.take(rows)
            kind = getattr(values, "type", None)
            assert kind is None or (kind.kind, kind.scale) == (hole.type.kind, hole.type.scale)
            columns.append(values)
        assert len(set(shape.columns)) == len(shape.columns)
        found += decode_lines(shape.template, columns, len(shape.rows)).to_list()
    assert at == [len(column.values) for column in family.columns]
    return [*found, *family.plain.to_list()]


@given(
    st.lists(st.tuples(st.integers(0, 3), LINES), min_size=1, max_size=40),
    st.sampled_from([0, 60, 10**6]),
)
def test_every_line_is_in_one_family(entries: list[tuple[int, bytes]], misc: int) -> None:
    entries = sorted(entries, key=lambda e: e[0])
    labels = [Labels.of({"app": f"a{k}"}) if k else Labels.of({"x": "y"}) for k in range(4)]
    stream = np.array([k for k, _ in entries], np.int32)
    lines = Spans.of([line for _, line in entries])
    with mock.patch.object(grouping, "MISC_BYTES", misc):
        families = list(families_of(labels, stream, lines))
    found: dict[int, bytes | None] = {}
    for family in families:
        rows = family.rows().tolist()
        assert not found.keys() & set(rows)
        found |= dict(zip(rows, lines_of(family), strict=True))
        names = [column.name.lower() for column in family.columns]
        assert len(set(names)) == len(names)
    assert found == dict(enumerate(line for _, line in entries))
    assert [family.name for family in families if misc == 10**6] in ([], [MISC])


def test_a_program_is_named_by_the_first_label_that_names_one() -> None:
    assert program_of(Labels.of({"job": "j", "app": "a"})) == "a"
    assert program_of(Labels.of({"job": "j", "app": ""})) == "j"
    assert program_of(Labels.of({"level": "info"})) == ""


def texts(names: list[bytes], kind: HoleKind, first: int) -> EncodedShape:
    """Lines that tell a user each, in rows from `first` on."""
    values = Spans.of(names)
    whole = SpansColumn(values)
    words = WordsColumn(whole.codes, whole.values)
    hole = Hole(
        name="u",
        type=HoleType(kind=kind),
        role=Role.STRING,
        classes=1,
        min_length=1,
        max_length=9,
    )
    template = Template(LineKind.JSON, (b'{"u":"', b'"}'), (hole,))
    rows = np.arange(first, first + len(names))
    column = words if kind is HoleKind.WORDS else BytesColumn(values)
    return EncodedShape(rows, template, (column,))


@pytest.mark.parametrize("kinds", ["wb", "bw", "ww", "bb"])
@pytest.mark.parametrize(("distinct", "few"), [(20, True), (600, False)])
def test_texts_of_a_field_are_one_column(kinds: str, distinct: int, few: bool) -> None:
    """With sorted words where these are few, whatever they were in the blocks before."""
    names = [b"u%d" % (n * 7 % distinct) for n in range(800)]
    halves = (names[:400], names[400:])
    shapes = [
        texts(half, HoleKind.WORDS if kind == "w" else HoleKind.BYTES, 400 * n)
        for n, (kind, half) in enumerate(zip(kinds, halves, strict=True))
    ]
    nothing = np.zeros(0, np.int64)
    family = family_of("f", gathered(shapes), nothing, Spans.of([]))
    assert lines_of(family) == [b'{"u":"%s"}' % name for name in names]
    (column,) = family.columns
    wanted = HoleKind.WORDS if few else HoleKind.BYTES
    assert [s.template.holes[0].type for s in family.shapes] == [HoleType(kind=wanted)] * 2
    assert isinstance(column.values, WordsColumn) == few
    if isinstance(column.values, WordsColumn):
        words = column.values.words.to_list()
        assert words == sorted(set(names))


def test_numbers_are_written_as_is_smallest() -> None:
    drawn = np.random.default_rng(7).integers(0, 3, 900) * 123_456_789_123
    lines = Spans.of(b"took %d of %d" % (1000 * n, drawn[n]) for n in range(900))
    stream = np.zeros(900, np.int32)
    (family,) = families_of([Labels.of({"app": "a"})], stream, lines)
    assert [column.encoding for column in family.columns] == [DELTA, DICTIONARY]
