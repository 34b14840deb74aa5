"""Words of a level are found where the rule says, whatever stands around them."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.levels import LEVELS, detect_levels
from tests.reference.levels import WORDS, word_level

WORD = st.sampled_from([word for words in WORDS.values() for word in words.split()])
CASED = WORD.flatmap(
    lambda word: st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda upper: bytes(b & 0xDF if u else b for b, u in zip(word, upper, strict=True))
    )
)
PIECE = st.one_of(CASED, st.binary(max_size=3), st.sampled_from([b" ", b"[", b"]", b":", b"x"]))
LINE = st.lists(PIECE, max_size=8).map(b"".join)


def detected(lines: list[bytes]) -> list[str]:
    """The level of each line, which has neither JSON nor pairs that name one."""
    spans, none = Spans.of(lines), Spans.of([])
    out, rows = np.zeros(len(lines), np.uint8), np.arange(len(lines))
    where = (none.data, none.start, none.length)
    detect_levels(spans.data, spans.start, spans.length, rows, *where, 0, out)
    return [LEVELS[code] for code in out.tolist()]


@given(st.lists(LINE, min_size=1, max_size=6))
@example([b"x error", b"erro", b"r"])  # a word that the next line would complete
@example([b"e\x12\x12or", b"E\x52\x52OR "])
def test_the_words_of_a_level(lines: list[bytes]) -> None:
    assert detected(lines) == [word_level(line) for line in lines]
