"""How many streams may a tenant have, and how fast may one grow? (ingest-rules.md §2, §5.2)

A stream counts as active for an hour after its last push. The rate is a token bucket per stream; a
push's entries of one stream are taken or refused together, as Loki does while it may shard streams.
"""

import threading
from dataclasses import dataclass, field

import numpy as np

from ingester.cost import entry_bytes, rated_bytes
from ingester.errors import RateLimitedError
from ingester.failed_entries import MAX_REPORTED, failed_entries_text
from ingester.validate import Accepted
from narfi.core.clock import NS_PER_S
from narfi.core.columns import Mask
from narfi.core.limits import KB, MB, Limits
from narfi.core.tenant import TenantId

ACTIVE_NS = 3600 * NS_PER_S


@dataclass(slots=True)
class _Stream:
    """When a stream was last written to, and what is left in its bucket."""

    seen_ns: int
    tokens: float


@dataclass(slots=True)
class _Tenant:
    streams: dict[str, _Stream] = field(default_factory=dict)  # by label text
    swept_ns: int = 0


class StreamLimits:
    """Active streams of every tenant; thread-safe."""

    def __init__(self) -> None:
        self._tenants: dict[TenantId, _Tenant] = {}
        self._lock = threading.Lock()

    def check(
        self, tenant: TenantId, accepted: Accepted, limits: Limits, now_ns: int
    ) -> tuple[Mask, RateLimitedError | None]:
        """(entries that are refused, what to answer): others of the push are stored."""
        push = accepted.push
        refused = np.zeros(len(push), np.bool_)
        count = len(accepted.streams)
        entries = np.bincount(push.stream, minlength=count)
        sizes = np.bincount(push.stream, weights=rated_bytes(push), minlength=count)
        error: RateLimitedError | None = None
        with self._lock:
            mine = self._tenants.setdefault(tenant, _Tenant())
            self._sweep(mine, limits, now_ns)
            for number in np.flatnonzero(entries).tolist():
                text = accepted.streams[number].text
                stream = mine.streams.get(text)
                if stream is None:
                    most = limits.max_global_streams_per_user
                    if most and len(mine.streams) >= most:
                        error = RateLimitedError(_too_many(tenant, text))
                        refused |= push.stream == number
                        continue
                    burst = float(limits.per_stream_rate_limit_burst)
                    stream = mine.streams[text] = _Stream(now_ns, burst)
                if not _spend(stream, float(sizes[number]), limits, now_ns):
                    rows = push.stream == number
                    refused |= rows
                    error = RateLimitedError(_too_fast(tenant, text, accepted, rows, limits))
        return refused, error

    def _sweep(self, mine: _Tenant, limits: Limits, now_ns: int) -> None:
        """Forget streams that are idle, now and then, and whenever there is no room."""
        full = len(mine.streams) >= (limits.max_global_streams_per_user or 1 << 62)
        if now_ns - mine.swept_ns < (ACTIVE_NS // 60 if full else ACTIVE_NS // 4):
            return
        mine.swept_ns = now_ns
        edge = now_ns - ACTIVE_NS
        mine.streams = {k: s for k, s in mine.streams.items() if s.seen_ns >= edge}


def _spend(stream: _Stream, size: float, limits: Limits, now_ns: int) -> bool:
    rate, burst = limits.per_stream_rate_limit, limits.per_stream_rate_limit_burst
    refill = rate * max(now_ns - stream.seen_ns, 0) / NS_PER_S
    stream.tokens = min(float(burst), stream.tokens + refill)
    stream.seen_ns = now_ns
    if rate <= 0:
        return True
    if size > stream.tokens:
        return False
    stream.tokens -= size
    return True


def _too_many(tenant: TenantId, stream: str) -> str:
    return (
        f"maximum active stream limit exceeded when trying to create stream {stream}, reduce the "
        "number of active streams (reduce labels or reduce label values), or contact your Loki "
        f"administrator to see if the limit can be increased, user: '{tenant}'"
    )


def _too_fast(tenant: TenantId, stream: str, accepted: Accepted, rows: Mask, limits: Limits) -> str:
    chosen = np.flatnonzero(rows)
    shown = chosen[:MAX_REPORTED]
    reasons = [
        f"Per stream rate limit exceeded (limit: {shown_size(limits.per_stream_rate_limit)}/sec) "
        f"while attempting to ingest for stream '{stream}' totaling {shown_size(size)}, consider "
        "splitting a stream via additional labels or contact your Loki administrator to see if "
        "the limit can be increased"
        for size in entry_bytes(accepted.push)[shown].tolist()
    ]
    ts = accepted.push.ts[chosen].tolist()
    return failed_entries_text(tenant, stream, ts, reasons, len(chosen))


def shown_size(size: int) -> str:
    """The largest unit of 1024 that divides it: `3MB`, `1000B`."""
    for unit, factor in (("MB", MB), ("KB", KB)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"
