"""Two processes call the catalog at once, whatever they call: is the outcome one of an order?

The second call begins when the first one's transaction is about to commit, so it has read and
written all that it will. On PostgreSQL the second then sees what was there before, or waits.
"""

import threading
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import pytest
import sqlalchemy as sa

from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from storage.catalog.base import CatalogConflictError, CatalogError, Loss
from storage.catalog.jobs import Job, Jobs
from storage.catalog.rule_keys import GroupKey
from storage.catalog.rules import (
    FILE,
    GroupRow,
    OriginError,
    RuleStore,
    StateRow,
    TooManyGroupsError,
)
from storage.catalog.sql import SqlCatalog
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, intent, publish, row

Call = Callable[[SqlCatalog], Any]
MINUTE = 60 * 10**9
KEY = GroupKey(TENANT, "ns", "g")
LOSS = Loss(
    journal_id="j", first_position=1, last_position=2, from_ns=0, to_ns=9, reason="x", told_ns=1
)


def outcome_of(call: Call, catalog: SqlCatalog) -> object:
    """What it returned, or the error."""
    try:
        return call(catalog)
    except AppError as error:
        return error


def race(opened: Opener, first: Call, second: Call) -> tuple[Any, Any]:
    """What became of both."""
    one, other = opened(), opened()
    outcome: list[object] = []
    thread = threading.Thread(target=lambda: outcome.append(outcome_of(second, other)))

    def begin_second(_connection: sa.Connection) -> None:
        if not thread.is_alive() and not outcome:
            thread.start()
            thread.join(0.2)  # it gets as far as it can while this transaction is open

    sa.event.listen(one.database.engine, "commit", begin_second)
    won = outcome_of(first, one)
    sa.event.remove(one.database.engine, "commit", begin_second)
    thread.join(60)
    assert outcome, "the second one came to an end"
    return won, outcome[0]


def test_an_intent_is_committed_once(opened: Opener) -> None:
    a = intent(row("a", 0, 9))
    assert race(opened, lambda c: c.intend(a), lambda c: c.intend(a)) == (None, None)
    assert opened().intents() == [a]


def test_a_publish_and_its_repetition(opened: Opener) -> None:
    opened().intend(intent(row("a", 0, 9)))
    call = methodcaller("publish", [row("a", 0, 9)], [])
    assert race(opened, call, call) == (None, None)
    assert opened().blocks(TENANT, 0, 10) == [row("a", 0, 9)]


def test_a_merge_and_retention_of_one_block(opened: Opener) -> None:
    publish(opened(), row("a", 0, 9))
    publish(opened(), row("b", 0, 9))
    opened().intend(intent(row("ab", 0, 9)))
    won, lost = race(
        opened,
        lambda c: c.replace(["a", "b"], [row("ab", 0, 9)]),
        lambda c: c.replace(["b"], []),
    )
    assert won is None
    assert type(lost) is CatalogConflictError
    assert opened().blocks(TENANT, 0, 10) == [row("ab", 0, 9)]


def test_two_swaps_that_overlap_crosswise_do_not_deadlock(opened: Opener) -> None:
    for name in ("a", "b"):
        publish(opened(), row(name, 0, 9))
    won, lost = race(
        opened, lambda c: c.replace(["a", "b"], []), lambda c: c.replace(["b", "a"], [])
    )
    assert won is None
    assert type(lost) is CatalogConflictError
    assert len(opened().removed(10)) == 2


def test_an_intent_is_given_up_once(opened: Opener) -> None:
    clock = ManualClock(100)
    opened().intend(intent(row("a", 0, 9), 50))
    late = methodcaller("abandon_expired")
    assert race(opened, late, late)[0] == 1
    assert len(opened(clock).removed(10)) == 1
    assert opened().intents() == []


def test_a_removed_block_is_forgotten_while_another_is_removed(opened: Opener) -> None:
    for name in ("a", "b"):
        publish(opened(), row(name, 0, 9))
    opened().replace(["a"], [])
    assert race(opened, lambda c: c.forget(["a"]), lambda c: c.replace(["b"], [])) == (None, None)
    assert [gone.block_id for gone in opened().removed(10)] == ["b"]


