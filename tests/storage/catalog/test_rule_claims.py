"""Does one ruler at a time have a group, and can nobody else write its state? On both engines."""

import time

import pytest

from storage.catalog.rule_claims import ClaimLostError, RuleClaims
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import RuleStore, StateRow
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT

LONG, OVER = 60_000, 0
A, B = GroupKey(TENANT, "ns", "a"), GroupKey(TENANT, "ns", "b")


@pytest.fixture
def claims(opened: Opener) -> RuleClaims:
    """Of an empty database."""
    return RuleClaims(opened().database)


def test_a_group_is_of_whom_claimed_it_first(claims: RuleClaims) -> None:
    assert claims.take("one", [A, B], LONG) == {A, B}
    assert claims.take("two", [A, B], LONG) == set()
    assert claims.held("one") == {A, B}
    claims.give_back("one", [A])
    claims.give_back("two", [B])
    assert claims.held("one") == {B}
    assert claims.take("two", [A, B], LONG) == {A}


def test_claims_run_out_unless_their_ruler_is_heard_of(claims: RuleClaims) -> None:
    assert claims.beat("one", LONG) == ["one"]
    assert claims.take("one", [A], 1000) == {A}
    assert claims.take("two", [B], 1000) == {B}
    assert claims.beat("two", OVER) == ["one"]
    claims.beat("one", LONG)
    time.sleep(1.1)
    assert claims.held("two") == set()
    assert claims.take("three", [A, B], LONG) == {B}
    claims.beat("two", LONG)
    assert claims.held("two") == set(), "what ran out does not come back"


def test_who_leaves_leaves_everything(claims: RuleClaims) -> None:
    claims.beat("one", LONG)
    claims.take("one", [A, B], LONG)
    claims.leave("one")
    assert claims.beat("two", LONG) == ["two"]
    assert claims.take("two", [A, B], LONG) == {A, B}
    claims.forget("one", [A])
    assert claims.held("two") == {A, B}
    claims.forget("two", [A])
    assert claims.held("two") == {B}


def test_only_whom_a_group_belongs_to_writes_its_state(opened: Opener) -> None:
    database = opened().database
    claims, store = RuleClaims(database), RuleStore(database)
    with pytest.raises(ClaimLostError):
        store.save_state(StateRow(A, "never", 1), "one")
    claims.take("one", [A], LONG)
    store.save_state(StateRow(A, "first", 1), "one")
    claims.give_back("one", [A])
    with pytest.raises(ClaimLostError):
        store.save_state(StateRow(A, "late", 2), "one")
    claims.take("two", [A], LONG)
    with pytest.raises(ClaimLostError):
        store.save_state(StateRow(A, "later", 3), "one")
    with pytest.raises(ClaimLostError):
        store.forget_state(A, "one")
    assert [row.body for row in store.states()] == ["first"]
    store.forget_state(A, "two")
    assert store.states() == []
