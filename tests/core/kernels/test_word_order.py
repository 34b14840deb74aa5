"""Are words put in the order of their bytes?"""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels.word_order import order_words

PIECE = st.sampled_from([b"", b"\0", b"a", b"\xff", b"/api/v1/", b"query_range", b"12345678"])
WORD = st.lists(PIECE, max_size=5).map(b"".join)


@given(st.lists(WORD, max_size=40, unique=True))
@example([b"a\0", b"a", b"", b"a\0\0\0\0\0\0\0\0", b"a\0\0\0\0\0\0\0"])
@example([b"12345678" + bytes([k]) for k in range(40, 0, -1)] + [b"2"])
@example([b"%d/%d" % (k % 7, k) for k in range(500)])
@example([b"same"])
def test_words_ascend(words: list[bytes]) -> None:
    spans = Spans.of(words)
    count = len(words)
    order, keys = np.arange(count), np.empty(count, np.uint64)
    pending = np.empty((count, 3), np.int64)
    order_words(spans.data, spans.start, spans.length, keys, pending, order)
    assert [words[k] for k in order.tolist()] == sorted(words)
