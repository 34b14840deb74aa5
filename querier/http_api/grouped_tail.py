"""How is a query followed by a page? Frames of entries by stream, and a position to go on from.

`{"streams": [{"stream": {...}, "values": [[ts, line, metadata or null], ...]}], "dropped": n,
"position": "..."}`, the first one at once. Streams are named by the labels of their pushes,
whatever parsers find; `warnings` say what the history is without.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryCancelledError
from querier.export.readable import readable_pairs
from querier.http_api.line_objects import shown
from querier.http_api.requests import QueryContext
from querier.http_api.warnings import warnings_of
from querier.line_stream import LineBatch, LinesAsked, LineStream
from querier.logs.tail import Tailer, TailHub
from querier.logs.tail_sent import LATE_NS, Entry, Followers, Position, Sent, key_of
from querier.query import Direction, QueryOptions
from querier.result import LabelPairs, LogEntry

FRAME_ENTRIES = 1000
REPLAYED_BYTES = 256 * 1024
"""Lines that are read at once for who resumes."""
MOST_REPLAYED = 1 << 40
JOINED_S = 10.0
"""So long behind the history, what comes may be of it: other ingesters hand it over later."""
NS_PER_MS = 1_000_000
UNKNOWN = (
    "this process does not know the position: lines of its last instant may come twice, and lines "
    "that came late while the connection was broken are not sent again"
)

SendText = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedAsked:
    """A checked request."""

    tenant: TenantId
    text: str
    start_ns: int
    limit: int
    position: Position | None
    every_s: float  # between two looks at what came
    shows_parsed: bool
    who: str  # asks: a position is of no use to others


class GroupedTail:
    """One follower."""

    def __init__(
        self, context: QueryContext, asked: GroupedAsked, followers: Followers, budget: Budget
    ) -> None:
        self._context, self._asked = context, asked
        self._followers, self._budget = followers, budget
        self._recent: set[int] = set()  # what was sent and may come again
        self._recent_ns = context.clock.now_ns() - LATE_NS

    async def run(self, hub: TailHub, tailer: Tailer, send: SendText) -> None:
        """What was before or was missed, then what comes; raises `AppError` when it is over."""
        asked, loop = self._asked, asyncio.get_running_loop()
        await asyncio.to_thread(hub.join, asked.tenant)
        sent = await (self._history(send) if asked.position is None else self._missed(send))
        until_s = loop.time() + JOINED_S
        while True:
            await asyncio.sleep(asked.every_s)
            if (why := self._budget.cancelled_because) is not None:
                raise QueryCancelledError(why)
            drained = await asyncio.to_thread(tailer.drain, self._context.clock.now_ns())
            came = [(s.labels, entry) for s in drained.streams for entry in s.entries]
            fresh = [one for one in came if not self._recent or key_of(*one) not in self._recent]
            if fresh or drained.lost or drained.warnings:
                await self._send(send, sent, fresh, drained.lost, drained.warnings)
            if self._recent and loop.time() > until_s:
                self._recent = set()

    async def _history(self, send: SendText) -> Sent:
        """The newest entries since the start, oldest first."""
        asked = self._asked
        stream = self._stream(Direction.BACKWARD, asked.start_ns, asked.limit)
        found = [one async for batch in self._steps(stream) for one in entries_of(batch)][::-1]
        oldest_ns = found[0][1].ts_ns if found and not stream.is_whole else asked.start_ns
        sent = Sent(floor_ns=oldest_ns, newest_ns=oldest_ns)
        self._followers.remember(self._what(), sent)
        await self._send(send, sent, found, 0, stream.warnings)
        return sent

    async def _missed(self, send: SendText) -> Sent:
        """What is behind the position, and was not sent, as it is found."""
        assert self._asked.position is not None
        sent, had, known = self._followers.resumed(self._what(), self._asked.position)
        self._followers.remember(self._what(), sent)
        await self._send(send, sent, (), 0, () if known else (UNKNOWN,))
        stream = self._stream(Direction.FORWARD, sent.floor_ns, MOST_REPLAYED)
        async for batch in self._steps(stream):
            fresh = [one for one in entries_of(batch) if key_of(*one) not in had]
            if fresh:
                await self._send(send, sent, fresh, 0, ())
        if stream.warnings:
            await self._send(send, sent, (), 0, stream.warnings)
        self._recent |= had
        return sent

    def _what(self) -> tuple[str, str, str]:
        """What is followed, by whom."""
        return self._asked.who, self._asked.tenant, self._asked.text

    def _stream(self, direction: Direction, start_ns: int, limit: int) -> LineStream:
        context, tenant = self._context, self._asked.tenant
        end_ns = context.clock.now_ns()
        options = QueryOptions(
            tenants=(tenant,),
            start_ns=min(start_ns, end_ns),
            end_ns=end_ns,
            step_ns=NS_PER_MS,
            limits=context.service.limits_of(tenant),
            limit=limit,
            direction=direction,
            categorize_labels=True,
            budget=self._budget,
            rules=context.rules,
        )
        is_bounded = direction is Direction.BACKWARD
        return context.service.lines(
            LinesAsked(
                text=self._asked.text,
                options=options,
                batch_bytes=REPLAYED_BYTES,
                at_least=limit if is_bounded else FRAME_ENTRIES,
                limited=is_bounded,
            )
        )

    async def _steps(self, stream: LineStream) -> AsyncIterator[LineBatch]:
        """The batches, each made on a query thread when it is the tenant's turn."""
        context, budget = self._context, self._budget
        budget.begin_work()
        job = None
        try:
            while True:
                budget.renew()
                job = context.pool.submit(self._asked.tenant, budget, stream.step)
                batch = await asyncio.shield(asyncio.wrap_future(job))
                if batch is None:
                    return
                yield batch
        finally:
            if job is None or job.done() or job.cancel():  # else its budget ends it
                stream.close()

    async def _send(
        self,
        send: SendText,
        sent: Sent,
        entries: Sequence[Entry],
        dropped: int,
        warnings: Sequence[str],
    ) -> None:
        for first in range(0, max(len(entries), 1), FRAME_ENTRIES):
            some = entries[first : first + FRAME_ENTRIES]
            self._recent |= {key_of(*one) for one in some if one[1].ts_ns >= self._recent_ns}
            body: dict[str, object] = {
                "streams": _grouped(some, shows_parsed=self._asked.shows_parsed),
                "dropped": dropped,
                "position": sent.add(some).text(),
            }
            if warnings:
                body["warnings"] = warnings_of(warnings)
            await send(orjson.dumps(body).decode())
            dropped, warnings = 0, ()


def entries_of(batch: LineBatch) -> list[Entry]:
    """The entries of a batch, one by one."""
    rows, columns = batch.rows, batch.rows.columns
    lines = columns.lines.to_list()
    coded = zip(
        columns.labels.tolist(), columns.ts.tolist(), lines, columns.extras.tolist(), strict=True
    )
    return [
        (rows.labels[labels], LogEntry(ts, line or b"", *rows.extras[extra]))
        for labels, ts, line, extra in coded
    ]


def _grouped(entries: Iterable[Entry], *, shows_parsed: bool) -> list[dict[str, object]]:
    """By stream, each in the order given."""
    found: dict[LabelPairs, list[object]] = {}
    for labels, entry in entries:
        metadata: dict[str, object] = {**readable_pairs(entry.metadata)}
        if shows_parsed:
            metadata = {"m": metadata, "p": readable_pairs(entry.parsed)}
        value = [str(entry.ts_ns), shown(entry.line), metadata or None]
        found.setdefault(labels, []).append(value)
    return [{"stream": readable_pairs(k), "values": v} for k, v in found.items()]
