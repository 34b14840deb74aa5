"""Does a reader ever meet a missing object, in whatever order everybody works?

Readers, a publisher, compaction, retention by size, the cleaner and the disk guard are threads of
a schedule over a real catalog and real objects; every transaction and every object is a seam.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.block.pins import N, Pins
from storage.catalog.base import CatalogConflictError
from storage.objects.base import ObjectMissingError
from storage.objects.faulty import Faults
from storage.scan import Columns
from storage.store import BlockStore
from tests.reference.budget import examples
from tests.schedules import Schedule, bursts, drawn
from tests.storage.batches import Entry, entries_of
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import MIN_BLOCKS, compact, worker_of
from upkeep.disk import EXTRA_BYTES, SETTLE_NS, DiskGuard, DiskSpace
from upkeep.garbage import GarbageCollector
from upkeep.reserve import Reserve
from upkeep.size import shrink

T = TypeVar("T")
Choices = Callable[[int], Callable[[int], int]]
TOTAL = 10**9


class Pauses(Faults):
    """Every step is a seam, and none fails."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def step(self, what: str, do: Callable[[], T]) -> T:
        """Do it some time later."""
        self._schedule.pause()
        return super().step(what, do)


class Model:
    """Everybody who reads or deletes blocks, over a folder."""

    def __init__(self, folder: Path, schedule: Schedule, pins: Pins) -> None:
        self.schedule = schedule
        self.stored = Stored(folder, Pauses(schedule), pins)
        self.garbage = GarbageCollector(
            self.stored.services, 0, worker_of(self.stored.catalog, self.stored.store)
        )
        self.pushed: list[Entry] = []
        self.drops = False
        for _ in range(MIN_BLOCKS):
            self.publish()
        self._pausing("blocks")
        self._pausing("visible")
        self._pausing("removed")
        self._pausing("oldest")

    def _pausing(self, name: str) -> None:
        """Others get a turn between what the catalog reads and its return."""
        read = getattr(self.stored.catalog, name)

        def then_pause(*arguments: object) -> object:
            found = read(*arguments)
            self.schedule.pause()
            return found

        setattr(self.stored.catalog, name, then_pause)

    def publish(self) -> None:
        """A flush of one entry."""
        number = len(self.pushed)
        entry: Entry = ("a", NOW - 2 * DAY + number, b"line %d" % number, {})
        self.pushed.append(entry)
        self.stored.add([entry])

    def read(self) -> None:
        """All entries, as a query reads them, with nothing remembered."""
        found: list[Entry] = []
        before = [] if self.drops else self.stored.rows()
        store = BlockStore(self.stored.services, 0)
        with store.reading() as blocks:
            for source in blocks.sources(TENANT, 0, NOW):
                self.schedule.pause()
                rows = np.arange(len(source.times()))
                self.schedule.pause()
                found += entries_of(source.fetch(rows, Columns()))
        assert max(Counter(map(repr, found)).values(), default=1) == 1
        assert set(map(repr, found)) <= set(map(repr, self.pushed))
        if not self.drops:
            assert len(found) >= sum(row.rows for row in before)

    def merge(self) -> None:
        """Compaction; somebody else may be faster, and a full disk may take its blocks."""
        self._unless_slow(lambda: compact(self.stored.catalog, self.stored.store))

    def shrink(self) -> None:
        """All but about two blocks go."""
        self._unless_slow(
            lambda: shrink(
                self.stored.catalog,
                worker_of(self.stored.catalog, self.stored.store),
                self._bytes_of_two_blocks(),
            )
        )

    def clean(self) -> None:
        """Garbage."""
        self.garbage.collect()

    def guard(self) -> None:
        """The disk has become too small for what is stored, but for about two blocks."""
        most = self._bytes_of_two_blocks() + 2 * EXTRA_BYTES
        guard = DiskGuard(
            self.stored.services,
            lambda: DiskSpace(TOTAL, TOTAL - self.stored.object_bytes()),
            lambda total: total - most,
            Reserve(self.stored.folder / "reserve"),
        )
        guard.run()
        self.schedule.pause()
        self.stored.clock.advance(SETTLE_NS)
        guard.run()

    def _bytes_of_two_blocks(self) -> int:
        rows = self.stored.rows()
        return 2 * max((row.stored_bytes for row in rows), default=0)

    def _unless_slow(self, work: Callable[[], int]) -> None:
        try:
            work()
        except CatalogConflictError:
            assert self.drops or self.merges > 1

    merges = 0


ALL_STEPS = ("read", "read", "publish", "merge", "clean", "guard", "shrink")


def play(choose: Callable[[int], int], steps: Sequence[str], pins_of: type[Pins] = Pins) -> None:
    """All steps at once, as chosen; then the cleaner, when nobody reads any more."""
    schedule = Schedule(choose)
    with tempfile.TemporaryDirectory() as folder:
        model = Model(Path(folder), schedule, pins_of(schedule))
        model.drops = not {"guard", "shrink"}.isdisjoint(steps)
        model.merges = steps.count("merge")
        for number, step in enumerate(steps):
            schedule.start(f"{step} {number}", getattr(model, step))
        schedule.run()
        model.clean()
        stored = model.stored
        assert stored.folders() == {row.block_id for row in stored.rows()}
        assert stored.catalog.removed(1) == []
        assert stored.services.pins.count() == 0
        if not model.drops:
            assert stored.entries() == sorted(model.pushed, key=repr)
        stored.close()


@settings(max_examples=examples(40))
@given(
    st.integers(0, 2**32),
    st.sampled_from([drawn, bursts]),
    st.lists(st.sampled_from(ALL_STEPS), min_size=2, max_size=8),
)
def test_nobody_loses_a_block_and_nothing_else_is_left(
    seed: int, choices: Choices, steps: list[str]
) -> None:
    play(choices(seed), steps)


class Blind(Pins):
    """As without pins: whatever was removed is deleted."""

    def unread(self, blocks: Sequence[N], *, in_need: bool = False) -> list[N]:
        """All of them."""
        return list(blocks)


@pytest.mark.parametrize(
    ("steps", "choices"),
    [
        (("read", "read", "merge", "clean", "clean"), bursts),
        (("read", "guard"), drawn),
    ],
)
def test_such_schedules_find_what_pins_are_for(steps: Sequence[str], choices: Choices) -> None:
    for seed in range(100):
        try:
            play(choices(seed), steps, Blind)
        except ObjectMissingError:
            return
    pytest.fail("no reader lost a block in a hundred schedules")
