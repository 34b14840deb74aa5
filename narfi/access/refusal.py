"""How is a request refused of which the body is still coming? Answered first, then listened to.

A client that is refused may still be sending: for a moment what comes is thrown away, else it would
see a broken connection instead of the answer.
"""

import asyncio
import contextlib

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

LINGER_S = 1.0
"""How long a refused client is listened to."""


def has_body(scope: Scope) -> bool:
    """Whether the client sends one, or says that it will."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in scope["headers"]
    )


async def refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, listen for a moment, close the connection."""
    answer.headers["Connection"] = "close"

    async def linger(message: Message) -> None:
        if message["type"] == "http.response.body":
            await send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await _rest(receive)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    await answer(scope, receive, linger)


async def _rest(receive: Receive) -> None:
    """Throw away what still comes."""
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
