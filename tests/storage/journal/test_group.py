"""Does every member of a group commit get its position, or the error, and nothing else?"""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.errors import AppError
from storage.journal.base import JournalError
from storage.journal.group import GroupCommit
from tests.schedules import Schedule, drawn


class Written:
    """A journal in memory: what is durable, in order."""

    def __init__(self, schedule: Schedule, failing: dict[str, BaseException]) -> None:
        self._schedule, self._failing = schedule, failing
        self.items: list[str] = []
        self.commits = 0

    def commit(self, batch: list[str]) -> Sequence[int]:
        """All or none of the batch; a seam in the middle, as a sync is."""
        self._schedule.pause()
        for item in batch:
            if item in self._failing:
                raise self._failing[item]
        self._schedule.pause()
        first = len(self.items)
        self.items += batch
        self.commits += 1
        return range(first, len(self.items))


def run(
    choose: Callable[[int], int], callers: int, most: int, failing: dict[str, BaseException]
) -> tuple[Written, dict[str, int | BaseException]]:
    """`callers` threads submit one item each; what each of them got."""
    schedule = Schedule(choose)
    written = Written(schedule, failing)
    group: GroupCommit[str] = GroupCommit(written.commit, most, schedule)
    got: dict[str, int | BaseException] = {}

    def call(item: str) -> None:
        try:
            got[item] = group.submit(item)
        except AppError as error:
            got[item] = error

    for number in range(callers):
        schedule.start(f"caller {number}", partial(call, f"item {number}"))
    schedule.run()
    return written, got


@given(
    st.integers(0, 2**32),
    st.integers(1, 7),
    st.integers(1, 4),
    st.sets(st.integers(0, 6), max_size=2),
)
def test_a_position_means_durable_and_an_error_means_not(
    seed: int, callers: int, most: int, failing: set[int]
) -> None:
    errors = {f"item {number}": MemoryError("no memory") for number in failing}
    written, got = run(drawn(seed), callers, most, dict(errors))
    assert len(got) == callers, "every caller came back"
    for item, outcome in got.items():
        if isinstance(outcome, int):
            assert written.items[outcome] == item
        else:
            assert item not in written.items
            assert "no memory" in str(outcome)
    assert {item for item in got if item in errors} <= {
        item for item, outcome in got.items() if not isinstance(outcome, int)
    }


def the_last_one_leads() -> Callable[[int], int]:
    """Caller 0 begins its commit, the others queue up in order, and then the last one leads."""
    begins, queued = iter([0] * 3), False

    def choose(ready: int) -> int:
        nonlocal queued
        queued = queued or ready == 1  # only caller 0 is not waiting
        return next(begins, ready - 1 if queued else 1)

    return choose


def test_callers_beyond_one_commit_wait_for_their_own() -> None:
    """The leader's own record may lie behind more records than one commit takes."""
    written, got = run(the_last_one_leads(), callers=40, most=3, failing={})
    assert written.commits == 14, "caller 0 alone, then all others in order"
    assert sorted(written.items) == sorted(got)
    assert all(written.items[int(str(position))] == item for item, position in got.items())


def test_every_member_of_a_failed_commit_gets_an_error_of_its_own() -> None:
    """The first caller commits alone; those that came meanwhile are one group, with a bad one."""
    turns = iter([0] * 3)  # caller 0 begins its commit, then the others queue up
    written, got = run(lambda n: next(turns, n - 1), 5, 100, {"item 3": MemoryError("no memory")})
    refused = {item: error for item, error in got.items() if isinstance(error, JournalError)}
    assert "item 3" in refused
    assert len({id(error) for error in refused.values()}) == len(refused)
    assert set(written.items) == set(got) - set(refused)


def test_nothing_is_taken_after_closing() -> None:
    group: GroupCommit[str] = GroupCommit(lambda batch: range(len(batch)), 10)
    assert group.submit("a") == 0
    group.close()
    with pytest.raises(JournalError, match="the journal is closed"):
        group.submit("b")
