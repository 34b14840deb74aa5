"""What comes in now? Live entries for clients that follow a query (reference/http-api.md §5).

A push only hands its batch to the tailers of its tenant; filtering and sending happen on threads of
their own. With a delay an entry waits until it is so old, so that older ones that come late are
still told before it; one with a time of the future waits as long from when it was seen.
Invariant: a slow client never slows a push: what its queue cannot hold is dropped and reported.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import Counter

from logql.ast import LogQuery
from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import Streams
from narfi.core.tenant import TenantId
from querier.logs.streams import StreamsBuilder
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.pipeline import Pipeline, build_pipeline
from querier.result import LabelPairs, LogEntry, LogStream
from storage.batch import LogBatch

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Lines that wait for one client."""
MAX_DROPPED = 1000
"""Dropped entries that are remembered to be reported."""


DROPPED = Counter(
    "narfi_tail_dropped_entries_total",
    "Entries that were not handed to a socket that follows logs since its client is too slow; some "
    "of them its query would have left out.",
)


class TooManyTailsError(AppError):
    """The tenant follows as many queries as it may."""

    kind = ErrorKind.RATE_LIMITED


@dataclass(frozen=True, slots=True)
class Drained:
    """Entries for a client, oldest first, one a stream; and what was dropped, (ts, labels)."""

    streams: tuple[LogStream, ...]
    dropped: tuple[tuple[int, LabelPairs], ...]  # of many only the first ones
    lost: int = 0  # how many entries of the query's streams were dropped
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Held:
    """Entries that wait."""

    batch: LogBatch
    seen_ns: int = 0  # when they were looked at first; 0: not yet


