"""Is every acknowledged entry there exactly once, whatever happens in whatever order?

A state machine: pushes, flushes, merges, deletions, faults of disk and catalog at any call, power
failures, stops and damage, against a dictionary of what was acknowledged. `NARFI_TEST_STEPS=20000`
(`make machine`) looks for more.
"""

import os
import random
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from storage.journal.segment import SEGMENT_HEADER, segment_paths
from tests.faults.crash_disk import KINDS
from tests.ingester.lives import GRACE_NS, Process

TENANTS = (TenantId("one"), TenantId("two"))
HOUR = 3600 * 10**9
SEEDS = st.integers(0, 2**32)


class WritePath(RuleBasedStateMachine):
    """One folder and the lives of processes in it."""

    @initialize()
    def begin(self) -> None:
        """An empty folder."""
        self._temporary = tempfile.TemporaryDirectory(prefix="narfi-machine-")
        self.folder = Path(self._temporary.name)
        self.clock = ManualClock(10**18)
        self.process = Process(self.folder, self.clock)
        self.number = 0
        self.acknowledged: dict[TenantId, set[bytes]] = {tenant: set() for tenant in TENANTS}
        self.attempted: dict[TenantId, set[bytes]] = {tenant: set() for tenant in TENANTS}
        self.frames: dict[int, set[bytes]] = {}  # position: lines
        self.lost: set[bytes] = set()  # told as missing: they may be there or not

    def _restart(self) -> None:
        self.process = Process(self.folder, self.clock)
        for loss in self.process.catalog.losses():
            for position in range(loss.first_position, loss.last_position + 1):
                self.lost |= self.frames.get(position, set())

    @rule(tenant=st.sampled_from(TENANTS), count=st.integers(1, 5))
    def push(self, tenant: TenantId, count: int) -> None:
        """Some new lines."""
        lines = [b"line %d" % (self.number + k) for k in range(count)]
        self.attempted[tenant].update(lines)
        try:
            position = self.process.push(tenant, lines, 10**18 + self.number)
        except AppError:
            pass  # refused: it may be there, once, or not
        else:
            self.acknowledged[tenant].update(lines)
            self.frames.setdefault(position, set()).update(lines)
        self.number += count
        if self.process.ended:
            self.crash(self.number)

    @rule()
    def flush(self) -> None:
        """Every part, tried once."""
        self.process.flush()

    @rule(hours=st.sampled_from([0, 0, 1, 3]))
    def upkeep(self, hours: int) -> None:
        """Merge and delete, some time later."""
        self.clock.advance(hours * GRACE_NS)
        self.process.upkeep()

    @rule(calls=st.integers(0, 40), code=st.sampled_from(KINDS))
    def disk_fails(self, calls: int, code: int) -> None:
        """One of the next calls of the disk raises."""
        self.process.disk.arm(calls, code)

    @rule(steps=st.integers(0, 4), after=st.booleans())
    def catalog_fails(self, steps: int, after: bool) -> None:
        """One of the next transactions fails, or was done and nobody knows."""
        self.process.switch.arm(steps, after=after)

    @rule()
    def heal(self) -> None:
        """No fault is waiting any more."""
        self.process.disk.disarm()
        self.process.switch.disarm()

    @rule(seed=SEEDS)
    def crash(self, seed: int) -> None:
        """Power goes, and the process starts again."""
        self.process.power_off(random.Random(seed))
        self._restart()

    @rule()
    def stop_and_start(self) -> None:
        """As an operator does."""
        self.process.stop()
        self._restart()

    @precondition(lambda self: self.number)
    @rule(seed=SEEDS)
    def damage_the_journal(self, seed: int) -> None:
        """A byte of a segment changes, or the segment is cut, while nobody runs."""
        self.process.stop()
        chance = random.Random(seed)
        paths = [
            path
            for path in segment_paths(self.folder / "journal")
            if path.stat().st_size > SEGMENT_HEADER.size
        ]
        if paths:
            path = chance.choice(paths)
            content = bytearray(path.read_bytes())
            at = chance.randrange(SEGMENT_HEADER.size, len(content))
            content[at] ^= 1 << chance.randrange(8)
            path.write_bytes(content if chance.random() < 0.7 else content[:at])
        self._restart()

    @invariant()
    def everything_acknowledged_is_there_once(self) -> None:
        """Unless it was told as lost; and nothing else but what was attempted is there."""
        if not hasattr(self, "process"):
            return
        for tenant in TENANTS:
            found = self.process.lines(tenant)
            missing = self.acknowledged[tenant] - set(found) - self.lost
            assert not missing, (
                f"{len(missing)} acknowledged lines are missing: {sorted(missing)[:3]}"
            )
            twice = [line for line, count in found.items() if count > 1]
            assert not twice, f"{len(twice)} lines are there twice: {twice[:3]}"
            assert set(found) <= self.attempted[tenant]

    def teardown(self) -> None:
        """Stop, and take the folder away."""
        if hasattr(self, "process"):
            self.process.stop()
            self._temporary.cleanup()


STEPS = int(os.environ.get("NARFI_TEST_STEPS", "0"))
"""Of the slow lane; 0: the gate's 200 examples."""
STEPS_PER_EXAMPLE = 30

TestWritePath = WritePath.TestCase
TestWritePath.settings = settings(
    max_examples=max(STEPS // STEPS_PER_EXAMPLE, 1) if STEPS else 200,
    stateful_step_count=STEPS_PER_EXAMPLE,
    derandomize=not STEPS,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
