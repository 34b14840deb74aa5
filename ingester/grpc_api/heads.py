"""What do other processes ask an ingester? What its head holds, what comes in, and to flush it.

`narfi.Heads/Scan` answers a question of `storage/head_exchange.py`, `Flush` returns when what was
acknowledged before is in visible blocks, `Follow` brings what comes in for a tenant. For processes
of one cluster: who asks shows the name of the holder, which stands in the catalog, and may see
every tenant.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from hmac import compare_digest
from typing import Any

import grpc

from ingester.flush import Flusher
from ingester.followers import Follower, Followers
from ingester.head import Heads
from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from storage.head_exchange import SERVICE, Meant, answer, decode_question, encode_followed

POLL_S = 0.1
"""Between two looks for batches that came in."""
THERE_S = 1.0
"""Between two messages that say so to who follows."""


class HeadService:
    """Answers for the head of one journal."""

    def __init__(
        self,
        mine: Meant,
        heads: Heads,
        flusher: Flusher,
        *,
        followers: Followers,
        is_fenced: Callable[[], bool],
        pool: Executor,
    ) -> None:
        """`pool`: threads for calls, not those on which queries wait for other processes."""
        self.pool, self.followers = pool, followers
        self._mine, self._heads, self._flusher = mine, heads, flusher
        self._is_fenced = is_fenced

    def scan(self, message: bytes) -> Iterator[bytes]:
        """The runs of an answer; raises `AppError` when this is not the journal's process."""
        meant, question = decode_question(message)
        self._check(meant)
        sources = self._heads.sources(question.tenant, question.start_ns, question.end_ns)
        return answer(sources, question)

    def flush(self, message: bytes) -> None:
        """As `Flusher.flush_all`; the message is a question, of which only the addressee counts."""
        self._check(decode_question(message)[0])
        self._flusher.flush_all()

    def follow(self, message: bytes) -> tuple[TenantId, Follower]:
        """Begin to follow the tenant of a question."""
        meant, question = decode_question(message)
        self._check(meant)
        return question.tenant, self.followers.open(question.tenant)

    def _check(self, meant: Meant) -> None:
        """Compared in constant time: the holder's name is what the caller shows."""
        same = meant.journal_id == self._mine.journal_id
        shown, name = meant.holder.encode(), self._mine.holder.encode()
        if not compare_digest(shown, name) or not same or self._is_fenced():
            raise AppError("the journal that is asked for is not here", ErrorKind.NOT_FOUND)


def heads_handler(
    service: HeadService, status_of: Callable[[ErrorKind], Any]
) -> grpc.GenericRpcHandler:
    """The service."""
    pool = service.pool

    async def scan(message: bytes, context: Any) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            runs = await loop.run_in_executor(pool, service.scan, message)
            while (run := await loop.run_in_executor(pool, next, runs, None)) is not None:
                yield run
        except AppError as error:
            await context.abort(status_of(error.kind), error.brief)

    async def flush(message: bytes, context: Any) -> bytes:
        try:
            await asyncio.get_running_loop().run_in_executor(pool, service.flush, message)
        except AppError as error:
            await context.abort(status_of(error.kind), error.brief)
        return b""

    async def follow(message: bytes, context: Any) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            tenant, follower = service.follow(message)
        except AppError as error:
            await context.abort(status_of(error.kind), error.brief)
        told_s = 0.0
        try:
            while True:
                if loop.time() - told_s >= THERE_S:
                    yield b""
                    told_s = loop.time()
                for batch in follower.drain():
                    yield await loop.run_in_executor(pool, encode_followed, batch)
                await asyncio.sleep(POLL_S)
        finally:
            service.followers.close(tenant, follower)

    methods = {
        "Follow": grpc.unary_stream_rpc_method_handler(follow),
        "Scan": grpc.unary_stream_rpc_method_handler(scan),
        "Flush": grpc.unary_unary_rpc_method_handler(flush),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)
