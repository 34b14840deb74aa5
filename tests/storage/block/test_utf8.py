"""Are lines declared as text only where each of them is, whatever lies around them in memory?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import Spans
from storage.block.utf8 import all_utf8

PIECES = st.sampled_from([b"", b"plain", "gr\u00fc\u00df".encode(), b"\xff", b"\xc3", b"\xbc"])


def spans_of(data: bytes, places: list[tuple[int, int]]) -> Spans:
    """Lines at these (start, end)."""
    start = np.array([first for first, _ in places], np.int64)
    length = np.array([end - first for first, end in places], np.int32)
    return Spans(np.frombuffer(data, np.uint8), start, length)


def is_text(line: bytes) -> bool:
    """Whether a decoder takes it."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.lists(PIECES, max_size=8).map(b"".join), st.data())
def test_it_is_said_of_the_lines_alone(data: bytes, draw: st.DataObject) -> None:
    place = st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))
    places = [(min(p), max(p)) for p in draw.draw(st.lists(place, max_size=4))]
    wanted = all(is_text(data[first:end]) for first, end in places)
    assert all_utf8(spans_of(data, places)) == wanted


def test_what_lies_around_the_lines_is_not_looked_at() -> None:
    """Memory behind them may be that of a whole part, and was perhaps never touched."""
    data = b"\xff" * 100 + b"one two" + b"\xff" * 100
    assert all_utf8(spans_of(data, [(100, 103), (104, 107)]))
    apart = b"one" + b"\xff" * 1000 + b"two"
    assert all_utf8(spans_of(apart, [(0, 3), (1003, 1006)]))
    assert not all_utf8(spans_of(apart, [(0, 3), (1002, 1006)]))
