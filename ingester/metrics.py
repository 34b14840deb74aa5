"""What does the write path count? Loki's names where they exist (reference/ingest-rules.md §9)."""

import threading
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram

from narfi.core.clock import NS_PER_S
from narfi.core.shown_metrics import LargestTenants
from narfi.core.tenant import TenantId

IDLE_NS = 3600 * NS_PER_S
"""A tenant that pushed nothing for so long is not shown any more; it begins at 0 again."""
MOST_TENANTS = 1000
"""Tenants that are shown; who comes when there are so many is counted under the name ''."""

RECEIVED_BYTES = Counter(
    "loki_distributor_bytes_received_total", "Line bytes received.", ["tenant"]
)
RECEIVED_LINES = Counter("loki_distributor_lines_received_total", "Lines received.", ["tenant"])
DISCARDED_SAMPLES = Counter(
    "loki_discarded_samples_total", "Entries refused.", ["reason", "tenant"]
)
DISCARDED_BYTES = Counter("loki_discarded_bytes_total", "Line bytes refused.", ["reason", "tenant"])
MUTATED_SAMPLES = Counter(
    "loki_mutated_samples_total", "Entries that were changed.", ["reason", "tenant"]
)
MUTATED_BYTES = Counter("loki_mutated_bytes_total", "Line bytes cut off.", ["reason", "tenant"])
_OF_TENANTS = (
    *(RECEIVED_BYTES, RECEIVED_LINES, DISCARDED_SAMPLES, DISCARDED_BYTES),
    *(MUTATED_SAMPLES, MUTATED_BYTES),
)
PUSH_SECONDS = Histogram("narfi_push_duration_seconds", "Time from body to acknowledgement.")
FLUSHED_BLOCKS = Counter("narfi_flushed_blocks_total", "Blocks published by flushes.")
FLUSHED_BYTES = Counter("narfi_flushed_bytes_total", "Line bytes put into blocks.")
FLUSH_FAILURES = Counter("narfi_flush_failures_total", "Flushes that failed and are tried again.")
FLUSH_SECONDS = Histogram(
    "narfi_flush_duration_seconds",
    "Time from a part of a head to a visible block.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)
HEAD_PARTS = Gauge(
    "narfi_head_parts",
    "Parts of heads by state: active (still filled), cut (waiting for their blocks).",
    ["state"],
)
OLDEST_UNFLUSHED = Gauge(
    "narfi_oldest_unflushed_seconds", "Age of the oldest entries that are in no visible block."
)
FLUSH_AGE = Gauge(
    "narfi_flush_age_seconds", "Age at which a part becomes a block: ingester.flush_age."
)
MAX_UNFLUSHED_BYTES = Gauge(
    "narfi_max_unflushed_bytes", "Bound of narfi_unflushed_bytes: ingester.max_unflushed_bytes."
)
ACTIVE_STREAMS = LargestTenants(
    "narfi_active_streams", "Streams that were pushed to within the hour, of the largest tenants."
)
PUSHING_TENANTS = Gauge("narfi_pushing_tenants", "Tenants that pushed within the hour.")
REPLAYED_RECORDS = Gauge(
    "narfi_journal_replayed_records", "Records that the last start found in no block."
)
REPLAY_SECONDS = Gauge("narfi_journal_replay_seconds", "Time that the last start took to replay.")
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
            tenant = self._shown(tenant, now_ns)
            RECEIVED_BYTES.labels(tenant).inc(size)
            RECEIVED_LINES.labels(tenant).inc(lines)

    def discarded(
        self, tenant: TenantId, entries: Mapping[str, int], sizes: Mapping[str, int], now_ns: int
    ) -> None:
        """Entries were refused, by reason."""
        if not entries:
            return
        with self._lock:
            tenant = self._shown(tenant, now_ns)
            for reason, count in entries.items():
                DISCARDED_SAMPLES.labels(reason, tenant).inc(count)
                DISCARDED_BYTES.labels(reason, tenant).inc(sizes[reason])

    def cut(self, tenant: TenantId, lines: int, size: int, now_ns: int) -> None:
        """Lines were stored without their ends, which have `size` bytes."""
        if not lines:
            return
        with self._lock:
            tenant = self._shown(tenant, now_ns)
            MUTATED_SAMPLES.labels("line_too_long", tenant).inc(lines)
            MUTATED_BYTES.labels("line_too_long", tenant).inc(size)

    def _shown(self, tenant: TenantId, now_ns: int) -> TenantId:
        """The name under which a tenant is counted."""
        if tenant not in self._seen_ns and len(self._seen_ns) >= MOST_TENANTS:
            return TenantId("")
        self._seen_ns[tenant] = now_ns
        return tenant

    def sweep(self, now_ns: int) -> int:
        """Leave out tenants that are idle; how many."""
        with self._lock:
            idle = [name for name, seen in self._seen_ns.items() if seen < now_ns - IDLE_NS]
            for tenant in idle:
                del self._seen_ns[tenant]
                for counter in _OF_TENANTS:
                    counter.remove_by_labels({"tenant": tenant})
            return len(idle)
