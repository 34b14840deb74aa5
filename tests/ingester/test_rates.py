"""Is a tenant's rate a bucket that fills with time, and is a push taken whole or not at all?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingester.errors import RateLimitedError
from ingester.rates import IngestionRates
from narfi.core.clock import ManualClock
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId

A, B = TenantId("a"), TenantId("b")
MB = 1 << 20
LIMITS = Limits(ingestion_rate_mb=1, ingestion_burst_size_mb=2)
S = 10**9


def fits(rates: IngestionRates, size: int, tenant: TenantId = A) -> bool:
    """Whether a push is taken."""
    try:
        rates.spend(tenant, LIMITS, 1, size)
    except RateLimitedError:
        return False
    return True


def test_by_hand() -> None:
    clock = ManualClock(S)
    rates = IngestionRates(clock)
    assert fits(rates, 2 * MB), "a new bucket is full"
    assert not fits(rates, 1)
    assert fits(rates, 2 * MB, B), "others have theirs"
    clock.advance(S // 2)
    assert not fits(rates, MB // 2 + 1), "refused whole"
    assert fits(rates, MB // 2)
    clock.advance(100 * S)
    assert not fits(rates, 2 * MB + 1), "no more than the burst"
    assert fits(rates, 2 * MB)


def test_how_much_of_the_burst_is_taken() -> None:
    clock = ManualClock(S)
    rates = IngestionRates(clock)
    assert rates.spent(A, LIMITS) == 0
    assert len(rates) == 0, "asking makes nothing"
    assert fits(rates, 2 * MB)
    assert rates.spent(A, LIMITS) == 2 * MB
    clock.advance(S // 2)
    assert rates.spent(A, LIMITS) == 2 * MB - MB // 2
    clock.advance(100 * S)
    assert rates.spent(A, LIMITS) == 0
    assert rates.spent(A, Limits(ingestion_rate_mb=0)) == 0


def test_loki_s_text() -> None:
    rates = IngestionRates(ManualClock(S))
    with pytest.raises(RateLimitedError) as caught:
        rates.spend(A, LIMITS, 3, 3 * MB)
    assert caught.value.message == (
        "ingestion rate limit exceeded for user a (limit: 1048576 bytes/sec) while attempting to "
        "ingest '3' lines totaling '3145728' bytes, reduce log volume or contact your Loki "
        "administrator to see if the limit can be increased"
    )


def test_without_a_rate_everything_fits() -> None:
    rates = IngestionRates(ManualClock(S))
    rates.spend(A, Limits(ingestion_rate_mb=0), 1, 1 << 50)
    assert len(rates) == 0


@given(st.lists(st.tuples(st.integers(0, 3 * MB), st.integers(0, 3 * S)), max_size=20))
def test_no_more_passes_than_burst_and_rate_allow(pushes: list[tuple[int, int]]) -> None:
    clock = ManualClock(S)
    rates = IngestionRates(clock)
    taken = 0
    for size, wait in pushes:
        if fits(rates, size):
            taken += size
        assert taken <= 2 * MB + MB * (clock.now_ns() - S) / S + 1
        clock.advance(wait)


def test_full_buckets_are_forgotten() -> None:
    clock = ManualClock(S)
    rates = IngestionRates(clock)
    fits(rates, MB)
    assert rates.sweep(clock.now_ns() + S // 2) == 0
    assert rates.sweep(clock.now_ns() + 2 * S) == 1
    assert len(rates) == 0
