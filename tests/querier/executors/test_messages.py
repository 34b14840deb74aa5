"""Do messages arrive as they were sent, however large, and is an end noticed?"""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from querier.executors.messages import Ask, Cancel, Channel, Done, GoneError, Packed


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Channel, Channel]]:
    """Both ends of a socket."""
    pair = socket.socketpair()
    yield Channel(pair[0]), Channel(pair[1])
    for end in pair:
        end.close()


ARRAYS = st.sampled_from(["i4", "i8", "u8", "f8", "?"]).flatmap(
    lambda kind: arrays.arrays(kind, st.tuples(st.integers(0, 40), st.integers(0, 3)))
)


@given(st.lists(ARRAYS, max_size=4), st.text(), st.integers(0, 2**60))
def test_arrays_come_as_they_were(
    ends: tuple[Channel, Channel], found: list[np.ndarray], text: str, kept: int
) -> None:
    ends[0].send(Done((text, found, [one.T for one in found]), kept, 0.5))
    ends[0].send(Ask(1, 2))
    back = ends[1].receive()
    assert isinstance(back, Done)
    assert back.kept == kept
    assert back.partial[0] == text
    for one, other in zip(
        [*found, *(one.T for one in found)], [*back.partial[1], *back.partial[2]], strict=True
    ):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    assert ends[1].receive() == Ask(1, 2)
    assert not ends[1].waits(0)


def test_large_arrays_are_sent_from_where_they_are(ends: tuple[Channel, Channel]) -> None:
    """And can be written to where they arrive, as those of threads can."""
    large = np.arange(1 << 20)
    packed = Packed(Done(large, 0, 0.5))
    assert len(packed.parts[0]) < 1000
    assert packed.nbytes == sum(map(len, packed.parts[:1])) + large.nbytes
    assert np.shares_memory(np.frombuffer(packed.parts[1], np.int64), large)
    sender = threading.Thread(target=ends[0].send_packed, args=(packed,))
    sender.start()
    back = ends[1].receive()
    sender.join()
    assert isinstance(back, Done)
    assert (back.partial == large).all()
    assert back.partial.flags.writeable


@pytest.mark.parametrize("sent", [0, 2, 9, 30])
def test_an_end_is_noticed(sent: int) -> None:
    """Between messages and in the middle of one."""
    mine, theirs = socket.socketpair()
    (data,) = Packed(Cancel()).parts
    whole = (1).to_bytes(4, "little") + len(data).to_bytes(8, "little") + data
    theirs.sendall(whole[:sent])
    theirs.close()
    channel = Channel(mine)
    assert channel.waits(0)
    with pytest.raises(GoneError):
        channel.receive()
    with pytest.raises(GoneError):
        channel.send(Cancel())
    channel.end()  # is nothing any more
    channel.close()


def test_who_waits_in_vain_is_told(ends: tuple[Channel, Channel]) -> None:
    assert not ends[0].waits(0.01)
    ends[1].send(Cancel())
    assert ends[0].waits()
    assert ends[0].receive() == Cancel()
