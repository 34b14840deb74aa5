"""Which metrics are read from the parts of a server when `/metrics` is asked?

The parts keep these figures anyway; nothing here is counted. What may block is looked at by upkeep
and only shown here.
"""

import platform
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from prometheus_client import Gauge, disable_created_metrics

from ingester.metrics import (
    ACTIVE_STREAMS,
    FLUSH_AGE,
    HEAD_PARTS,
    MAX_UNFLUSHED_BYTES,
    OLDEST_UNFLUSHED,
    PUSHING_TENANTS,
    UNFLUSHED_BYTES,
)
from narfi.core.clock import NS_PER_S
from narfi.core.shown_metrics import ShownCounter
from narfi.server.readiness import Readiness
from narfi.server.wiring import Server
from querier.http_api.query_log import MEMORY, RUNNING, WAITING
from storage.cache import ByteCache
from storage.journal.file import FileJournal
from storage.journal.metrics import DISK_BYTES

BUILD = Gauge("narfi_build_info", "1; the labels say what runs.", ["version", "pythonversion"])
READY = Gauge("narfi_ready", "1 while the server takes requests, 0 while it starts or stops.")
TAILS = Gauge("narfi_tails", "Sockets that follow logs.")
CACHE_BYTES = Gauge("narfi_cache_bytes", "Bytes that a cache holds: columns, indexes.", ["cache"])
CACHE_HITS = ShownCounter("narfi_cache_hits", "Look-ups that found something in a cache.", "cache")
CACHE_MISSES = ShownCounter("narfi_cache_misses", "Look-ups that found nothing there.", "cache")


def show(server: Server, readiness: Readiness) -> None:
    """Show this server's parts; those of one before are shown no more."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # else each counter is a second series, of when it began
    BUILD.labels(version("narfi"), platform.python_version()).set(1)
    READY.set_function(lambda: float(readiness.reason() is None))
    _show_heads(server)
    _show_queries(server)
    if isinstance(server.journal, FileJournal):
        DISK_BYTES.set_function(server.journal.disk_bytes)


def _show_heads(server: Server) -> None:
    heads, pushes = server.heads, server.pushes

    def oldest() -> float:
        since_ns = heads.oldest_ns()
        return 0.0 if since_ns is None else (server.clock.now_ns() - since_ns) / NS_PER_S

    UNFLUSHED_BYTES.set_function(lambda: heads.bytes)
    MAX_UNFLUSHED_BYTES.set(server.settings.ingester.max_unflushed_bytes)
    OLDEST_UNFLUSHED.set_function(oldest)
    FLUSH_AGE.set(server.settings.ingester.flush_age / NS_PER_S)
    for state in ("active", "cut"):
        HEAD_PARTS.labels(state).set_function(_count_of(server, state))
    ACTIVE_STREAMS.show(pushes.active_streams)
    PUSHING_TENANTS.set_function(lambda: len(pushes.active_streams()))


def _count_of(server: Server, state: str) -> Callable[[], float]:
    return lambda: float(server.heads.counts()[state])


def _show_queries(server: Server) -> None:
    queries = server.queries
    RUNNING.set_function(lambda: queries.pool.counts()[0])
    WAITING.set_function(lambda: queries.pool.counts()[1])
    MEMORY.set_function(lambda: queries.running.memory.used)
    TAILS.set_function(server.tails.__len__)
    for name, cache in server.store.caches.items():
        _show_cache(name, cache)


def _show_cache(name: str, cache: ByteCache[Any]) -> None:
    CACHE_BYTES.labels(name).set_function(lambda: cache.bytes)
    CACHE_HITS.show(name, lambda: cache.hits)
    CACHE_MISSES.show(name, lambda: cache.misses)
