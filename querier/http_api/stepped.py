"""How does an answer leave that is worked on while it is sent? A step at a time on a query thread.

The first step may fail as any request does. A later failure cannot change the status, so the
answer says it itself, or breaks off. Between two steps nobody holds a thread: a client that takes
nothing holds only what the answer reads. While a step is worked on, the answer tells now and then
how far it is. A client that goes away cancels the work.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from typing import Protocol

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError
from querier.executors.fair import waits_in_vain
from querier.http_api.query_log import Watched
from querier.http_api.requests import QueryContext, asked_by
from querier.running import StoppingError

TICK_S = 0.2
"""Between two words on how far the answer is; so long the first step may take to fail with a
status of its own."""


SENT_BYTES = 256 * 1024
"""Of a piece, sent at once: a client that takes them slowly holds no more in the connection."""

Piece = bytes | memoryview


class Steps(Protocol):
    """What makes the answer; `step` runs on query threads, one call at a time."""

    def step(self) -> bytes | memoryview | None:
        """The next piece; None behind the last. What raised may be called again."""
        ...

    def progress(self) -> bytes:
        """A piece that tells how far it is, or nothing; while a step may run."""
        ...

    def ended(self, error: AppError | None) -> bytes:
        """The last piece; raises the error where the form has no place for it."""
        ...

    def close(self) -> None:
        """Let go of everything; no step runs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedAnswer:
    """How an answer in steps is sent."""

    make: Callable[[Budget], Steps]
    media_type: str
    headers: Mapping[str, str]
    is_renewed: bool = False
    """Whether each step has the time of a query, or all together."""


async def in_steps(
    context: QueryContext, request: Request, answer: SteppedAnswer, watched: Watched
) -> Response:
    """The response, begun when the first step is done, or takes long."""
    with contextlib.ExitStack() as stack:
        budget = stack.enter_context(context.running.one(await asked_by(context, request)))
        stack.enter_context(context.query_log.watching(watched, request.scope))
        tenants = context.tenants(request)
        budget.begin(context.limits(tenants))
        steps = answer.make(budget)
        stack.callback(steps.close)
        run = _Run(
            context=context,
            tenants=tenants,
            budget=budget,
            steps=steps,
            watched=watched,
            is_renewed=answer.is_renewed,
        )
        try:
            first = run.next_step()
            await asyncio.wait({first}, timeout=TICK_S)
            if first.done():
                first.result()
        except BaseException:
            await run.end()
            raise
        return _Stepped(run, first, stack.pop_all(), answer)


class _Run:
    """The steps of one answer, as jobs of its tenant."""

    def __init__(
        self,
        *,
        context: QueryContext,
        tenants: tuple[TenantId, ...],
        budget: Budget,
        steps: Steps,
        watched: Watched,
        is_renewed: bool,
    ) -> None:
        self._context, self._tenant = context, "|".join(tenants)
        self.budget, self.steps, self._watched = budget, steps, watched
        self._is_renewed = is_renewed
        self._known = copy_context()  # for what is logged on the thread
        self.job: Future[Piece | None] | None = None
        self.error: AppError | None = None

    def next_step(self) -> "asyncio.Future[Piece | None]":
        """Begin the next step; raises `AppError` where the tenant's queue is full."""
        if self._is_renewed:
            self.budget.renew()

        def begun() -> Piece | None:
            self.budget.begin_work()
            self._watched.begun()
            return self._known.copy().run(self.steps.step)

        self.job = self._context.pool.submit(self._tenant, self.budget, begun)
        future = asyncio.wrap_future(self.job)
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return future

    async def pieces(self, step: "asyncio.Future[Piece | None]") -> AsyncIterator[Piece]:
        """All pieces, the last one with what went wrong; raises it where that cannot be told."""
        try:
            while True:
                while not (await asyncio.wait({step}, timeout=TICK_S))[0]:
                    self._look()
                    yield self.steps.progress()
                piece = step.result()
                if piece is None:
                    break
                yield piece
                step = self.next_step()
        except AppError as raised:
            self.error = self._why(raised)
        yield self.steps.ended(self.error)

    def _look(self) -> None:
        """Raise what the step would, where it has not begun and is in vain."""
        assert self.job is not None
        if self.budget.is_over() and self.job.cancel():
            self.budget.check()
        if waits_in_vain(self.budget) and self.job.cancel():
            raise self._context.pool.waited_too_long(self._tenant, self.budget)

    def _why(self, error: AppError) -> AppError:
        if not isinstance(error, QueryCancelledError):
            return error
        if self._context.running.stopped:
            return StoppingError()
        why = self.budget.cancelled_because
        return error if why is None else QueryCancelledError(why)

    async def end(self) -> None:
        """Let what still runs end by itself."""
        self.budget.cancel()
        job, self.job = self.job, None
        if job is not None and not job.done() and not job.cancel():
            ended = asyncio.wrap_future(job)
            while not ended.done():
                with contextlib.suppress(asyncio.CancelledError):  # the request may end, it cannot
                    await asyncio.wait({ended})


class _Stepped(Response):
    """Sends the pieces as they are made."""

    def __init__(
        self,
        run: _Run,
        first: "asyncio.Future[Piece | None]",
        held: contextlib.ExitStack,
        answer: SteppedAnswer,
    ) -> None:
        self.status_code, self.background, self.media_type = 200, None, answer.media_type
        self.body = b""
        self.init_headers(dict(answer.headers))
        del self.headers["content-length"]
        self._run, self._first, self._held = run, first, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, or what the client takes; what breaks off has no end."""
        gone = asyncio.ensure_future(_cancel_when_gone(receive, self._run.budget))
        try:
            with self._held:
                try:
                    await self._send_all(send)
                finally:
                    await self._run.end()
        except AppError:
            return  # the server closes the connection, so the client sees that it is not whole
        finally:
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        async for piece in self._run.pieces(self._first):
            for first in range(0, len(piece), SENT_BYTES):
                some = bytes(piece[first : first + SENT_BYTES])
                await send({"type": "http.response.body", "body": some, "more_body": True})
        error = self._run.error
        if error is not None:  # it was told in the answer; who counts queries hears of it
            with contextlib.suppress(AppError):
                self._held.__exit__(type(error), error, error.__traceback__)


async def _cancel_when_gone(receive: Receive, budget: Budget) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    budget.cancel()
