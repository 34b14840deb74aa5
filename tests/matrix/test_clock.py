"""What if the clock is put forward or back between two steps that go by it?"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.catalog.base import BlockRow, Fence, Watermark
from tests.ingester.lives import GRACE_NS
from tests.matrix.world import DAY, Known, World
from tests.storage.catalog.rows import every_block
from tests.storage.stored import NOW, Stored
from upkeep.disk import DiskGuard, DiskSpace
from upkeep.reserve import Reserve


def test_ahead_between_the_objects_of_a_block_and_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upkeep takes the block for abandoned and deletes it: the flush writes it again."""
    world = World(tmp_path, Known())
    world.push()
    process = world.process
    publish, jumped = process.catalog.publish, list[BlockRow]()

    def late(
        rows: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        if not jumped:
            jumped.extend(rows)
            world.clock.advance(100 * DAY)
            process.garbage.collect()
            world.clock.advance(2 * GRACE_NS)
            process.garbage.collect()
        publish(rows, watermarks, fence)

    monkeypatch.setattr(process.catalog, "publish", late)
    process.flush()
    world.check("the publish was refused")
    assert process.heads.waiting()
    process.flush()
    world.check("and done again")
    assert not process.heads.waiting()
    assert jumped[0] not in list(every_block(process.catalog))
    world.clock.advance(-100 * DAY)
    process.garbage.collect()
    world.check("the clock is right again")
    world.close()


@pytest.mark.parametrize("by_ns", [-100 * DAY, 100 * DAY])
def test_a_part_is_cut_by_its_age_whichever_way_the_clock_went(tmp_path: Path, by_ns: int) -> None:
    """Else the journal keeps its records, and all behind them, until the clock is there."""
    world = World(tmp_path, Known())
    world.push()
    heads = world.process.heads
    heads.cut_old(world.clock.now_ns(), DAY)
    assert not heads.waiting()
    world.clock.advance(by_ns)
    heads.cut_old(world.clock.now_ns(), DAY)
    assert len(heads.waiting()) == 1
    world.close()


def test_a_full_disk_is_seen_when_the_clock_was_put_back(tmp_path: Path) -> None:
    """Bytes that were deleted a moment ago do not count as free until the clock is there again."""
    stored, total, free = Stored(tmp_path), 10**9, 1000
    for days_ago in (3, 2, 1):
        stored.add([("a", NOW - days_ago * DAY, b"x", {})])
    guard = DiskGuard(
        stored.services,
        lambda: DiskSpace(total, free),  # what is deleted never shows
        lambda _: free + 1,
        Reserve(tmp_path / "reserve"),
    )
    assert guard.run() == 1
    assert guard.run() == 0, "what was deleted is waited for"
    stored.clock.advance(-100 * DAY)
    assert guard.run() == 1
    stored.close()
