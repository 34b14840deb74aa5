"""Has each tenant an object of its own, and is one in use never forgotten?"""

import threading

from ingester.per_tenant import PerTenant
from narfi.core.tenant import TenantId

A, B = TenantId("a"), TenantId("b")


def test_the_same_object_each_time() -> None:
    tenants: PerTenant[list[int]] = PerTenant(list)
    with tenants.of(A) as mine, tenants.of(B) as other:
        mine.append(1)
        assert other == []
    with tenants.of(A) as mine:
        assert mine == [1]
    assert len(tenants) == 2


def test_idle_ones_are_forgotten() -> None:
    tenants: PerTenant[list[int]] = PerTenant(list)
    with tenants.of(A) as mine:
        mine.append(1)
    with tenants.of(B):
        pass
    assert tenants.sweep(lambda mine: not mine) == 1
    assert len(tenants) == 1


def test_one_that_somebody_waits_for_stays() -> None:
    """It would be found empty by whoever comes behind, and a limit would begin anew."""
    tenants: PerTenant[list[int]] = PerTenant(list)
    waits = threading.Event()
    user = threading.Thread(target=lambda: use())

    def use() -> None:
        waits.set()
        with tenants.of(A) as mine:
            mine.append(2)

    def is_idle(_: list[int]) -> bool:
        if not user.ident:  # within, the sweep holds the object
            user.start()
            waits.wait(5)
            while tenants._slots[A].users < 2:
                pass
        return True

    with tenants.of(A):
        pass
    tenants.sweep(is_idle)
    user.join()
    with tenants.of(A) as mine:
        assert mine == [2]
