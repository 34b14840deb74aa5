"""Are entries only left out, and never the streams' numbers changed?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.limits import Limits
from tests.ingester.pushed import accepted, lines, pushed

LIMITS = Limits()


@given(st.lists(st.booleans(), min_size=5, max_size=5))
def test_without(marks: list[bool]) -> None:
    push = pushed({'{app="a"}': lines(b"0", b"1"), '{app="b"}': lines(b"2", b"3", b"4")})
    whole = accepted(push, LIMITS)
    kept = whole.without(np.array(marks, np.bool_))
    rows = [row for row, mark in enumerate(marks) if not mark]
    assert kept.push.lines.to_list() == [b"%d" % row for row in rows]
    assert kept.push.stream.tolist() == [[0, 0, 1, 1, 1][row] for row in rows]
    assert kept.streams == whole.streams
    assert kept.whole == (not any(marks)), "a body of which something was refused is not kept"
