"""Do metrics show what is kept elsewhere, and of tenants the largest only?"""

from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from narfi.core.shown_metrics import MOST_TENANTS, LargestTenants, ShownCounter
from narfi.core.tenant import TenantId


@pytest.fixture
def counter() -> Iterator[ShownCounter]:
    made = ShownCounter("narfi_of_this_test", "For the test.", "what")
    yield made
    REGISTRY.unregister(made)


@pytest.fixture
def largest() -> Iterator[LargestTenants]:
    made = LargestTenants("narfi_tenants_of_this_test", "For the test.")
    yield made
    REGISTRY.unregister(made)


def test_a_counter_is_read_when_it_is_asked(counter: ShownCounter) -> None:
    kept = {"a": 1, "b": 10}
    counter.show("a", lambda: kept["a"])
    counter.show("b", lambda: 99)
    counter.show("b", lambda: kept["b"])
    kept["a"] += 1

    def value(what: str) -> float | None:
        return REGISTRY.get_sample_value("narfi_of_this_test_total", {"what": what})

    assert (value("a"), value("b"), value("c")) == (2, 10, None)


def test_the_largest_tenants_are_shown(largest: LargestTenants) -> None:
    kept = {TenantId(f"t{number}"): number for number in range(MOST_TENANTS + 50)}
    largest.show(lambda: kept)
    (family,) = largest.collect()
    shown = {one.labels["tenant"]: one.value for one in family.samples}
    assert shown == {f"t{n}": n for n in range(50, MOST_TENANTS + 50)}
