"""Do compiled searches find what Python's own find?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.search import (
    contains_each,
    contains_packed,
    fold_case,
    lie_together,
    may_cross,
)
from tests.reference.budget import examples

BYTES = st.binary(max_size=6) | st.text("aab0 1", max_size=90).map(str.encode)
LINES = st.lists(BYTES, min_size=1, max_size=12)


@settings(max_examples=examples(500))
@given(LINES, st.text("aab0 1", min_size=1, max_size=9).map(str.encode), st.integers(0, 99))
def test_needles_of_every_size(lines: list[bytes], needle: bytes, place: int) -> None:
    whole = b"".join(lines)
    at = place % max(len(whole), 1)
    for text in (needle, *filter(None, (whole[at : at + n] for n in (1, 2, 3, 4, 70)))):
        spans, wanted = Spans.of(lines), [text in line for line in lines]
        for search in (contains_packed, contains_each):
            out = np.zeros(len(lines), np.bool_)
            search(spans.data, spans.start, spans.length, np.frombuffer(text, np.uint8), out)
            assert out.tolist() == wanted, (search, text)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_a_needle_at_every_place(size: int) -> None:
    needle = b"xyzabcdef"[:size]
    for at in range(200):
        line = bytearray(b"." * (200 + size))
        line[at : at + size] = needle
        spans = Spans.of([b"..", bytes(line), b".."])
        out = np.zeros(3, np.bool_)
        text = np.frombuffer(needle, np.uint8)
        contains_packed(spans.data, spans.start, spans.length, text, out)
        assert out.tolist() == [False, True, False], at


@settings(max_examples=examples(100))
@given(st.binary(max_size=300))
def test_small_letters(data: bytes) -> None:
    found = np.frombuffer(data, np.uint8).copy()
    fold_case(found)
    assert found.tobytes() == data.lower()


@settings(max_examples=examples(100))
@given(st.lists(st.none() | BYTES, max_size=6), st.integers(0, 5), st.integers(-2, 2))
def test_texts_that_lie_together(lines: list[bytes | None], row: int, moved: int) -> None:
    spans = Spans.of(lines)
    start = spans.start.copy()
    if 0 < row < len(lines):
        start[row] += moved
    ends = [s + max(n, 0) for s, n in zip(start.tolist(), spans.length.tolist(), strict=True)]
    wanted = all(end == begin for end, begin in zip(ends, start.tolist()[1:], strict=False))
    assert lie_together(start, spans.length) == wanted


@settings(max_examples=examples(200))
@given(st.lists(st.text("ab", min_size=1, max_size=5), max_size=6), st.text("ab", min_size=1))
def test_constants_that_may_be_part_of_a_text(constants: list[str], text: str) -> None:
    spans, out = Spans.of(one.encode() for one in constants), np.ones(len(constants), np.bool_)
    wanted = np.frombuffer(text.encode(), np.uint8)
    may_cross(spans.data, spans.start, spans.length, wanted, out)
    assert out.tolist() == [
        (one in text and one != text)
        or any(one.endswith(text[:k]) or one.startswith(text[-k:]) for k in range(1, len(text)))
        for one in constants
    ]
