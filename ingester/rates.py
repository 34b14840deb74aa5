"""Is a tenant within its ingestion rate? A token bucket per tenant, all or nothing (§2)."""

import threading

from ingester.errors import RateLimitedError
from narfi.core.clock import NS_PER_S, Clock
from narfi.core.limits import MB, Limits
from narfi.core.tenant import TenantId


class IngestionRates:
    """Token buckets in bytes; thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[TenantId, tuple[float, int]] = {}  # tokens, as of ns
        self._lock = threading.Lock()

    def spend(self, tenant: TenantId, limits: Limits, lines: int, size: int) -> None:
        """Take the bytes from the tenant's bucket, or refuse the whole request (429)."""
        rate = limits.ingestion_rate_mb * MB
        burst = limits.ingestion_burst_size_mb * MB
        if rate <= 0:
            return
        now = self._clock.now_ns()
        with self._lock:
            tokens, then = self._buckets.get(tenant, (burst, now))
            tokens = min(burst, tokens + rate * max(now - then, 0) / NS_PER_S)
            if size > tokens:
                self._buckets[tenant] = (tokens, now)
                message = (
                    f"ingestion rate limit exceeded for user {tenant} (limit: {int(rate)} "
                    f"bytes/sec) while attempting to ingest '{lines}' lines totaling '{size}' "
                    "bytes, reduce log volume or contact your Loki administrator to see if the "
                    "limit can be increased"
                )
                raise RateLimitedError(message)
            self._buckets[tenant] = (tokens - size, now)
