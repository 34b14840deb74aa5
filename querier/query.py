"""What is asked? A query with its times and options, parsed from whatever transport."""

import threading
from dataclasses import dataclass, field
from enum import Enum

from narfi.core.errors import AppError, ErrorKind
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId


class Direction(Enum):
    """In which order log lines are returned."""

    FORWARD = "forward"
    BACKWARD = "backward"


class QueryCancelledError(AppError):
    """The client went away."""

    kind = ErrorKind.CANCELLED


class QueryTimeoutError(AppError):
    """The time budget of the query is spent."""

    kind = ErrorKind.TIMEOUT


@dataclass(slots=True)
class Cancellation:
    """Set by the transport or the clock; checked between leaf tasks and batches."""

    _event: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Ask the query to stop soon."""
        self._event.set()

    def check(self) -> None:
        """Raise `QueryCancelledError` when the client is gone."""
        if self._event.is_set():
            raise QueryCancelledError("the request was cancelled by the client")


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """Everything about a query but its text; times are ns since the epoch.

    A range query covers `start_ns <= ts < end_ns` for log lines; metric steps run from start to
    end (aligned per `limits.split_queries_by_interval_ns`, reference/http-api.md §3.3).
    An instant query has start_ns == end_ns == the asked time and step_ns == 0.
    """

    tenants: tuple[TenantId, ...]  # usually one; several are queried together
    start_ns: int
    end_ns: int
    step_ns: int
    limits: Limits
    limit: int = 100
    direction: Direction = Direction.BACKWARD
    interval_ns: int = 0
    categorize_labels: bool = False
    instant: bool = False
    cancellation: Cancellation = field(default_factory=Cancellation)
