"""Do metrics of tenants go when the tenants do?"""

from collections import Counter

from prometheus_client import REGISTRY

from ingester.metrics import IDLE_NS, TenantCounts
from narfi.core.tenant import TenantId

TENANT = TenantId("of this test only")


def shown() -> set[str]:
    """Names of the samples that the registry has of the tenant."""
    return {
        sample.name
        for family in REGISTRY.collect()
        for sample in family.samples
        if TENANT in sample.labels.values() and not sample.name.endswith("_created")
    }


def test_counts_of_an_idle_tenant_are_forgotten() -> None:
    counts = TenantCounts()
    counts.received(TENANT, 3, 30, now_ns=1)
    counts.discarded(TENANT, Counter(long=2), Counter(long=20), now_ns=2)
    assert len(shown()) == 4
    assert counts.sweep(2 + IDLE_NS - 1) == 0
    assert len(shown()) == 4
    assert counts.sweep(2 + IDLE_NS + 1) == 1
    assert shown() == set()
