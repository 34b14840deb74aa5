"""Is an entry too far behind the newest of its stream, as one by one would say?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingester.ordering import IDLE_NS, OrderingWindow, running_marks
from narfi.core.limits import Limits
from tests.ingester.pushed import NOW, TENANT, accepted, lines, pushed

LIMITS = Limits(out_of_order_window_ns=100)
A, B = '{app="a"}', '{app="b"}'


def behind(window: OrderingWindow, text: str, *ts: int, now: int = NOW) -> list[bool]:
    """Which entries of a push of one stream are refused."""
    push = pushed({text: [(one, b"x", []) for one in ts]})
    found, _ = window.check(TENANT, accepted(push, LIMITS), LIMITS, now)
    return [bool(one) for one in found]


def test_the_window_is_behind_the_newest_of_the_stream() -> None:
    window = OrderingWindow()
    assert behind(window, A, 1000, 900, 899) == [False, False, True]
    assert behind(window, A, 900, 899) == [False, True]
    assert behind(window, B, 1) == [False], "each stream has its own"


def test_what_is_refused_does_not_move_the_mark_and_the_rest_does() -> None:
    window = OrderingWindow()
    assert behind(window, A, 1000, 2000, 1850, 1900) == [False, False, True, False]


def test_the_text() -> None:
    window = OrderingWindow()
    push = pushed({A: lines(b"new", ts=NOW) + lines(b"old", ts=NOW - 101)})
    _, error = window.check(TENANT, accepted(push, LIMITS), LIMITS, NOW)
    assert error is not None
    assert "reason: 'entry too far behind, entry timestamp is: 2025-10-09T13:59:59Z, oldest " in (
        error.message
    )
    assert "total ignored: 1 out of 2 for stream" in error.message


def test_without_a_window_nothing_is_remembered() -> None:
    window, off = OrderingWindow(), Limits(out_of_order_window_ns=0)
    push = pushed({A: lines(b"x")})
    found, error = window.check(TENANT, accepted(push, off), off, NOW)
    assert not found.any()
    assert error is None
    assert len(window) == 0


def test_a_stream_that_nobody_wrote_to_begins_anew() -> None:
    window = OrderingWindow()
    behind(window, A, 1000)
    assert window.sweep(NOW + IDLE_NS) == 0
    assert window.sweep(NOW + IDLE_NS + 1) == 1
    assert behind(window, A, 1) == [False]


STREAMS = st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=6), min_size=1, max_size=4)


@given(STREAMS, st.data())
def test_running_marks(streams: list[list[int]], data: st.DataObject) -> None:
    known = [data.draw(st.integers(-60, 60)) for _ in streams]
    expected = []
    for begin, stream in zip(known, streams, strict=True):
        mark = begin
        for ts in stream:
            expected.append(mark)
            mark = max(mark, ts)
    times = np.array([ts for stream in streams for ts in stream], np.int64)
    new = np.array([k == 0 for stream in streams for k in range(len(stream))], np.bool_)
    assert running_marks(times, new, np.array(known, np.int64)).tolist() == expected
