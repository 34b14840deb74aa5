"""Which requests of readers are slow, and what did they cost? Counters by type, a line for each.

A type is an endpoint; of LogQL also whether logs or metrics are asked, and for a range or a moment.
What a query cost is told even when it fails, as far as it came.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from narfi.core.clock import NS_PER_S
from narfi.core.errors import AppError
from narfi.core.request_facts import facts_of
from querier.http_api.form import parse_form_leniently
from querier.result import Notes, QueryStats

log = structlog.get_logger(__name__)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

QUERIES = Counter(
    "narfi_queries_total",
    "Requests of readers by type and outcome: ok, or the kind of their error, such as timeout.",
    ["type", "outcome"],
)
QUERY_SECONDS = Histogram(
    "narfi_query_duration_seconds",
    "Time of such a request, its wait too, until its answer begins to be sent; of lines and "
    "exports until it was sent.",
    ["type"],
    buckets=SECONDS,
)
WAIT_SECONDS = Histogram(
    "narfi_query_wait_seconds", "How long such a request waited for a thread.", buckets=SECONDS
)
LINE_BYTES = Counter(
    "narfi_query_line_bytes_total", "Line bytes that queries looked at, by type.", ["type"]
)
LOADED_BYTES = Counter(
    "narfi_query_loaded_bytes_total",
    "Bytes of columns, uncompressed, that queries read since they were not in memory, by type.",
    ["type"],
)
RUNNING = Gauge("narfi_queries_running", "Requests of readers that have a thread.")
WAITING = Gauge("narfi_queries_waiting", "Requests of readers that wait for a thread.")
MEMORY = Gauge(
    "narfi_query_memory_bytes", "What running queries and answers on their way hold, as charged."
)

_PREFIXES = ("/loki/api/v1/", "/narfi/api/v1/", "/api/prom/", "/")


@dataclass(slots=True, kw_only=True)
class Watched:
    """A request of a reader; one thread at a time adds what it learns."""

    query: str = ""
    start_ns: int = 0
    end_ns: int = 0
    step_ns: int = 0
    instant: bool = False
    notes: Notes = field(default_factory=Notes)
    waited_s: float | None = None  # None: it got no thread
    came_s: float = field(default_factory=time.monotonic)

    def ms(self) -> int:
        """Milliseconds since it came."""
        return round(1000 * (time.monotonic() - self.came_s))

    def begun(self) -> None:
        """It has a thread; of several tries the first counts."""
        if self.waited_s is None:
            self.waited_s = time.monotonic() - self.came_s
            WAIT_SECONDS.observe(self.waited_s)


class QueryLog:
    """Counts, and logs what took at least so long; 0: nothing. Used by the event loop alone."""

    def __init__(self, longer_than_ns: int = 0) -> None:
        self._longer_than_s = longer_than_ns / NS_PER_S

    @contextmanager
    def watching(self, watched: Watched, scope: Mapping[str, Any]) -> Iterator[None]:
        """For the length of a request's work; an error goes on its way."""
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._ended(watched, scope, error)

    def _ended(
        self, watched: Watched, scope: Mapping[str, Any], error: BaseException | None
    ) -> None:
        seconds, kind = time.monotonic() - watched.came_s, type_of(watched, scope)
        outcome = outcome_of(error)
        QUERIES.labels(kind, outcome).inc()
        QUERY_SECONDS.labels(kind).observe(seconds)
        stats = watched.notes.stats
        if stats is not None:
            LINE_BYTES.labels(kind).inc(stats.bytes_scanned)
            LOADED_BYTES.labels(kind).inc(stats.reading.bytes_read)
        if 0 < self._longer_than_s <= seconds:
            facts = facts_of(scope)
            log.warning(
                "slow query",
                request_id=facts.request_id,
                tenant=facts.tenant,
                token=facts.token,
                type=kind,
                query=watched.query or _selector(scope),
                **_times(watched),
                ms=_ms(seconds),
                waited_ms=_ms(watched.waited_s if watched.waited_s is not None else seconds),
                outcome=outcome,
                **({"error": str(error)} if error is not None else {}),
                **({} if stats is None else summary(stats)),
            )


def type_of(watched: Watched, scope: Mapping[str, Any]) -> str:
    """`log_range`, `metric_instant`, `labels`, `label_values` …; of what is no LogQL `unparsed`."""
    if watched.query:
        span = "instant" if watched.instant else "range"
        return f"{watched.notes.kind}_{span}" if watched.notes.kind else "unparsed"
    path = getattr(scope.get("route"), "path", "")
    for prefix in _PREFIXES:
        if path.startswith(prefix):
            parts = path.removeprefix(prefix).split("/")
            return "_".join(part for part in parts if not part.startswith("{"))
    return "other"


def outcome_of(error: BaseException | None) -> str:
    """A word for how a request ended."""
    if error is None:
        return "ok"
    if isinstance(error, AppError):
        return str(error.kind.name.lower())
    return "internal" if isinstance(error, Exception) else "cancelled"


def summary(stats: QueryStats) -> dict[str, object]:
    """What a query cost, as far as it came: the short form of an explanation."""
    phases = " ".join(f"{name}:{_ms(seconds)}" for name, seconds in stats.phases_s.items())
    return {
        "phases_ms": phases,
        "bytes": stats.bytes_scanned,
        "loaded_bytes": stats.reading.bytes_read,
        "lines": stats.lines_scanned,
        "decoded_lines": stats.reading.rows_decoded,
        "passed_lines": stats.lines_after_filter,
        "returned": stats.entries_returned,
        "blocks": stats.blocks,
        "row_groups": stats.row_groups,
        "pruned_row_groups": stats.reading.row_groups_pruned,
        "head_lines": stats.head_lines,
        "streams": stats.streams,
        "rules": ",".join(sorted(stats.rules)),
    }


def _times(watched: Watched) -> dict[str, object]:
    if not watched.query:
        return {}
    found: dict[str, object] = {"start": _moment(watched.start_ns), "end": _moment(watched.end_ns)}
    return found | ({"step_s": watched.step_ns / NS_PER_S} if watched.step_ns else {})


def _moment(time_ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError):  # beyond the calendar
        return str(time_ns)


def _selector(scope: Mapping[str, Any]) -> str:
    """What an endpoint that is no query looks at."""
    pairs = parse_form_leniently(scope.get("query_string", b""))
    return " ".join(value for name, value in pairs if name in ("query", "match[]", "match"))


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