def test_a_block_is_adopted_once(opened: Opener) -> None:
    call = methodcaller("adopt", [row("a", 0, 9)], [], [])
    won, lost = race(opened, call, call)
    assert won is None
    assert isinstance(lost, CatalogError)
    assert opened().blocks(TENANT, 0, 10) == [row("a", 0, 9)]


def test_a_loss_is_told_by_one(opened: Opener) -> None:
    assert race(opened, lambda c: c.note_loss(LOSS), lambda c: c.note_loss(LOSS)) == (True, False)
    count = methodcaller("understand_losses")
    assert race(opened, count, count) == (1, 0)


def jobs_of(catalog: SqlCatalog) -> Jobs:
    """Its jobs, at one moment."""
    return Jobs(catalog.database, ManualClock(100))


def taking(name: str, holder: str, *blocks: str) -> Call:
    """Take a job over blocks."""
    job = Job(job_id=name, kind="merge", tenant=TENANT, blocks=blocks)
    return lambda c: jobs_of(c).take(job, holder, MINUTE)


@pytest.mark.parametrize("other", ["one", "another"])
def test_a_job_and_its_blocks_are_taken_by_one(opened: Opener, other: str) -> None:
    won, lost = race(opened, taking("one", "me", "x", "y"), taking(other, "you", "y", "z"))
    assert won.holder == "me"
    assert lost is None
    assert [job.holder for job in jobs_of(opened()).all()] == ["me"]


def test_a_failure_is_noted_while_another_takes_the_job(opened: Opener) -> None:
    held = taking("one", "me", "x")(opened())
    won, lost = race(opened, lambda c: jobs_of(c).fail(held, "no"), taking("one", "you", "x"))
    assert won is None
    assert lost is None, "it has to wait for its time"
    (left,) = jobs_of(opened()).all()
    assert (left.attempts, left.holder) == (1, "")


def test_a_failure_that_nobody_took_is_noted_by_two(opened: Opener) -> None:
    job = Job(job_id="one", kind="merge", tenant=TENANT)

    def fail(catalog: SqlCatalog) -> None:
        jobs_of(catalog).fail(job, "no")

    assert race(opened, fail, fail) == (None, None)
    (left,) = jobs_of(opened()).all()
    assert left.attempts == 2


def putting(name: str, body: str, most: int = 0, namespace: str = "ns") -> Call:
    """Put a group of the API."""
    key = GroupKey(TENANT, namespace, name)
    return lambda c: RuleStore(c.database).put(GroupRow(key=key, body=body, changed_ns=1), most)


def test_one_of_two_puts_of_a_rule_group_stays(opened: Opener) -> None:
    assert race(opened, putting("g", "1"), putting("g", "2")) == (None, None)
    assert [group.body for group in RuleStore(opened().database).groups()] == ["2"]


def test_two_puts_do_not_exceed_the_limit_together(opened: Opener) -> None:
    won, lost = race(opened, putting("g", "1", 1), putting("h", "2", 1))
    assert won is None
    assert isinstance(lost, TooManyGroupsError)


def test_a_namespace_has_one_origin(opened: Opener) -> None:
    file = GroupRow(key=KEY, body="1", origin=FILE, changed_ns=1)
    won, lost = race(
        opened,
        lambda c: RuleStore(c.database).replace_file(TENANT, "ns", [file]),
        putting("other", "2"),
    )
    assert won is True
    assert isinstance(lost, OriginError)


def test_the_later_state_of_a_group_stays(opened: Opener) -> None:
    def saving(body: str) -> Call:
        return lambda c: RuleStore(c.database).save_state(StateRow(KEY, body, 1))

    assert race(opened, saving("1"), saving("2")) == (None, None)
    assert [state.body for state in RuleStore(opened().database).states()] == ["2"]
