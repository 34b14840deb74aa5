"""Are the pairs of many lines those of each line?"""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.text.json_lenient import clean_text
from narfi.core.text.logfmt import Pair, pairs_of
from querier.operators.logfmt import scan
from tests.reference.budget import examples

WORDS = st.sampled_from(
    [b"level", b"le", b"level2", b"msg", b"a", b"", b"\xc3\xa9", b"\xff", b"k\\", b'"', b"{", b"="]
)
VALUES = st.one_of(
    WORDS,
    st.sampled_from(
        [b'"x y"', b'"a\\"b"', b'"a\\u00e9"', b'"\\q"', b'"open', b'""', b"1.5s", b"a=b", b'x"y']
    ),
    st.binary(max_size=12),
)
PAIRS = st.tuples(WORDS, st.sampled_from([b"=", b"", b" = "]), VALUES).map(b"".join)
LINES = st.lists(
    st.tuples(st.lists(PAIRS, max_size=6), st.sampled_from([b" ", b"  ", b"\t", b""])).map(
        lambda line: line[1].join(line[0])
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=examples(600))
@given(LINES, st.booleans())
@example([b"a=1 b=2", b"a=3 bb=4", b"a b=5", b"a=", b"b=1 a=2"], True)
@example([b'level\xfflevel="openlevel = level'], True)
@example([b"%d=1" % n for n in range(400)], False)
@example([b" ".join(b"k%d=%d" % (n, n) for n in range(100))] * 2, False)
def test_pairs_of_lines(lines: list[bytes], keep_empty: bool) -> None:
    found = scan(Spans.of(lines), strict=False, keep_empty=keep_empty)
    values = found.values.to_list()
    told = [
        (row, found.keys[key], value)
        for row, key, value in zip(
            found.pair_row.tolist(), found.pair_key.tolist(), values, strict=True
        )
    ]
    wanted = [
        (row, pair.key.decode("utf-8", "replace"), clean_text(pair.value).encode())
        for row, line in enumerate(lines)
        for pair in pairs_of(line)
        if isinstance(pair, Pair) and (keep_empty or pair.value)
    ]
    assert told == wanted
