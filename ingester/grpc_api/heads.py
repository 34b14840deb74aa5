"""What do other processes ask an ingester? What its head holds, and to flush it.

`narfi.Heads/Scan` answers a question of `storage/head_exchange.py`, `Flush` returns when what was
acknowledged before is in visible blocks. For processes of one cluster only: no tenant is checked.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import grpc

from ingester.flush import Flusher
from ingester.head import Heads
from narfi.core.errors import AppError, ErrorKind
from storage.head_exchange import SERVICE, answer, decode_question


class HeadService:
    """Answers for the head of one journal."""

    def __init__(
        self, journal_id: str, heads: Heads, flusher: Flusher, is_fenced: Callable[[], bool]
    ) -> None:
        self._journal_id, self._heads, self._flusher = journal_id, heads, flusher
        self._is_fenced = is_fenced

    def scan(self, message: bytes) -> Iterator[bytes]:
        """The runs of an answer; raises `AppError` when this is not the journal's process."""
        journal_id, question = decode_question(message)
        if journal_id != self._journal_id or self._is_fenced():
            raise AppError(f"journal {journal_id} is not here", ErrorKind.NOT_FOUND)
        sources = self._heads.sources(question.tenant, question.start_ns, question.end_ns)
        return answer(sources, question)

    def flush(self) -> None:
        """As `Flusher.flush_all`."""
        self._flusher.flush_all()


def heads_handler(
    service: HeadService, pool: Executor, status_of: Callable[[ErrorKind], Any]
) -> grpc.GenericRpcHandler:
    """The service; `pool` must not be the one on which queries wait for other processes."""

    async def scan(message: bytes, context: Any) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            runs = await loop.run_in_executor(pool, service.scan, message)
            while (run := await loop.run_in_executor(pool, next, runs, None)) is not None:
                yield run
        except AppError as error:
            await context.abort(status_of(error.kind), error.message)

    async def flush(_message: bytes, context: Any) -> bytes:
        try:
            await asyncio.get_running_loop().run_in_executor(pool, service.flush)
        except AppError as error:
            await context.abort(status_of(error.kind), error.message)
        return b""

    methods = {
        "Scan": grpc.unary_stream_rpc_method_handler(scan),
        "Flush": grpc.unary_unary_rpc_method_handler(flush),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)
