"""What if exactly one thing fails? Each kind of fault, at each place where it can strike, alone.

The operation runs once undisturbed, to count the places; then once for each of them, from the same
beginning. After the fault, after another try, after a start anew and after power was lost, what was
acknowledged is there exactly once, what was told as deleted is not, and a backup is whole.

Where a kind has more than `MOST` places in an operation, the gate takes so many of them, evenly,
and those of one kind between those of another;
`NARFI_MATRIX=all` (`make matrix`) takes every one.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

from tests.matrix.conftest import Worlds
from tests.matrix.driver import disturbed, recover_and_check, strike
from tests.matrix.kinds import KINDS
from tests.matrix.operations import OPERATIONS

P = TypeVar("P")

MOST = {"full": 8, "broken": 8, "starved": 4, "statement": 8, "read": 4, "memory": 4}
"""Of kinds with many places; of the others every one is taken."""
SHIFTS = {"broken": 2, "starved": 1}
"""Kinds that strike where `full` does, in quarters of the way to the next place taken."""
NOTHING = {
    "full": {"query", "retention"},
    "broken": {"query", "retention"},
    "starved": {"query", "retention"},
    "transaction-refused": {"push", "replay", "loss", "query", "backup", "restore", "restore-block"}
    | {"give-up"},
    "statement": {"push", "restore"},
    "clock-back": {"query", "restore", "restore-block"},
    "read": {"push"},
}
"""Operations without a place where the kind can strike."""
NOTHING["answer-lost"] = NOTHING["transaction-refused"]
NOTHING["clock-ahead"] = NOTHING["clock-back"]


def chosen(points: Sequence[P], kind: str) -> Sequence[P]:
    """All of them, or so many that are spread evenly."""
    most = MOST.get(kind, len(points))
    if os.environ.get("NARFI_MATRIX") == "all" or len(points) <= most:
        return points
    shift = SHIFTS.get(kind, 0)
    return [points[(4 * number + shift) * len(points) // (4 * most)] for number in range(most)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_undisturbed_it_does_what_it_says(worlds: Worlds, operation: str) -> None:
    world = worlds(OPERATIONS[operation])
    assert disturbed(world, OPERATIONS[operation]) is None
    recover_and_check(world, OPERATIONS[operation], None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_thing_fails(worlds: Worlds, operation: str, kind: str) -> None:
    what, how = OPERATIONS[operation], KINDS[kind]
    counting = worlds(what)
    points = how.points(counting, what)
    counting.process.stop()
    assert bool(points) != (operation in NOTHING.get(kind, set())), len(points)
    for point in chosen(points, kind):
        strike(worlds(what), what, how, point)
