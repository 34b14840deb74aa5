"""Does every form of a label column answer as the list of its values does?

The rule is a Python list with None where a row has no label. A column is made in some form, steps
are done to it and to the list, and after each both are asked everything.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import I32, Spans
from narfi.core.label_column import (
    CodedColumn,
    LabelColumn,
    Rows,
    SpansColumn,
    TypedColumn,
    concat_columns,
)
from storage.lines.holes import IntegerColumn
from storage.lines.template import HoleKind, HoleType

Value = bytes | None


@dataclass(frozen=True)
class Prefixed:
    """Texts `n<number>` that are kept as numbers, without a meaning as numbers."""

    kept: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.kept)

    def take(self, rows: Rows) -> "Prefixed":
        """The rows."""
        return Prefixed(tuple(np.array(self.kept, np.int64)[rows].tolist()))

    def spans(self) -> Spans:
        """Printed."""
        return Spans.of(b"n%d" % number for number in self.kept)

    def encoded(self) -> tuple[I32, Spans]:
        """In ascending order."""
        distinct = sorted(set(self.kept))
        codes = np.array([distinct.index(number) for number in self.kept], np.int32)
        return codes, Spans.of(b"n%d" % number for number in distinct)

    def numbers(self) -> None:
        """None have any."""

    def bounds(self) -> None:
        """Nor these."""


def of_spans(values: list[Value]) -> LabelColumn:
    """Places in a buffer where others stand between them."""
    between = Spans.of([part for value in values for part in (value, b"-")])
    return SpansColumn(between.take(np.arange(len(values)) * 2))


def of_spans_encoded(values: list[Value]) -> LabelColumn:
    """The same, asked for codes before."""
    column = of_spans(values)
    assert len(column.codes) == len(values)
    assert column.is_encoded
    return column


def of_codes(values: list[Value]) -> LabelColumn:
    """Codes into distinct values; two of these no row has."""
    distinct = [b"nobody", *sorted({value for value in values if value is not None}), b"no one"]
    codes = [-1 if value is None else distinct.index(value, 1) for value in values]
    return CodedColumn(np.array(codes, np.int32), Spans.of(distinct))


FORMS: list[Callable[[list[Value]], LabelColumn]] = [of_spans, of_spans_encoded, of_codes]
TEXTS = st.sampled_from([b"", b"a", b"b", b"ab", b"\xff\x00", b"12"])
DECIMAL = HoleType(kind=HoleKind.NUMBER, scale=0, least=0, width=1)


@st.composite
def columns(draw: st.DrawFn, size: int | None = None) -> tuple[LabelColumn, list[Value]]:
    """A column in any form, and its values."""
    least, most = (0, 12) if size is None else (size, size)
    kind = draw(st.sampled_from(["typed", "integers", "plain"]))
    if kind == "plain":
        values = draw(st.lists(st.none() | TEXTS, min_size=least, max_size=most))
        return draw(st.sampled_from(FORMS))(values), values
    kept = draw(st.lists(st.integers(-3, 30), min_size=least, max_size=most))
    if kind == "typed":
        return TypedColumn(Prefixed(tuple(kept))), [b"n%d" % number for number in kept]
    column = IntegerColumn(np.array(kept, np.int64), DECIMAL).label()
    return column, [b"%d" % number for number in kept]


def check(column: LabelColumn, values: list[Value]) -> None:
    """Ask everything."""
    assert len(column) == len(values)
    assert column.present().tolist() == [value is not None for value in values]
    assert column.spans.to_list() == values
    behind = column.values.to_list()
    assert [None if code < 0 else behind[code] for code in column.codes.tolist()] == values
    assert None not in behind
    assert column.is_encoded
    assert [text.encode("utf-8", "surrogateescape") for text in column.texts] == behind
    numbers, bounds = column.numbers(), column.bounds()
    if numbers is not None:
        assert numbers.tolist() == [float(value or b"") for value in values]
        if bounds is not None:
            assert all(bounds[0] <= number <= bounds[1] for number in numbers.tolist())
    for _ in range(2):  # it may be kept
        told = {text.encode("utf-8", "surrogateescape") for text in column.distinct()}
        assert told == {value for value in values if value is not None}
    compact = column.compact()
    assert compact.spans.to_list() == values
    assert len(compact.values) <= max(len(column), 0)


ASKS: list[Callable[[LabelColumn], object]] = [
    len,
    lambda column: column.codes,
    lambda column: column.spans,
    lambda column: column.texts,
    lambda column: column.numbers(),
    lambda column: column.present(),
    lambda column: column.distinct(),
]


def steps(
    data: st.DataObject, column: LabelColumn, values: list[Value]
) -> Iterator[tuple[LabelColumn, list[Value]]]:
    """What comes of one step after another, each of the one before."""
    for step in data.draw(st.lists(st.sampled_from(["rows", "mask", "run", "off", "over", "and"]))):
        size = len(values)
        data.draw(st.sampled_from(ASKS))(column)
        marks = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        mask = np.array(marks, np.bool_)
        if step == "rows":
            rows = data.draw(st.lists(st.integers(0, size - 1), max_size=8)) if size else []
            column = column.take(np.array(rows, np.int64))
            values = [values[row] for row in rows]
        elif step == "mask":
            column = column.take(mask)
            values = [value for value, mark in zip(values, marks, strict=True) if mark]
        elif step == "run":
            run = slice(data.draw(st.integers(0, size)), data.draw(st.integers(0, size)))
            column, values = column.take(run), values[run]
        elif step == "off":
            column = column.without(mask)
            values = [None if mark else v for v, mark in zip(values, marks, strict=True)]
        elif step == "over":
            under, others = data.draw(columns(size))
            column = column.over(under)
            values = [b if a is None else a for a, b in zip(values, others, strict=True)]
        else:
            more, others = data.draw(columns())
            column, values = concat_columns([column, more]), values + others
        yield column, values


@given(columns(), st.data())
def test_every_form_answers_as_the_list(
    made: tuple[LabelColumn, list[Value]], data: st.DataObject
) -> None:
    column, values = made
    for after, expected in steps(data, column, values):
        check(after, expected)
    check(column, values)  # nothing that was done to it changed it


@given(columns(), st.data())
def test_what_was_asked_before_makes_no_difference(
    made: tuple[LabelColumn, list[Value]], data: st.DataObject
) -> None:
    *_, last = [made, *steps(data, *made)]  # nothing is asked but what a step drew
    check(*last)


def test_constant_and_absent() -> None:
    check(CodedColumn.constant(b"x", 3), [b"x"] * 3)
    check(CodedColumn.absent(2), [None, None])
    check(CodedColumn.constant(b"x", 0), [])


PAIRS = st.lists(
    st.tuples(st.none() | st.binary(max_size=4), st.none() | st.binary(max_size=4)), max_size=20
)


@given(PAIRS, st.booleans())
def test_over(rows: list[tuple[Value, Value]], shared: bool) -> None:
    both = Spans.of([upper for upper, _ in rows] + [under for _, under in rows])
    places = np.arange(len(rows))
    upper, under = both.take(places), both.take(places + len(rows))
    if not shared:
        under = under.packed()
    found = SpansColumn(upper).over(SpansColumn(under))
    expected = [a if a is not None else b for a, b in rows]
    assert found.spans.to_list() == expected


def test_over_leaves_the_rest_of_the_buffers() -> None:
    lines = Spans.of([b"x" * 1_000_000, b"y" * 1_000_000])
    upper = Spans(lines.data, lines.start, np.array([3, -1], np.int32))
    under = Spans(lines.data.copy(), lines.start, np.array([2, 2], np.int32))
    found = SpansColumn(upper).over(SpansColumn(under)).spans
    assert found.to_list() == [b"xxx", b"yy"]
    assert len(found.data) == 5
