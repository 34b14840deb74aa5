"""Are equal byte strings numbered alike, and only those?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.gather import append_bytes, count_codes, encode_spans
from tests.reference.budget import examples

TEXT = st.one_of(
    st.none(),
    st.sampled_from([b"", b"a", b"\x00", b"\x00\x00", b"12345678", b"12345679", b"123456781"]),
    st.binary(max_size=20),
    st.binary(min_size=7, max_size=9).map(lambda text: text + b"-tail"),
)


@settings(deadline=None, max_examples=examples(200))
@given(texts=st.lists(TEXT, max_size=30), gap=st.integers(0, 9))
def test_in_order_of_first_appearance(texts: list[bytes | None], gap: int) -> None:
    around = Spans.of([b"-" * gap if text is None else b"-" * gap + text for text in texts])
    length = np.array([-1 if text is None else len(text) for text in texts], np.int32)
    codes, firsts = np.empty(len(texts), np.int32), np.empty(len(texts), np.int64)
    table = np.full(64, -1, np.int64)
    count = encode_spans(around.data, around.start + gap, length, table, codes, firsts)
    distinct = list(dict.fromkeys(text for text in texts if text is not None))
    assert count == len(distinct)
    assert [None if c < 0 else distinct[c] for c in codes.tolist()] == texts
    assert [texts[row] for row in firsts[:count].tolist()] == distinct


@given(codes=st.lists(st.integers(-1, 4)))
def test_rows_of_each_code(codes: list[int]) -> None:
    counts = np.ones(6, np.int64)
    count_codes(np.array(codes, np.int32), counts)
    assert counts.tolist() == [1 + codes.count(code) for code in range(-1, 5)]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=20)), max_size=12), st.integers(0, 9))
def test_spans_are_appended_as_one_after_another_is(values: list[bytes | None], used: int) -> None:
    spans, wanted, places = Spans.of(values).take(np.arange(len(values))[::-1].copy()), b"", []
    for value in values[::-1]:
        places.append(used + len(wanted))
        wanted += value or b""
    out, found = np.full(used + len(wanted) + 3, 7, np.uint8), np.empty(len(spans), np.int64)
    end = append_bytes(spans.data, spans.start, spans.length, used, found, out)
    assert end == used + len(wanted)
    assert found.tolist() == places
    assert out.tobytes() == b"\x07" * used + wanted + b"\x07" * 3
