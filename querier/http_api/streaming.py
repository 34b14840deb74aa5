"""How does a large answer leave? In pieces, each made when the one before has been taken.

A small answer is one body with its length. Of a large one only a piece is in memory as JSON; the
answer itself stays charged to its budget until the last piece is sent, or the client has gone; the
server closes connections of clients that take nothing (narfi/server/connections.py).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

JSON_TYPE = "application/json; charset=UTF-8"
PIECE_BYTES = 256 * 1024
"""Of JSON, made at once; about: an entry or a series is not cut."""


@dataclass(frozen=True, slots=True)
class Body:
    """The first piece, and what makes the others; None when there are no others."""

    first: bytes
    rest: Iterator[bytes] | None

    @staticmethod
    def of(parts: Iterator[bytes]) -> "Body":
        """From small parts."""
        pieces = _joined(parts)
        first = next(pieces, b"")
        second = next(pieces, None)
        return Body(first, None if second is None else _chain(second, pieces))


def _joined(parts: Iterator[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _chain(second: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield second
    yield from pieces


def answer_of(body: Body, held: ExitStack, turn: asyncio.Lock) -> Response:
    """The response; it closes what is held, the budget, when it is sent, or now.

    Answers make their pieces in turn: at once they would not be quicker, since the interpreter does
    one at a time, and whoever needs it for something small would wait for all of them.
    """
    if body.rest is None:
        held.close()
        return Response(body.first, media_type=JSON_TYPE)
    return _Streamed(body.first, body.rest, held, turn)


class _Streamed(StreamingResponse):
    """Sends pieces that are made on another thread."""

    def __init__(
        self, first: bytes, rest: Iterator[bytes], held: ExitStack, turn: asyncio.Lock
    ) -> None:
        async def made() -> bytes:
            async with turn:
                return await asyncio.to_thread(next, rest, b"")

        async def pieces() -> AsyncIterator[bytes]:
            yield first
            while (piece := await made()) != b"":
                yield piece

        super().__init__(pieces(), media_type=JSON_TYPE)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or what the client takes."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._held.close()
