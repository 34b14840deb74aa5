"""Does a filter never deny a text that is there, and mostly one that is not?"""

from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.gram_scan import WORDS, fill_filter, mark_grams
from storage.block.ngrams import Ngrams
from tests.reference.budget import examples

LINES = st.lists(
    st.none() | st.binary(max_size=40) | st.text("ab12 é", max_size=60).map(str.encode),
    max_size=12,
)


@settings(max_examples=examples(400))
@given(LINES, st.integers(0, 1 << 20))
@example([b"\x00\x00\x00", b"\xff\xff\xff"], 1)
def test_what_is_there_is_never_denied(lines: list[bytes | None], seed: int) -> None:
    random = Random(seed)
    found = Ngrams.of(Spans.of(lines))
    again = Ngrams.parse(found.to_bytes())
    for line in lines:
        if line is None:
            continue
        for _ in range(4):
            first, last = sorted((random.randrange(len(line) + 1), random.randrange(len(line) + 1)))
            assert found.may_hold(line[first:last]), line[first:last]
            assert again.may_hold(line[first:last]), "as before"


def test_runs_do_not_cross_lines_and_short_texts_are_anywhere() -> None:
    found = Ngrams.of(Spans.of([b"abc", b"xyz", b"de"]))
    assert not found.may_hold(b"bcxy")
    assert not found.may_hold(b"cde")
    assert found.may_hold(b"qq")
    assert found.may_hold(b"")
    assert not Ngrams.of(Spans.of([])).may_hold(b"abc")


def test_a_filter_of_random_runs_is_mostly_right() -> None:
    random = Random(7)
    lines = ["".join(random.choices("abcdefghij", k=80)).encode() for _ in range(60)]
    found = Ngrams.of(Spans.of(lines))
    wrong = sum(
        found.may_hold("".join(random.choices("klmnopqrst", k=6)).encode()) for _ in range(2000)
    )
    assert wrong < 40, "four absent runs, each taken for there once in six times"
    assert len(found.to_bytes()) <= 1024, "a thousand runs of four bits, to a power of two"


@pytest.mark.parametrize("size", [0, 1, 7, 9, 12, 1 << 22])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"a filter has no {size} bytes"):
        Ngrams.parse(bytes(size))


@settings(max_examples=examples(200))
@given(LINES)
@example([b"abcabcabc", None, b"ab"])
def test_a_filter_of_few_texts_has_the_same_runs(lines: list[bytes | None]) -> None:
    spans = Spans.of(lines)
    found = Ngrams.of_few(spans)
    marks = np.zeros(WORDS, np.uint64)
    mark_grams(spans.data, spans.start, spans.length, marks)
    bits = np.zeros_like(found.bits)
    fill_filter(marks, (8 * len(bits)).bit_length() - 1, bits)
    assert found.bits.tolist() == bits.tolist()
