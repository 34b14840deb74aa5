"""Do large answers leave whole, a piece of one at a time?"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from querier.http_api.streaming import PIECE_BYTES, Body, answer_of

PARTS = 6


class Making:
    """Looks at how many pieces are being made at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def parts(self, mark: bytes) -> Iterator[bytes]:
        """Parts of a piece each."""
        for _ in range(PARTS):
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.005)
            with self._lock:
                self.now -= 1
            yield mark * PIECE_BYTES


async def sent(body: Body, turn: asyncio.Lock, held: ExitStack, breaks: bool = False) -> bytes:
    """What a client gets; it may go away in the middle."""
    found: list[bytes] = []

    async def send(message: Any) -> None:
        found.append(message.get("body", b""))
        if breaks and len(found) > 3:
            raise OSError

    async def receive() -> Any:
        await asyncio.sleep(60)

    await answer_of(body, held, turn)({"type": "http"}, receive, send)
    return b"".join(found)


def test_answers_make_their_pieces_in_turn() -> None:
    making, closed = Making(), list[int]()

    async def ask() -> list[bytes]:
        turn = asyncio.Lock()
        jobs = []
        for number, mark in enumerate((b"a", b"b", b"c")):
            held = ExitStack()
            held.callback(closed.append, number)
            jobs.append(sent(Body.of(making.parts(mark)), turn, held))
        return await asyncio.gather(*jobs)

    found = asyncio.run(ask())
    assert found == [mark * PIECE_BYTES * PARTS for mark in (b"a", b"b", b"c")]
    assert making.most == 1
    assert sorted(closed) == [0, 1, 2]


def test_a_client_that_goes_gives_its_turn_back() -> None:
    async def ask() -> bytes:
        turn, first, second = asyncio.Lock(), ExitStack(), ExitStack()
        making = Making()
        with pytest.raises((OSError, ExceptionGroup)):
            await sent(Body.of(making.parts(b"a")), turn, first, breaks=True)
        return await asyncio.wait_for(sent(Body.of(making.parts(b"b")), turn, second), 60)

    assert asyncio.run(ask()) == b"b" * PIECE_BYTES * PARTS
