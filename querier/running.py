"""Which requests are worked on? They share the memory for queries and end when the server stops.

Each has an id by which whoever may see it can end it; of those that have ended the last ones are
remembered.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from narfi.core.errors import AppError, ErrorKind
from narfi.core.grant import ALL_STREAMS, Streams
from narfi.core.tenant import TenantId
from querier.budget import Budget, Total

MOST_RECENT = 100
"""Requests that have ended and are remembered."""


class StoppingError(AppError):
    """The server stops, so the request was cancelled (503)."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__("the server is stopping; ask again when it is back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks for what; `streams`: those that may be seen."""

    tenants: tuple[TenantId, ...] = ()
    route: str = ""
    text: str = ""  # the query, or what else was asked for
    who: str = ""  # the token's name
    streams: Streams = ALL_STREAMS


@dataclass(slots=True, kw_only=True)
class OneRequest:
    """A request that is worked on or waits."""

    query_id: str
    asked: Asked
    budget: Budget
    began_ns: int
    began_s: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it came."""
        return time.monotonic() - self.began_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A request that has ended."""

    query_id: str
    asked: Asked
    began_ns: int
    seconds: float
    peak_bytes: int
    read_bytes: int
    error: str | None


class Running:
    """The budgets of all requests that are worked on or wait; thread-safe."""

    def __init__(self, memory: Total | None = None) -> None:
        self.memory = memory or Total()
        self._lock = threading.Lock()
        self._open: dict[str, OneRequest] = {}
        self._recent: deque[Ended] = deque(maxlen=MOST_RECENT)
        self.stopped = False
        self.freed_bytes = 0
        """What all requests that have ended held, each at its peak."""

    @contextmanager
    def one(self, asked: Asked) -> Iterator[Budget]:
        """The budget of a new request; closed behind it.

        It is cancelled already when the server stops.
        """
        budget = Budget(self.memory, asked.streams)
        query_id = secrets.token_hex(4)
        one = OneRequest(query_id=query_id, asked=asked, budget=budget, began_ns=time.time_ns())
        with self._lock:
            self._open[query_id] = one
            if self.stopped:
                budget.cancel()
        error: str | None = None
        try:
            yield budget
        except BaseException as raised:
            error = str(raised) or type(raised).__name__
            raise
        finally:
            budget.close()
            ended = Ended(
                query_id=query_id,
                asked=asked,
                began_ns=one.began_ns,
                seconds=one.seconds,
                peak_bytes=budget.peak,
                read_bytes=budget.bytes_read,
                error=error or budget.cancelled_because,
            )
            with self._lock:
                del self._open[query_id]
                self.freed_bytes += budget.peak
                self._recent.append(ended)

    def now(self) -> list[OneRequest]:
        """Those that are worked on or wait, longest first."""
        with self._lock:
            return list(self._open.values())

    def recent(self) -> list[Ended]:
        """The last ones that have ended, newest first."""
        with self._lock:
            return list(reversed(self._recent))

    def stop(self) -> None:
        """Cancel all of them, and those that come."""
        with self._lock:
            self.stopped = True
            for one in self._open.values():
                one.budget.cancel()
