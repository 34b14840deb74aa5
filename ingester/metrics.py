"""What does the write path count? Loki's names where they exist (reference/ingest-rules.md §9)."""

import threading
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from narfi.core.clock import NS_PER_S
from narfi.core.tenant import TenantId

IDLE_NS = 3600 * NS_PER_S
"""A tenant that pushed nothing for so long is not shown any more; it begins at 0 again."""

RECEIVED_BYTES = Counter(
    "loki_distributor_bytes_received_total", "Line bytes received.", ["tenant"]
)
RECEIVED_LINES = Counter("loki_distributor_lines_received_total", "Lines received.", ["tenant"])
DISCARDED_SAMPLES = Counter(
    "loki_discarded_samples_total", "Entries refused.", ["reason", "tenant"]
)
DISCARDED_BYTES = Counter("loki_discarded_bytes_total", "Line bytes refused.", ["reason", "tenant"])
PUSH_SECONDS = Histogram("narfi_push_duration_seconds", "Time from body to acknowledgement.")
FLUSHED_BLOCKS = Counter("narfi_flushed_blocks_total", "Blocks published by flushes.")
FLUSHED_BYTES = Counter("narfi_flushed_bytes_total", "Line bytes put into blocks.")
FLUSH_FAILURES = Counter("narfi_flush_failures_total", "Flushes that failed and are tried again.")
UNFLUSHED_BYTES = Gauge(
    "narfi_unflushed_bytes", "What entries that are in no visible block cost in memory."
)
DAMAGED_SEGMENTS = Gauge(
    "narfi_journal_damaged_segments",
    "Places where acknowledged records are missing from the journal, as the last start found them.",
)
LOST_FRAMES = Gauge("narfi_journal_lost_frames", "Records that are missing there.")


class TenantCounts:
    """The counters with a tenant's name, of tenants that push; thread-safe."""

    def __init__(self) -> None:
        self._seen_ns: dict[TenantId, int] = {}
        self._lock = threading.Lock()

    def received(self, tenant: TenantId, lines: int, size: int, now_ns: int) -> None:
        """Entries were stored."""
        with self._lock:
            self._seen_ns[tenant] = now_ns
            RECEIVED_BYTES.labels(tenant).inc(size)
            RECEIVED_LINES.labels(tenant).inc(lines)

    def discarded(
        self, tenant: TenantId, entries: Mapping[str, int], sizes: Mapping[str, int], now_ns: int
    ) -> None:
        """Entries were refused, by reason."""
        if not entries:
            return
        with self._lock:
            self._seen_ns[tenant] = now_ns
            for reason, count in entries.items():
                DISCARDED_SAMPLES.labels(reason, tenant).inc(count)
                DISCARDED_BYTES.labels(reason, tenant).inc(sizes[reason])

    def sweep(self, now_ns: int) -> int:
        """Leave out tenants that are idle; how many."""
        with self._lock:
            idle = [name for name, seen in self._seen_ns.items() if seen < now_ns - IDLE_NS]
            for tenant in idle:
                del self._seen_ns[tenant]
                for counter in (RECEIVED_BYTES, RECEIVED_LINES, DISCARDED_SAMPLES, DISCARDED_BYTES):
                    counter.remove_by_labels({"tenant": tenant})
            return len(idle)
