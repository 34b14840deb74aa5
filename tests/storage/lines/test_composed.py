"""Are texts made of parts what Python makes of them, and are they printed only when read?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from storage.lines.composed import (
    Chosen,
    ComposedLines,
    Constant,
    LineTexts,
    Repeated,
    joined,
)
from storage.lines.holes import BytesColumn
from storage.lines.plain import PlainLines
from storage.lines.texts import Texts
from tests.reference.budget import examples

ROWS = 5
SHORT = st.lists(st.binary(max_size=4), min_size=ROWS, max_size=ROWS)
Made = tuple[Texts, list[bytes]]
"""Texts, and what they are."""


def nothing(_size: int) -> None:
    """Every size is allowed."""


def repeated(made: Made, times: int) -> Made:
    texts, plain = made
    return Repeated(texts, times), [text * times for text in plain]


def chosen(where: list[bool], one: Made, other: Made) -> Made:
    plain = [a if first else b for first, a, b in zip(where, one[1], other[1], strict=True)]
    return Chosen(np.array(where, np.bool_), one[0], other[0]), plain


def both(parts: list[Made]) -> Made:
    return joined([texts for texts, _ in parts]), [
        b"".join(row) for row in zip(*(plain for _, plain in parts), strict=True)
    ]


def made(depth: int) -> st.SearchStrategy[Made]:
    """Texts of any parts, so deep."""
    leaves = st.one_of(
        st.binary(max_size=3).map(lambda text: (Constant(text, ROWS), [text] * ROWS)),
        SHORT.map(lambda texts: (BytesColumn(Spans.of(texts)), texts)),
        SHORT.map(lambda texts: (LineTexts(PlainLines(Spans.of(texts))), texts)),
    )
    if depth == 0:
        return leaves
    inner = made(depth - 1)
    masks = st.lists(st.booleans(), min_size=ROWS, max_size=ROWS)
    return st.one_of(
        leaves,
        st.builds(repeated, inner, st.integers(0, 9)),
        st.builds(chosen, masks, inner, inner),
        st.builds(both, st.lists(inner, min_size=1, max_size=3)),
    )


@settings(max_examples=examples(300), deadline=None)
@given(made(3), st.lists(st.integers(0, ROWS - 1), max_size=7))
def test_composed_texts_are_those_of_python(one: Made, rows: list[int]) -> None:
    texts, plain = one
    assert len(texts) == ROWS
    assert texts.lengths().tolist() == [len(text) for text in plain]
    assert texts.spans().to_list() == plain
    lines = ComposedLines(texts, nothing)
    taken = lines.take(np.array(rows, np.int64))
    assert taken.lengths().tolist() == [len(plain[row]) for row in rows]
    assert taken.nbytes() == sum(len(plain[row]) for row in rows)
    assert taken.spans().to_list() == [plain[row] for row in rows]
    assert lines.contains(b"\0").tolist() == [b"\0" in text for text in plain]
    assert lines.take(np.array(rows, np.int64)).spans().to_list() == [plain[row] for row in rows]


def test_lengths_print_nothing_and_bytes_are_charged_once() -> None:
    charged: list[int] = []
    lines = ComposedLines(Repeated(BytesColumn(Spans.of([b"ab", b"c"])), 10), charged.append)
    assert lines.lengths().tolist() == [20, 10]
    assert lines.nbytes() == 30
    assert charged == []
    lines.spans()
    assert lines.contains(b"ba").tolist() == [True, False]
    assert len(charged) == 1
    assert charged[0] >= 30


def test_what_has_no_room_is_not_printed() -> None:
    class NoRoomError(Exception):
        """Nothing is left."""

    def refuse(_size: int) -> None:
        raise NoRoomError

    lines = ComposedLines(Repeated(Constant(b"x" * 1000, 1000), 10**6), refuse)
    with pytest.raises(NoRoomError):
        lines.spans()
