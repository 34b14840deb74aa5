"""Has each of several ingesters its share of a limit of all?"""

from ingester.shares import Shares
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId

TENANT = TenantId("t")
LIMITS = Limits(ingestion_rate_mb=6.0, ingestion_burst_size_mb=9.0, max_global_streams_per_user=10)


def test_rates_and_streams_are_divided() -> None:
    ingesters = 1
    shares = Shares(lambda _: LIMITS, lambda: ingesters)
    assert shares(TENANT) is LIMITS
    ingesters = 3
    found = shares(TENANT)
    assert found.ingestion_rate_mb == 2.0
    assert found.max_global_streams_per_user == 4
    assert found.ingestion_burst_size_mb == 9.0, "a push goes to one ingester"


def test_what_is_unlimited_stays_so() -> None:
    none = Limits(ingestion_rate_mb=0.0, max_global_streams_per_user=0)
    found = Shares(lambda _: none, lambda: 3)(TENANT)
    assert (found.ingestion_rate_mb, found.max_global_streams_per_user) == (0.0, 0)
