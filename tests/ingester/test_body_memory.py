"""Is the memory of a body given out again only when nobody looks at it, and never held for less?"""

import gc

import numpy as np
import pytest

from ingester.admit import Room, unsnappy
from ingester.body_memory import KEPT, KEPT_BYTES, body_memory
from narfi.core.columns import Spans
from narfi.core.wire.push_encode import encode_push


@pytest.mark.parametrize("size", [KEPT_BYTES // 2, KEPT_BYTES])
def test_memory_is_used_again_when_the_last_view_is_gone(size: int) -> None:
    held = [body_memory(size) for _ in range(KEPT + 1)]
    places = {memory.ctypes.data for memory in held}
    assert len(places) == KEPT + 1
    line = Spans(held[0], np.array([5]), np.array([7], np.int32)).take(slice(0, 1)).data[5:7]
    line[:] = 7
    del held
    gc.collect()
    again = [body_memory(size) for _ in range(KEPT + 1)]
    assert sum(memory.ctypes.data in places for memory in again) == KEPT
    for memory in again:
        assert len(memory) == size
        memory[:] = 0
    assert line.tolist() == [7, 7]


@pytest.mark.parametrize("size", [0, 1, KEPT_BYTES // 2 - 1, KEPT_BYTES + 1])
def test_other_sizes_have_memory_of_their_own(size: int) -> None:
    memory = body_memory(size)
    assert len(memory) == size
    assert memory.base is None


def test_a_body_stays_while_others_come() -> None:
    line = b"x" * 1000
    bodies = []
    for number in range(3 * KEPT):
        entries = [(k, b"%d %s" % (number, line), ()) for k in range(800)]
        bodies.append(unsnappy(encode_push([('{app="a"}', entries)]), Room()))
    for number, body in enumerate(bodies):
        assert bytes(body).count(b"%d %s" % (number, line)) == 800
