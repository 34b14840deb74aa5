"""Are groups and states of rules kept whole, apart by tenant, and by one owner of a namespace?"""

import pytest

from narfi.core.tenant import TenantId
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import (
    FILE,
    GroupRow,
    OriginError,
    RuleStore,
    StateRow,
    TooManyGroupsError,
)
from tests.storage.catalog.conftest import Opener

A, B = TenantId("a"), TenantId("b")


def row(namespace: str, name: str, body: str = "{}", tenant: TenantId = A) -> GroupRow:
    """A group of the API."""
    return GroupRow(key=GroupKey(tenant, namespace, name), body=body, changed_ns=7)


def file_row(namespace: str, name: str, body: str = "{}") -> GroupRow:
    """A group of a file."""
    return GroupRow(key=GroupKey(A, namespace, name), body=body, origin=FILE, changed_ns=7)


@pytest.fixture
def store(opened: Opener) -> RuleStore:
    """No rules."""
    return RuleStore(opened().database)


def test_groups_are_made_replaced_listed_and_removed(store: RuleStore, opened: Opener) -> None:
    for one in (row("ns", "g"), row("ns", "h"), row("other", "g"), row("ns", "g", tenant=B)):
        store.put(one)
    store.put(row("ns", "g", '{"new": 1}'))
    again = RuleStore(opened().database)
    assert again.group(GroupKey(A, "ns", "g")) == row("ns", "g", '{"new": 1}')
    assert [(r.key.tenant, r.key.namespace, r.key.name) for r in again.groups()] == [
        ("a", "ns", "g"),
        ("a", "ns", "h"),
        ("a", "other", "g"),
        ("b", "ns", "g"),
    ]
    assert [r.key.name for r in again.groups(A, "ns")] == ["g", "h"]
    assert again.remove(GroupKey(A, "ns", "g"))
    assert not again.remove(GroupKey(A, "ns", "g"))
    assert again.remove_namespace(A, "ns") == 1
    assert again.remove_namespace(A, "ns") == 0
    assert [r.key.tenant for r in store.groups()] == ["a", "b"]


def test_names_of_any_language_and_length(store: RuleStore) -> None:
    for name in ("é" * 256, "a/b", "..", "'; drop table", "\U0001f600"):
        store.put(row(name, name))
        assert store.group(GroupKey(A, name, name)) is not None


def test_a_tenant_has_no_more_groups_than_it_may_but_can_replace_them(store: RuleStore) -> None:
    store.put(row("ns", "a"), 2)
    store.put(row("ns", "b"), 2)
    store.put(row("ns", "a", "{1}"), 2)
    store.put(row("ns", "a", tenant=B), 2)
    text = r"per-user rule groups limit \(limit: 2 actual: 3\) exceeded"
    with pytest.raises(TooManyGroupsError, match=text):
        store.put(row("ns", "c"), 2)
    assert [r.body for r in store.groups(A)] == ["{1}", "{}"]


def test_a_namespace_is_of_a_file_or_of_the_api(store: RuleStore) -> None:
    assert store.replace_file(A, "f.yaml", [file_row("f.yaml", "g"), file_row("f.yaml", "h")])
    assert not store.replace_file(A, "f.yaml", [file_row("f.yaml", "g"), file_row("f.yaml", "h")])
    for change in (
        lambda: store.put(row("f.yaml", "g")),
        lambda: store.remove(GroupKey(A, "f.yaml", "g")),
        lambda: store.remove_namespace(A, "f.yaml"),
    ):
        with pytest.raises(OriginError, match="is a rule file"):
            change()
    store.put(row("ns", "g"))
    with pytest.raises(OriginError, match="made by the API"):
        store.replace_file(A, "ns", [file_row("ns", "x")])
    assert store.replace_file(A, "f.yaml", [file_row("f.yaml", "h", "{2}")])
    assert [(r.key.name, r.body) for r in store.groups(A, "f.yaml")] == [("h", "{2}")]
    assert store.replace_file(A, "f.yaml", [])
    store.put(row("f.yaml", "g"))


def test_a_state_outlives_its_group(store: RuleStore, opened: Opener) -> None:
    key = GroupKey(A, "ns", "g")
    store.put(row("ns", "g"))
    store.save_state(StateRow(key, "one", 10))
    store.save_state(StateRow(key, "two", 20))
    store.remove(key)
    again = RuleStore(opened().database)
    assert again.states() == [StateRow(key, "two", 20)]
    again.forget_state(key)
    assert store.states() == []
