"""What of a limit of the whole cluster is this process's? As much as of each other ingester.

Clients are spread over ingesters evenly, so a rate or a number of streams is shared evenly too. A
client that keeps to one ingester is refused earlier than alone.
"""

from collections.abc import Callable
from functools import lru_cache

from narfi.core.limits import Limits, LimitsOf
from narfi.core.tenant import TenantId


class Shares:
    """A `LimitsOf` for the pushes of one of several ingesters."""

    def __init__(self, limits_of: LimitsOf, ingesters: Callable[[], int]) -> None:
        self._limits_of, self._ingesters = limits_of, ingesters

    def __call__(self, tenant: TenantId) -> Limits:
        """The tenant's limits, its rates and its number of streams divided."""
        return shared(self._limits_of(tenant), self._ingesters())


@lru_cache(maxsize=256)
def shared(limits: Limits, ingesters: int) -> Limits:
    """The share of one of so many; bursts stay, since one push goes to one ingester."""
    if ingesters <= 1:
        return limits
    streams = limits.max_global_streams_per_user
    return limits.with_changes(
        ingestion_rate_mb=limits.ingestion_rate_mb / ingesters,
        max_global_streams_per_user=-(-streams // ingesters),
    )
