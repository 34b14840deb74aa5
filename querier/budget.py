"""What may one request take? Memory, time and bytes to read; who asks for more is refused.

A `Budget` lives as long as its request. Everything that can grow is charged before it is taken, by
batch or when an array grows, never by row; long work calls `check` often (each 100 ms of CPU at
least), which raises when the time is over or the client has gone. `Total` bounds what all running
requests hold together.
Invariant: what was charged is given back when the request ends, whatever happened to it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.grant import ALL_STREAMS, Streams
from narfi.core.limits import Limits
from narfi.core.units import shown_bytes


class QueryCancelledError(AppError):
    """The client went away."""

    kind = ErrorKind.CANCELLED


class QueryTimeoutError(AppError):
    """The time of the query is spent."""

    kind = ErrorKind.TIMEOUT


class QueryMemoryError(InvalidRequestError):
    """The query needs more memory than `max_query_memory` allows."""


class QueryBytesError(InvalidRequestError):
    """The query would read more than `max_query_bytes_read` allows."""


class MemoryBusyError(AppError):
    """Other queries hold the memory that this one needs."""

    kind = ErrorKind.UNAVAILABLE


CLIENT_GONE = "the request was cancelled by the client"

KEPT, LITTLE = 8, 32
"""Parts of the memory for all: one is kept for requests that hold no more than the other."""


class Cache(Protocol):
    """What remembers values as long as nobody needs their memory; thread-safe."""

    room: Callable[[], int | None]
    """Asked before it remembers more: bytes that it may hold, None for any."""

    @property
    def bytes(self) -> int:
        """Bytes held."""
        ...

    def give_way(self, size: int) -> None:
        """Forget so many bytes, or all."""
        ...


class Memory(Protocol):
    """Where a budget takes from; thread-safe."""

    def take(self, size: int, held: int = 0) -> None:
        """Charge a request that holds so much; raises `AppError` where it does not fit."""
        ...

    def give_back(self, size: int) -> None:
        """No longer held."""
        ...


class Total:
    """What all running requests may hold together, in bytes; 0: no bound. Thread-safe.

    A cache that shares it has what requests leave, and gives way when they need more. An eighth is
    kept for requests that hold little, so that a few large ones leave room for small ones.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._used = 0
        self._lock = threading.Lock()
        self._cache: Cache | None = None

    def share_with(self, cache: Cache) -> None:
        """Let the cache hold what no request needs."""
        if self.most:
            self._cache = cache
            cache.room = lambda: max(0, self.most - self._used)

    @property
    def used(self) -> int:
        """Bytes that are charged now."""
        return self._used

    def take(self, size: int, held: int = 0) -> None:
        """Charge a request that holds so much; raises `MemoryBusyError` where it does not fit."""
        with self._lock:
            most, alone = self.most, self._used <= held
            if not alone and held + size > most // LITTLE:
                most -= most // KEPT
            if self.most and self._used + size > most:
                message = (
                    "the memory for queries is taken by other queries (querier.max_memory is "
                    f"{shown_bytes(self.most)}, {shown_bytes(size)} more are needed); try again "
                    "later or raise querier.max_memory"
                )
                raise MemoryBusyError(message)
            self._used += size
            used = self._used
        if self._cache is not None and used + self._cache.bytes > self.most:
            self._cache.give_way(used + self._cache.bytes - self.most)

    def give_back(self, size: int) -> None:
        """No longer held."""
        with self._lock:
            self._used -= size


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left to a part of a request in another process, as data; 0: no bound."""

    memory_bytes: int = 0
    deadline_ns: int = (
        0  # by the wall clock: machines agree on it far better than a timeout is long
    )

    def budget(self, now_ns: int) -> "Budget":
        """A budget of its own for the part."""
        left_ns = max(1, self.deadline_ns - now_ns) if self.deadline_ns else 0
        limits = Limits(max_query_memory=self.memory_bytes, query_timeout_ns=left_ns)
        budget = Budget()
        budget.begin(limits)
        return budget


class Budget:
    """What one request may take, and which streams it may see; thread-safe."""

    def __init__(self, total: Memory | None = None, streams: Streams = ALL_STREAMS) -> None:
        self._total: Memory = total or Total()
        self.streams = streams
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._why = CLIENT_GONE  # it was cancelled
        self._began = self._closed = self._works = False
        self._most_memory = self._most_read = 0
        self._used = self._peak = self._read = 0
        self._timeout_s = 0.0
        self._deadline_s: float | None = None
        self._tries: list[Budget] = []  # that succeeded, or are under way

    def begin(self, limits: Limits) -> None:
        """Set what the limits allow, and start the clock; only the first call counts.

        So the time that a request waits for its turn is part of its `query_timeout`.
        """
        with self._lock:
            if self._began:
                return
            self._began = True
            self._most_memory = limits.max_query_memory
            self._most_read = limits.max_query_bytes_read
            if limits.query_timeout_ns > 0:
                self._timeout_s = limits.query_timeout_ns / 1e9
                self._deadline_s = time.monotonic() + self._timeout_s

    @contextmanager
    def attempt(self) -> Iterator["Budget"]:
        """A budget of the same bounds, for work that may have to be done again.

        What it charged is given back at once when the `with` block raises, and else with this
        budget; leaf tasks that a failed attempt left behind take and return nothing any more.
        """
        tried = self._tried()
        try:
            yield tried
        except BaseException:
            self._end(tried)
            raise

    @contextmanager
    def part(self) -> Iterator["Budget"]:
        """As `attempt`, for work whose memory is free when the `with` block ends.

        Its bytes stay read; raises `QueryBytesError` where those before were too many.
        """
        self.read(0)
        tried = self._tried()
        try:
            yield tried
        finally:
            self._end(tried)
            self._read += tried.bytes_read

    def _tried(self) -> "Budget":
        tried = Budget(self._total, self.streams)
        with self._lock:
            tried._began, tried._timeout_s = self._began, self._timeout_s
            tried._deadline_s = self._deadline_s
            tried._most_memory, tried._most_read = self._most_memory, self._most_read
            self._tries.append(tried)
        if self._cancelled.is_set():
            tried.cancel(self._why)
        return tried

    def _end(self, tried: "Budget") -> None:
        self._peak = max(self._peak, tried.peak)
        tried.close()
        with self._lock:
            self._tries.remove(tried)

    def renew(self) -> None:
        """Begin its time anew: for an answer whose client takes it while it is worked on."""
        if self._deadline_s is not None:
            self._deadline_s = time.monotonic() + self._timeout_s
        for tried in list(self._tries):
            tried.renew()

    def cancel(self, why: str = CLIENT_GONE) -> None:
        """Ask the work to stop soon; the first reason is the one that is told."""
        if not self._cancelled.is_set():
            self._why = why
        self._cancelled.set()
        for tried in list(self._tries):
            tried.cancel(why)

    @property
    def cancelled_because(self) -> str | None:
        """Why somebody else than the client ended the request; None while nobody did."""
        return self._why if self._why != CLIENT_GONE else None

    def begin_work(self) -> None:
        """The request waits no more: a thread has begun with it."""
        self._works = True

    @property
    def is_waiting(self) -> bool:
        """Whether no thread has begun with it yet."""
        return not self._works

    def check(self) -> None:
        """Raise `QueryCancelledError` or `QueryTimeoutError` when the work is in vain."""
        if self._cancelled.is_set():
            raise QueryCancelledError(self._why)
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            message = (
                "request timed out, decrease the duration of the request or add more label "
                f"matchers (prefer exact match over regex match) to reduce the amount of data "
                f"processed (query_timeout is {self._timeout_s:g}s)"
            )
            raise QueryTimeoutError(message)

    def is_over(self) -> bool:
        """Whether `check` would raise."""
        return self._cancelled.is_set() or self.left_s() == 0

    def left_s(self) -> float | None:
        """Seconds until the deadline, not below 0; None without one."""
        if self._deadline_s is None:
            return None
        return max(0.0, self._deadline_s - time.monotonic())

    def late_s(self) -> float:
        """Seconds since the deadline; 0 before it, or without one."""
        return 0.0 if self._deadline_s is None else max(0.0, time.monotonic() - self._deadline_s)

    @property
    def most_memory(self) -> int:
        """Bytes that it may charge; 0: no bound of its own."""
        return self._most_memory

    @property
    def timeout_s(self) -> float:
        """Seconds that the request has; 0: no bound."""
        return self._timeout_s

    def spent_share(self) -> float:
        """How much of its time is gone, from 0 to 1."""
        left_s = self.left_s()
        return 0.0 if left_s is None else 1 - left_s / self._timeout_s

    def allowance(self) -> Allowance:
        """What a part of the request may take in another process."""
        left_s = self.left_s()
        deadline_ns = 0 if left_s is None else time.time_ns() + int(left_s * 1e9)
        return Allowance(memory_bytes=self._most_memory, deadline_ns=deadline_ns)

    def read(self, size: int) -> None:
        """Count line bytes that are about to be read; raises `QueryBytesError` beyond the limit."""
        with self._lock:
            self._read += size
            size = self._read
        if self._most_read and size > self._most_read:
            message = (
                f"the query would read too many bytes (query: {shown_bytes(size)}, limit: "
                f"{shown_bytes(self._most_read)}); consider adding more specific stream selectors "
                "or reduce the time range of the query"
            )
            raise QueryBytesError(message)

    @property
    def bytes_read(self) -> int:
        """Line bytes that it read, or is about to, so far."""
        return self._read + sum(tried.bytes_read for tried in list(self._tries))

    @property
    def used(self) -> int:
        """Bytes that are charged now."""
        return self._used + sum(tried.used for tried in list(self._tries))

    @property
    def peak(self) -> int:
        """The most bytes that were charged at once, by itself or by one attempt."""
        return max(self._peak, *(tried.peak for tried in list(self._tries)), 0)

    def charge(self, size: int) -> None:
        """Count memory that is about to be taken; raises `QueryMemoryError`, `MemoryBusyError`."""
        with self._lock:
            if self._closed:
                raise QueryCancelledError("the request has ended")
            needed = self._used + size
            if self._most_memory and needed > self._most_memory:
                message = (
                    f"the query needs too much memory (query: {shown_bytes(needed)}, limit: "
                    f"{shown_bytes(self._most_memory)}, set by max_query_memory); consider "
                    "aggregating by fewer labels, using a larger step, or reducing the time range "
                    "of the query"
                )
                raise QueryMemoryError(message)
            self._total.take(size, self._used)
            self._used = needed
            self._peak = max(self._peak, needed)

    def release(self, size: int) -> None:
        """Memory that is free again."""
        with self._lock:
            if self._closed:
                return
            self._used -= size
            self._total.give_back(size)

    def account(self) -> "Account":
        """For a piece of work whose memory is free when it ends."""
        return Account(self)

    def close(self) -> None:
        """The request has ended: everything is given back; leaf tasks that still run stop."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._total.give_back(self._used)
                self._used = 0
        self._cancelled.set()
        for tried in list(self._tries):
            tried.close()


class Account:
    """What one piece of work took of a budget, given back when it is closed; one thread at a time.

    Without a budget everything is allowed: for what follows a stream of logs, and for tests.
    """

    __slots__ = ("_budget", "used")

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget
        self.used = 0

    def charge(self, size: int) -> None:
        """As `Budget.charge`."""
        if self._budget is not None:
            self._budget.charge(size)
        self.used += size

    def release(self, size: int) -> None:
        """As `Budget.release`."""
        if self._budget is not None:
            self._budget.release(size)
        self.used -= size

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Memory for the time of a with block."""
        self.charge(size)
        try:
            yield
        finally:
            self.release(size)

    def part(self) -> "Account":
        """Of the same budget, for a part of the work whose memory is free before."""
        return Account(self._budget)

    def hand_over(self, size: int, to: "Account") -> None:
        """Let another account of the same budget hold so much of what this one took."""
        self.used -= size
        to.used += size

    def check(self) -> None:
        """As `Budget.check`."""
        if self._budget is not None:
            self._budget.check()

    def close(self) -> None:
        """Give everything back."""
        self.release(self.used)

    def __enter__(self) -> "Account":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
