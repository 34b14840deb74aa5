"""Does upkeep leave the old or the new state, at whichever step it fails or the process dies?

Each kind of upkeep runs once for each of its steps (an object put or deleted, a transaction of the
catalog) and each way in which that step can fail. Then the process starts anew and finishes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from narfi.core.errors import AppError
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.retention import RetentionPolicy, RetentionRule
from storage.objects.faulty import Faults
from tests.storage.batches import Entry
from tests.storage.stored import DAY, HOUR, NOW, Stored
from tests.upkeep.fresh import MIN_BLOCKS, compact, retention_of, worker_of
from upkeep.disk import SETTLE_NS, DiskGuard, DiskSpace
from upkeep.garbage import GarbageCollector
from upkeep.reserve import Reserve
from upkeep.size import shrink

POLICY = RetentionPolicy(
    30 * DAY, (RetentionRule((Matcher("app", MatchOp.EQ, "debug"),), 1, 2 * DAY),)
)


def entries(app: str, days_ago: int, number: int = 0) -> list[Entry]:
    """Three entries; they come and go together."""
    first = NOW - days_ago * DAY + number * HOUR
    return [(app, first + k, b"%d" % k, {}) for k in range(3)]


def fill(stored: Stored) -> None:
    """Whole blocks that expired, blocks to rewrite, small blocks to merge, a removed one."""
    for number in range(2):
        stored.add(entries("api", 60, number))
        stored.add([*entries("api", 20, number), *entries("debug", 20, number)])
    for number in range(MIN_BLOCKS):
        stored.add(entries("api", 1, number))
    gone = stored.add(entries("removed", 50))
    stored.catalog.replace([gone.block_id], [])


def age(stored: Stored) -> None:
    """Retention by age."""
    retention_of(stored.catalog, stored.store, lambda _: POLICY).run()


def size(stored: Stored) -> None:
    """Retention by size: the five newest blocks fit."""
    rows = sorted(stored.rows(), key=lambda row: row.max_ts)
    shrink(
        stored.catalog,
        worker_of(stored.catalog, stored.store),
        sum(row.stored_bytes for row in rows[-5:]),
    )


def disk(stored: Stored) -> None:
    """A disk that shall hold no more than the three newest blocks, and a page or so."""
    newest = sorted(stored.rows(), key=lambda row: row.max_ts)[-3:]
    most = sum(stored.object_bytes(row.block_id) for row in newest) + 5000
    guard = DiskGuard(
        stored.services,
        lambda: DiskSpace(10**9, 10**9 - stored.object_bytes()),
        lambda total: total - most,
        Reserve(stored.folder / "reserve"),
    )
    guard.run()


def merge(stored: Stored) -> None:
    """Compaction."""
    compact(stored.catalog, stored.store)


def clean(stored: Stored) -> None:
    """Garbage."""
    GarbageCollector(stored.services, 0, worker_of(stored.catalog, stored.store)).collect()


@dataclass(frozen=True)
class Case:
    """How a step fails."""

    name: str
    after: bool
    dead: bool


CASES = (
    Case("fails", False, False),
    Case("dies-before", False, True),
    Case("dies-after", True, True),
)


def groups(found: list[Entry]) -> dict[tuple[str, int], int]:
    """How many entries of each group are visible."""
    counts: dict[tuple[str, int], int] = {}
    for app, ts, _, _ in found:
        key = (app, ts - ts % HOUR)
        counts[key] = counts.get(key, 0) + 1
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("task", [age, size, disk, merge, clean])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_old_or_new_at_every_step(
    task: Callable[[Stored], None], case: Case, tmp_path: Path
) -> None:
    steps, before, after = undisturbed(task, tmp_path)
    assert steps >= 1, "the task had something to do"
    for at in range(steps):
        folder = tmp_path / str(at)
        folder.mkdir()
        prepared = Stored(folder)
        fill(prepared)
        prepared.close()
        faults = Faults(at, after=case.after, dead=case.dead)
        stored = Stored(folder, faults)
        with pytest.raises(AppError):
            task(stored)
        stored.close()
        check_between(folder, before, after)
        restarted = Stored(folder)
        task(restarted)
        restarted.clock.advance(SETTLE_NS)
        task(restarted)
        assert restarted.entries() == after, f"step {at}"
        worker = worker_of(restarted.catalog, restarted.store)
        collector = GarbageCollector(restarted.services, 0, worker)
        collector.begin()
        collector.collect()
        assert restarted.folders() == {row.block_id for row in restarted.rows()}
        restarted.close()


def undisturbed(
    task: Callable[[Stored], None], folder: Path
) -> tuple[int, list[Entry], list[Entry]]:
    """(steps of the task, what was visible before, and after)."""
    prepared = Stored(folder)
    fill(prepared)
    before = prepared.entries()
    prepared.close()
    faults = Faults()
    stored = Stored(folder, faults)
    task(stored)
    after = stored.entries()
    stored.close()
    return faults.steps, before, after


def check_between(folder: Path, before: list[Entry], after: list[Entry]) -> None:
    """Each group is visible whole and once, or went whole, and only if it was to go."""
    stored = Stored(folder)
    found = stored.entries()
    stored.close()
    assert len(found) == len(set(map(repr, found)))
    assert set(groups(found).values()) <= {3}
    assert set(groups(after)) <= set(groups(found)) <= set(groups(before))
