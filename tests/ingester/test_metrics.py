"""Do metrics of tenants go when the tenants do?"""

from collections import Counter

from prometheus_client import REGISTRY

from ingester.metrics import IDLE_NS, MOST_TENANTS, TenantCounts
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


def test_so_many_tenants_are_shown_and_the_rest_together() -> None:
    counts = TenantCounts()
    for number in range(MOST_TENANTS):
        counts.received(TenantId(f"bounded-{number}"), 1, 10, now_ns=1)
    counts.received(TENANT, 3, 30, now_ns=1)
    counts.discarded(TENANT, Counter(long=2), Counter(long=20), now_ns=1)
    assert shown() == set()
    lines = "loki_distributor_lines_received_total"
    others = REGISTRY.get_sample_value(lines, {"tenant": ""})
    counts.received(TENANT, 3, 30, now_ns=1)
    assert REGISTRY.get_sample_value(lines, {"tenant": ""}) == (others or 0) + 3
    counts.received(TenantId("bounded-0"), 1, 10, now_ns=2 + IDLE_NS)
    assert REGISTRY.get_sample_value(lines, {"tenant": "bounded-0"}) == 2
    assert counts.sweep(2 + IDLE_NS) == MOST_TENANTS - 1
    counts.received(TENANT, 3, 30, now_ns=2 + IDLE_NS)
    assert len(shown()) == 2
    assert counts.sweep(10 * IDLE_NS) == 2
