"""Which worker takes which task? Each has a cache of its own, so a block belongs to one of them.

A rendezvous hash of block and worker says to which: all who ask come to the same answer, and where
a worker comes or goes only its blocks move. That is a wish and no more: a worker that has nothing
to do takes what has waited longest, whoever it belongs to. A worker may take tasks ahead, one
while it does another; ahead it takes only its own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

MOST_PASSED = 8
"""Tasks that came later and were taken first, before a task goes to whoever is free."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A task that no worker has yet; `block_id` is empty where every worker is as good."""

    block_id: str
    passed: int = 0


def owner(block_id: str, workers: Collection[int]) -> int:
    """The worker to which a block belongs, of those that are there (one at least)."""
    return max(workers, key=lambda worker: _weight(block_id, worker))


@lru_cache(1 << 14)
def _weight(block_id: str, worker: int) -> bytes:
    return blake2b(f"{worker} {block_id}".encode(), digest_size=8).digest()


def next_task(
    waiting: Sequence[Waiting], there: Collection[int], free: Mapping[int, int]
) -> tuple[int, int] | None:
    """Which of the tasks, oldest first, begins now, and on which worker; None while all wait.

    `there`: all workers; `free`: of those that take one more, how many tasks they have.
    """
    if not waiting or not free:
        return None
    least = min(free, key=lambda worker: free[worker])
    idle = {worker for worker, tasks in free.items() if not tasks}
    if waiting[0].passed >= MOST_PASSED:
        return 0, least
    ahead: tuple[int, int] | None = None
    for place, task in enumerate(waiting):
        its = owner(task.block_id, there) if task.block_id else least
        if its in idle:
            return place, its
        if ahead is None and its in free:
            ahead = place, its
    return (0, least) if idle else ahead
