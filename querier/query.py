"""What is asked? A query with its times and options, parsed from whatever transport."""

import threading
import time
from dataclasses import dataclass, field
from enum import Enum

from narfi.core.errors import AppError, ErrorKind
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.rules import ALL_RULES, Rules


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
    _deadline_s: float | None = None
    _budget_s: float = 0.0

    def cancel(self) -> None:
        """Ask the query to stop soon."""
        self._event.set()

    def limit_time(self, budget_ns: int) -> None:
        """Let the query run for `budget_ns` from now; 0 means without limit."""
        if budget_ns > 0:
            self._budget_s = budget_ns / 1e9
            self._deadline_s = time.monotonic() + self._budget_s

    def check(self) -> None:
        """Raise `QueryCancelledError` or `QueryTimeoutError` when the work is in vain."""
        if self._event.is_set():
            raise QueryCancelledError("the request was cancelled by the client")
        if self._deadline_s is not None and time.monotonic() > self._deadline_s:
            message = (
                "request timed out, decrease the duration of the request or add more label "
                f"matchers (prefer exact match over regex match) to reduce the amount of data "
                f"processed (query_timeout is {self._budget_s:g}s)"
            )
            raise QueryTimeoutError(message)


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
    rules: Rules = ALL_RULES
    explain: bool = False