@dataclass(eq=False, kw_only=True)
class Tailer:
    """One followed query; `offer` on push threads, `drain` on the client's."""

    query: LogQuery
    categorized: bool
    streams: Streams  # that the client may see
    delay_ns: int = 0  # how old entries are when they are handed out
    _queue: deque[_Held] = field(default_factory=deque)
    _bytes: int = 0
    _dropped: list[tuple[int, LabelPairs]] = field(default_factory=list)
    _lost: int = 0
    _told: dict[str, None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._pipeline: Pipeline = build_pipeline(self.query.stages, Demand())

    def offer(self, batch: LogBatch) -> None:
        """Queue a batch, dropping the oldest ones where there is no room."""
        with self._lock:
            self._queue.append(_Held(batch))
            self._bytes += _line_bytes(batch)
            self._keep_within()

    def _keep_within(self) -> None:
        while self._bytes > MAX_WAITING_BYTES:
            self._drop(self._queue.popleft().batch)

    def _drop(self, batch: LogBatch) -> None:
        self._bytes -= _line_bytes(batch)
        DROPPED.inc(len(batch))
        room = MAX_DROPPED - len(self._dropped)
        rows = self._chosen(batch)
        self._lost += len(rows)
        rows = rows[:room]
        for ts, stream in zip(batch.ts[rows].tolist(), batch.stream[rows].tolist(), strict=True):
            self._dropped.append((ts, batch.table.labels[stream].pairs))

    def _chosen(self, batch: LogBatch) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        wanted = (*self.query.selector.matchers, *self.streams)
        return np.flatnonzero(batch.table.select(wanted)[batch.stream])

    def tell(self, text: str) -> None:
        """Something that the client should read; once until it was drained."""
        with self._lock:
            self._told[text] = None

    def drain(self, now_ns: int = 0) -> Drained:
        """What waits and is old enough now, through the pipeline."""
        with self._lock:
            told, self._told = tuple(self._told), {}
            held, self._queue, self._bytes = self._queue, deque(), 0
            dropped, self._dropped = self._dropped, []
            lost, self._lost = self._lost, 0
        batches = self._due(held, now_ns) if self.delay_ns else [one.batch for one in held]
        entries: list[tuple[LabelPairs, LogEntry]] = []
        for batch in batches:
            rows = self._chosen(batch)
            step = batch.metadata.rows_at_once() if batch.metadata else len(rows)
            for first in range(0, len(rows), step):
                entries += self._entries(batch.take(rows[first : first + step]))
        entries.sort(key=lambda item: item[1].ts_ns)
        streams = tuple(LogStream(labels, (entry,)) for labels, entry in entries)
        return Drained(streams, tuple(dropped), lost, told)

    def _due(self, held: deque[_Held], now_ns: int) -> list[LogBatch]:
        """What is old enough; the rest goes back to the front of the queue."""
        until_ns = now_ns - self.delay_ns
        due, rest = [], []
        for one in held:
            seen_ns = one.seen_ns or now_ns
            is_due = (one.batch.ts <= until_ns) | (seen_ns <= until_ns)
            if is_due.all():
                due.append(one.batch)
            elif not is_due.any():  # as a rule: it is looked at again and again
                rest.append(_Held(one.batch, seen_ns))
            else:
                due.append(one.batch.take(np.flatnonzero(is_due)))
                rest.append(_Held(one.batch.take(np.flatnonzero(~is_due)), seen_ns))
        with self._lock:
            self._queue.extendleft(reversed(rest))
            self._bytes += sum(_line_bytes(one.batch) for one in rest)
            self._keep_within()
        return due

    def _entries(self, batch: LogBatch) -> list[tuple[LabelPairs, LogEntry]]:
        frame = self._pipeline.apply(frame_of(batch))
        bare = not self.query.stages and not self.categorized
        builder = StreamsBuilder(categorized=self.categorized or bare)
        builder.add(frame, list(range(len(frame))))
        return [
            (stream.labels, entry) for stream in builder.build().streams for entry in stream.entries
        ]


def _line_bytes(batch: LogBatch) -> int:
    assert batch.lines is not None
    return batch.lines.nbytes()


class TailHub:
    """All followed queries, by tenant; thread-safe."""

    def __init__(self) -> None:
        self._tailers: dict[TenantId, list[Tailer]] = {}
        self._lock = threading.Lock()
        self._opened: Callable[[TenantId], None] = lambda _: None

    def offer(self, tenant: TenantId, batch: LogBatch) -> None:
        """A batch that is durable and visible now."""
        for tailer in self._of(tenant):
            tailer.offer(batch)

    def when_opened(self, join: Callable[[TenantId], None]) -> None:
        """Call it when somebody begins to follow a tenant, before the history is read."""
        self._opened = join

    def join(self, tenant: TenantId) -> None:
        """Return when what comes in anywhere reaches the tenant's tailers; may take seconds."""
        self._opened(tenant)

    def followed(self, tenant: TenantId) -> int:
        """Queries of the tenant that are followed."""
        return len(self._of(tenant))

    def tenants(self) -> frozenset[TenantId]:
        """Those that somebody follows."""
        with self._lock:
            return frozenset(self._tailers)

    def __len__(self) -> int:
        """How many follow."""
        with self._lock:
            return sum(map(len, self._tailers.values()))

    def tell(self, tenant: TenantId, text: str) -> None:
        """Something that all who follow the tenant should read."""
        for tailer in self._of(tenant):
            tailer.tell(text)

    def _of(self, tenant: TenantId) -> Sequence[Tailer]:
        if not self._tailers:  # the usual case costs nothing
            return ()
        with self._lock:
            return tuple(self._tailers.get(tenant, ()))

    def open(self, tenant: TenantId, tailer: Tailer, most: int) -> None:
        """Begin to follow; raises `TooManyTailsError`."""
        with self._lock:
            mine = self._tailers.setdefault(tenant, [])
            if most and len(mine) >= most:
                message = (
                    "max concurrent tail requests limit exceeded, count > limit "
                    f"({len(mine) + 1} > {most})"
                )
                raise TooManyTailsError(message)
            mine.append(tailer)

    def close(self, tenant: TenantId, tailer: Tailer) -> None:
        """Stop following."""
        with self._lock:
            mine = self._tailers.get(tenant, [])
            if tailer in mine:
                mine.remove(tailer)
            if not mine:
                self._tailers.pop(tenant, None)
