"""What if exactly one call fails? Each call of each part, alone, in each operation.

The operation runs once undisturbed, to count the calls of the disk and the transactions of the
catalog; then once for each of them and each way to fail, from the same beginning. After the fault,
after another try, and after a start anew, every acknowledged line is there exactly once.
"""

import errno
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from tests.faults.crash_disk import CrashDisk
from tests.ingester.lives import GRACE_NS, Process, Switch
from upkeep.compaction import MIN_BLOCKS, compact

TENANT = TenantId("t")
NOW = 10**18


@dataclass
class World:
    """A folder, the process in it, and what it acknowledged."""

    folder: Path
    disk: CrashDisk = field(default_factory=CrashDisk)
    switch: Switch = field(default_factory=Switch)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    acknowledged: set[bytes] = field(default_factory=set)
    attempted: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """A process on the world's disk and catalog."""
        self.process = Process(self.folder, self.clock, self.disk, self.switch)

    def push(self, count: int = 3) -> None:
        """New lines."""
        lines = [b"line %d" % (len(self.attempted) + k) for k in range(count)]
        at = NOW + len(self.attempted)
        self.attempted.update(lines)
        self.process.push(TENANT, lines, at)
        self.acknowledged.update(lines)

    def check(self, when: str) -> None:
        """Every acknowledged line is there once, and no line twice."""
        found = self.process.lines(TENANT)
        assert self.acknowledged <= set(found) <= self.attempted, when
        assert set(found.values()) <= {1}, when


def push(world: World) -> None:
    """Two pushes: the second opens no segment."""
    world.push()
    world.push()


def flush(world: World) -> None:
    """Merge, encode, put, publish, drop, truncate."""
    world.process.flush()
    world.process.flush()


def replay(world: World) -> None:
    """A process starts; when it cannot, it is started again by the caller."""
    world.process.stop_quietly()
    world.start()


def merge(world: World) -> None:
    """Compaction."""
    compact(world.process.catalog, world.process.store)


def collect(world: World) -> None:
    """Objects of removed blocks go, and a folder that nobody knows is set aside."""
    world.clock.advance(2 * GRACE_NS)
    world.process.garbage.collect()


def before_push(world: World) -> None:
    """A part in the head."""
    world.push()


def before_flush(world: World) -> None:
    """Two segments with frames that no block holds."""
    for _ in range(6):
        world.push(5)


def before_merge(world: World) -> None:
    """Small blocks, enough for one merge, and something in the head."""
    for _ in range(MIN_BLOCKS):
        world.push()
        world.process.flush()
    world.push()


def before_collect(world: World) -> None:
    """A merge was done: its inputs are removed. A stray folder lies there."""
    before_merge(world)
    merge(world)
    world.process.objects.put("blocks/t/1970-01-01/stray/lines.parquet", b"whose?")


OPERATIONS: dict[str, tuple[Callable[[World], None], Callable[[World], None]]] = {
    "push": (before_push, push),
    "flush": (before_flush, flush),
    "replay": (before_flush, replay),
    "compaction": (before_merge, merge),
    "garbage": (before_collect, collect),
}
DISK = {
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "broken": OSError(errno.EIO, "Input/output error"),
    "memory": MemoryError("no memory"),
}
CATALOG = ("before", "after")


def prepared(folder: Path, operation: str) -> World:
    """A world in which the operation has something to do."""
    folder.mkdir()
    world = World(folder)
    OPERATIONS[operation][0](world)
    return world


def recover_and_check(world: World, operation: str) -> None:
    """Right after the fault, after another try, after a start anew, and after power was lost."""
    world.disk.disarm()
    world.switch.disarm()
    world.check("after the fault")
    with suppress(AppError):
        OPERATIONS[operation][1](world)
    world.check("after another try")
    world.process.stop()
    world.start()
    world.check("after a start anew")
    world.process.flush()
    world.process.power_off(random.Random(0))
    world.start()
    world.check("after power was lost")
    assert list(world.process.catalog.losses()) == []
    world.process.stop()


@pytest.mark.slow
@pytest.mark.parametrize("kind", DISK)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_call_of_the_disk_fails(tmp_path: Path, operation: str, kind: str) -> None:
    run = OPERATIONS[operation][1]
    counting = prepared(tmp_path / "counting", operation)
    before = counting.disk.calls
    run(counting)
    calls = counting.disk.calls - before
    counting.process.stop()
    assert calls, "the operation uses the disk"
    for number in range(calls):
        world = prepared(tmp_path / str(number), operation)
        world.disk.arm_error(number, DISK[kind])
        try:
            run(world)
        except (AppError, OSError, MemoryError):
            world.disk.disarm()
            if operation == "replay" or world.process.ended:
                world.start()
        recover_and_check(world, operation)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CATALOG)
@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "push"])
def test_one_transaction_of_the_catalog_fails(tmp_path: Path, operation: str, kind: str) -> None:
    run = OPERATIONS[operation][1]
    counting = prepared(tmp_path / "counting", operation)
    before = counting.switch.steps
    run(counting)
    steps = counting.switch.steps - before
    counting.process.stop()
    assert steps or operation == "replay"
    for number in range(steps):
        world = prepared(tmp_path / str(number), operation)
        world.switch.arm(number, after=kind == "after")
        with suppress(AppError):
            run(world)
        recover_and_check(world, operation)


@pytest.mark.parametrize("jump_ns", [-(10**17), 10**17], ids=["back", "ahead"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_clock_jumps(tmp_path: Path, operation: str, jump_ns: int) -> None:
    """Three years back or ahead, before the operation and again after it."""
    world = prepared(tmp_path / "world", operation)
    world.clock.advance(jump_ns)
    OPERATIONS[operation][1](world)
    world.check("after the jump")
    world.clock.advance(-jump_ns)
    recover_and_check(world, operation)
