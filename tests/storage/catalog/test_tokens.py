"""Are tokens kept, found, replaced and forgotten, and does a reader notice? On every engine."""

from dataclasses import replace

import pytest

from storage.catalog.tokens import NoSuchTokenError, TokenRow, TokenStore
from tests.storage.catalog.conftest import Opener


def row(token_id: str, name: str = "n", created_ns: int = 1) -> TokenRow:
    """A token of two tenants."""
    return TokenRow(
        token_id=token_id,
        name=name,
        tenants=("a", "b"),
        scopes=("read",),
        policy='{x="y"}',
        digest="d",
        created_ns=created_ns,
    )


@pytest.fixture
def store(opened: Opener) -> TokenStore:
    """No tokens."""
    return TokenStore(opened().database)


def test_tokens_are_kept_and_found_by_id_and_name(store: TokenStore, opened: Opener) -> None:
    rows = [row("one", created_ns=1), row("two", created_ns=2), row("three", "n3", 3)]
    for one in reversed(rows):
        store.add(one)
    again = TokenStore(opened().database)
    assert list(again.tokens()) == rows
    assert list(again.named("two")) == [rows[1]]
    assert list(again.named("n")) == rows[:2]
    with pytest.raises(NoSuchTokenError, match="'four'"):
        again.named("four")


def test_an_id_comes_before_a_name(store: TokenStore) -> None:
    store.add(row("one", "two"))
    store.add(row("two", "one"))
    assert [found.token_id for found in store.named("one")] == ["one"]


def test_each_change_raises_the_version(store: TokenStore, opened: Opener) -> None:
    reader, seen = TokenStore(opened().database), [store.version()]
    store.add(row("one"))
    seen.append(reader.version())
    store.replace(row("one"), row("two", created_ns=2), 9)
    seen.append(reader.version())
    store.remove("two")
    seen.append(reader.version())
    assert seen == sorted(set(seen))
    assert [found.token_id for found in reader.tokens()] == ["one"]


@pytest.mark.parametrize(("before", "after"), [(None, 50), (90, 50), (10, 10)])
def test_a_replaced_token_ends_and_never_later_than_before(
    store: TokenStore, before: int | None, after: int
) -> None:
    old = replace(row("one"), expires_ns=before)
    store.add(old)
    store.replace(old, row("two", created_ns=2), 50)
    assert [(t.token_id, t.expires_ns) for t in store.tokens()] == [("one", after), ("two", None)]
    store.replace(old, row("two", created_ns=2), 50)  # a transaction may be done twice
    assert len(store.tokens()) == 2
