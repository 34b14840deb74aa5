"""Words of a level are found where the rule says, whatever stands around them."""

import json
from collections.abc import Sequence

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.levels import LEVELS, detect_levels
from tests.reference.levels import NAMES, WORDS, Json, json_level, pairs_level, word_level

WORD = st.sampled_from([word for words in WORDS.values() for word in words.split()])
CASED = WORD.flatmap(
    lambda word: st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda upper: bytes(b & 0xDF if u else b for b, u in zip(word, upper, strict=True))
    )
)
PIECE = st.one_of(CASED, st.binary(max_size=3), st.sampled_from([b" ", b"[", b"]", b":", b"x"]))
LINE = st.lists(PIECE, max_size=8).map(b"".join)


def detected(lines: list[bytes], keys: Sequence[str] = (), depth: int = 0) -> list[str]:
    """The level of each line; without keys, none has JSON or pairs that name one."""
    spans, listed = Spans.of(lines), Spans.of(key.encode() for key in keys)
    out, rows = np.zeros(len(lines), np.uint8), np.arange(len(lines))
    where = (listed.data, listed.start, listed.length)
    detect_levels(spans.data, spans.start, spans.length, rows, *where, depth, out)
    return [LEVELS[code] for code in out.tolist()]


@given(st.lists(LINE, min_size=1, max_size=6))
@example([b"x error", b"erro", b"r"])  # a word that the next line would complete
@example([b"e\x12\x12or", b"E\x52\x52OR "])
def test_the_words_of_a_level(lines: list[bytes]) -> None:
    assert detected(lines) == [word_level(line) for line in lines]


@given(st.lists(LINE, min_size=1, max_size=3), st.integers(0, 300), st.binary(max_size=20))
def test_words_of_a_level_far_into_a_line(pieces: list[bytes], gap: int, filling: bytes) -> None:
    far = (filling * 300)[:gap] or b" " * gap
    line = far.join([b"", *pieces, b""])
    assert detected([line, line[:-1], b"o" + line]) == [
        word_level(line),
        word_level(line[:-1]),
        word_level(b"o" + line),
    ]


KEYS = ["level", "Level", "lvl", "severity"]
KEY = st.one_of(st.sampled_from([*KEYS, "LVL", "le", "levels", "m"]), st.text("abl", max_size=12))
SAID = st.one_of(st.sampled_from([*NAMES, "INFO", "Warning", "informations"]), st.text(max_size=20))
BLANK = st.sampled_from([" ", "  ", "\t", ""])
VALUE = st.one_of(SAID, SAID.map(json.dumps), st.sampled_from(['"a', "a=b", 'a"b', '"a"b', "x\\"]))
PAIR = st.one_of(st.tuples(KEY, st.just("="), VALUE, BLANK), st.tuples(KEY, BLANK), st.just('"'))
PAIRS = st.lists(PAIR.map("".join), max_size=6).map("".join).map(str.encode)


@given(PAIRS)
@example(b'GET "/a?level=error" level=info')
@example(b"a b\x20level=info")
@example(b'x"y level=info')
@example(b"=level level=info")
def test_the_levels_of_pairs(line: bytes) -> None:
    if line.strip(bytes(range(33)))[:1] == b"{":
        return
    said = pairs_level(line, KEYS)
    assert detected([line], KEYS, 2) == [word_level(line) if said == "unknown" else said]


MEMBER: st.SearchStrategy[Json] = st.recursive(
    st.one_of(st.none(), st.integers(-5, 10**9), SAID, st.sampled_from(['\\"', 'a"', "\\" * 3])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEY, SAID), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEY, MEMBER, max_size=5), st.integers(0, 3), st.booleans())
def test_the_levels_of_json(value: dict[str, Json], depth: int, tight: bool) -> None:
    line = json.dumps(value, separators=(",", ":") if tight else None, ensure_ascii=False).encode()
    said = json_level(value, KEYS, depth) or "unknown"
    assert detected([line], KEYS, depth) == [word_level(line) if said == "unknown" else said]
