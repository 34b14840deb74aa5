"""Are saved searches kept by tenant and name, and never more than a tenant may have?"""

import threading

from narfi.core.tenant import TenantId
from storage.catalog.saved import SavedSearch, SavedSearches
from tests.storage.catalog.conftest import Opener

A, B = TenantId("a"), TenantId("b")


def search(name: str, tenant: TenantId = A, body: str = "{}") -> SavedSearch:
    """A search."""
    return SavedSearch(tenant=tenant, name=name, body=body, updated_ns=7, updated_by="me")


def test_by_tenant_and_name(opened: Opener) -> None:
    store = SavedSearches(opened().database)
    for one in (search("b"), search("a"), search("Ä"), search("a", B)):
        assert store.put(one, 10)
    again = SavedSearches(opened().database)
    assert [one.name for one in again.of(A)] == ["a", "b", "Ä"]
    assert list(again.of(B)) == [search("a", B)]
    assert again.put(search("a", body='{"query":"x"}'), 10)
    assert [one.body for one in store.of(A)] == ['{"query":"x"}', "{}", "{}"]
    assert store.remove(A, "a")
    assert not store.remove(A, "a")
    assert [one.name for one in again.of(A)] == ["b", "Ä"]
    assert list(again.of(B)) == [search("a", B)]


def test_not_more_than_a_tenant_may_have(opened: Opener) -> None:
    store = SavedSearches(opened().database)
    assert all(store.put(search(str(number)), 3) for number in range(3))
    assert not store.put(search("one more"), 3)
    assert store.put(search("1", body="new"), 3)
    assert store.put(search("one more", B), 3)


def test_who_saves_at_once(opened: Opener) -> None:
    stores = [SavedSearches(opened().database) for _ in range(4)]
    took: list[bool] = []

    def put(number: int) -> None:
        took.append(stores[number % 4].put(search(str(number)), 5))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(took), len(stores[0].of(A))) == (5, 5)
