"""Is a tenant within its ingestion rate? A token bucket per tenant, all or nothing (§2)."""

from dataclasses import dataclass

from ingester.errors import RateLimitedError
from ingester.per_tenant import PerTenant
from narfi.core.clock import NS_PER_S, Clock
from narfi.core.limits import MB, Limits
from narfi.core.tenant import TenantId


@dataclass(slots=True)
class _Bucket:
    """What was left when, in bytes; nothing was taken yet while `full_ns` is 0."""

    tokens: float = 0.0
    as_of_ns: int = 0
    full_ns: int = 0  # when it is full again: from then on it is as a new one


class IngestionRates:
    """Token buckets in bytes; thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tenants: PerTenant[_Bucket] = PerTenant(_Bucket)

    def __len__(self) -> int:
        return len(self._tenants)

    def spend(self, tenant: TenantId, limits: Limits, lines: int, size: int) -> None:
        """Take the bytes from the tenant's bucket, or refuse the whole request (429)."""
        rate = limits.ingestion_rate_mb * MB
        burst = limits.ingestion_burst_size_mb * MB
        if rate <= 0:
            return
        now = self._clock.now_ns()
        with self._tenants.of(tenant) as bucket:
            if bucket.full_ns:
                gained = rate * max(now - bucket.as_of_ns, 0) / NS_PER_S
                tokens = min(burst, bucket.tokens + gained)
            else:
                tokens = burst
            fits = size <= tokens
            bucket.tokens, bucket.as_of_ns = tokens - size if fits else tokens, now
            bucket.full_ns = now + 1 + int((burst - bucket.tokens) / rate * NS_PER_S)
        if not fits:
            message = (
                f"ingestion rate limit exceeded for user {tenant} (limit: {int(rate)} "
                f"bytes/sec) while attempting to ingest '{lines}' lines totaling '{size}' "
                "bytes, reduce log volume or contact your Loki administrator to see if the "
                "limit can be increased"
            )
            raise RateLimitedError(message)

    def spent(self, tenant: TenantId, limits: Limits) -> int:
        """Bytes of the tenant's burst that are taken now."""
        rate, burst = limits.ingestion_rate_mb * MB, limits.ingestion_burst_size_mb * MB
        bucket = self._tenants.peek(tenant)
        if bucket is None or not bucket.full_ns or rate <= 0:
            return 0
        gained = rate * max(self._clock.now_ns() - bucket.as_of_ns, 0) / NS_PER_S
        return max(0, int(burst - bucket.tokens - gained))

    def sweep(self, now_ns: int) -> int:
        """Forget buckets that are full again."""
        return self._tenants.sweep(lambda bucket: bucket.full_ns <= now_ns)
