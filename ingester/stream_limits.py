"""How many streams may a tenant have, and how fast may one grow? (ingest-rules.md §2, §5.2)

A stream counts as active for an hour after its last push. The rate is a token bucket per stream; a
push's entries of one stream are taken or refused together, as Loki does while it may shard streams.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ingester.accepted import Accepted
from ingester.cost import entry_bytes
from ingester.errors import RateLimitedError
from ingester.failed_entries import MAX_REPORTED, failed_entries_text
from ingester.per_tenant import PerTenant
from ingester.refusals import Refusals
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

    def forget_idle(self, now_ns: int) -> None:
        """Only streams that were written to within the hour stay."""
        self.swept_ns = now_ns
        edge = now_ns - ACTIVE_NS
        self.streams = {k: s for k, s in self.streams.items() if s.seen_ns >= edge}


class StreamLimits:
    """Active streams of every tenant; thread-safe."""

    def __init__(self) -> None:
        self._tenants: PerTenant[_Tenant] = PerTenant(_Tenant)

    def __len__(self) -> int:
        return len(self._tenants)

    def counts(self) -> dict[TenantId, int]:
        """Active streams by tenant, as of now."""
        return {tenant: len(mine.streams) for tenant, mine in self._tenants.now().items()}

    def check(
        self,
        tenant: TenantId,
        accepted: Accepted,
        limits: Limits,
        now_ns: int,
        refusals: Refusals | None = None,
    ) -> tuple[Mask, RateLimitedError | None]:
        """(entries that are refused, what to answer): others of the push are stored.

        `refusals` are told how many, by reason.
        """
        push = accepted.push
        count = len(accepted.streams)
        sums = accepted.sums()
        numbers = np.flatnonzero(sums.entries)
        rate, burst = limits.per_stream_rate_limit, float(limits.per_stream_rate_limit_burst)
        most = limits.max_global_streams_per_user
        refused: list[int] = []
        too_fast: list[int] = []
        error: Callable[[], str] | None = None  # of the last stream that was refused
        with self._tenants.of(tenant) as mine:
            _sweep(mine, limits, now_ns)
            streams, known = accepted.streams, mine.streams.get
            for number, size in zip(numbers.tolist(), sums.rated[numbers].tolist(), strict=True):
                text = streams[number].text
                stream = known(text)
                if stream is None:
                    if most and len(mine.streams) >= most:
                        refused.append(number)
                        error = partial(_too_many, tenant, text)
                        continue
                    stream = mine.streams[text] = _Stream(now_ns, burst)
                gained = rate * max(now_ns - stream.seen_ns, 0) / NS_PER_S
                left = min(burst, stream.tokens + gained)
                stream.seen_ns = now_ns
                fits = size <= left
                stream.tokens = left - size if fits and rate > 0 else left
                if not fits and rate > 0:
                    refused.append(number)
                    too_fast.append(number)
                    error = partial(_too_fast, tenant, number, accepted, limits)
        if error is None:
            return np.zeros(len(push), np.bool_), None
        is_refused = np.zeros(count, np.bool_)
        is_refused[refused] = True
        if refusals is not None:
            fast = np.zeros(count, np.bool_)
            fast[too_fast] = True
            refusals.count("per_stream_rate_limit", push, fast[push.stream])
            refusals.count("stream_limit", push, (is_refused & ~fast)[push.stream])
        return is_refused[push.stream], RateLimitedError(error())

    def active(self, tenant: TenantId) -> int:
        """Streams of the tenant that count, some that have just become idle too."""
        mine = self._tenants.peek(tenant)
        return 0 if mine is None else len(mine.streams)

    def sweep(self, now_ns: int) -> int:
        """Forget streams that are idle, and tenants without any."""

        def is_idle(mine: _Tenant) -> bool:
            mine.forget_idle(now_ns)
            return not mine.streams

        return self._tenants.sweep(is_idle)


def _sweep(mine: _Tenant, limits: Limits, now_ns: int) -> None:
    """Forget streams that are idle, now and then, and whenever there is no room."""
    full = len(mine.streams) >= (limits.max_global_streams_per_user or 1 << 62)
    if now_ns - mine.swept_ns >= (ACTIVE_NS // 60 if full else ACTIVE_NS // 4):
        mine.forget_idle(now_ns)


def _too_many(tenant: TenantId, stream: str) -> str:
    return (
        f"maximum active stream limit exceeded when trying to create stream {stream}, reduce the "
        "number of active streams (reduce labels or reduce label values), or contact your Loki "
        f"administrator to see if the limit can be increased, user: '{tenant}'"
    )


def _too_fast(tenant: TenantId, number: int, accepted: Accepted, limits: Limits) -> str:
    stream = accepted.streams[number].text
    chosen = np.flatnonzero(accepted.push.stream == number)
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
