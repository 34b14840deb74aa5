"""Is every acknowledged entry there exactly once, whatever happens in whatever order?

A state machine: pushes, flushes, delete requests, every kind of upkeep, backups, restores, older
catalogs, rebuilt ones, stops and damage; inside each operation a fault of disk or catalog, or a
power failure, at a drawn call; against a dictionary of what was acknowledged (`machine/model.py`).
`NARFI_TEST_STEPS=20000` (`make machine`) looks for more.
"""

import os
import random
import tempfile
import uuid
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from narfi.core.errors import InvalidRequestError
from storage.catalog.delete_log import PROCESSED, RECEIVED
from storage.vault.data_dir import DataDir
from storage.vault.verify import verify
from tests.ingester.lives import GRACE_NS
from tests.ingester.machine.model import Entry
from tests.ingester.machine.process import TENANTS
from tests.ingester.machine.vault import Vault
from tests.ingester.machine.world import COUNTS, MOST, NO_FAULT, QUERIES, Fault

TASKS = ("deletes", "retention", "size", "compaction", "garbage")
ALL_TASKS = tuple(task for task in TASKS if task != "size")
COLOURS = (b"red", b"blue")


class Operations:
    """What can be done to a machine; what exactly is drawn from a seed."""

    def __init__(self, folder: Path) -> None:
        self.world = Vault(folder)
        self.number = 0

    def push(self, chance: random.Random, fault: Fault) -> None:
        """Some new lines."""
        self.world.push(self._entries(chance, chance.randint(1, 5)), fault)

    def push_again(self, chance: random.Random, fault: Fault) -> None:
        """Lines that were sent before, as a client does that heard nothing."""
        known = list(self.world.model.entries.values())
        if known:
            first = chance.choice(known)
            again = [e for e in known if e.tenant == first.tenant and chance.random() < 0.3]
            self.world.push(list(dict.fromkeys([first, *again])), fault)

    def small_blocks(self, chance: random.Random, _fault: Fault) -> None:
        """Enough of them for a merge."""
        for _ in range(4):
            self.world.push(self._entries(chance, 2), NO_FAULT)
            self.world.running().flush()

    def flush(self, _chance: random.Random, fault: Fault) -> None:
        """Every part, tried once."""
        self.world.during("flush", fault, self.world.running().flush)

    def ask_to_delete(self, chance: random.Random, _fault: Fault) -> None:
        """Of all times, or of those between two entries."""
        entries = list(self.world.model.entries.values())
        tenant, span = chance.choice(TENANTS), (0, self.world.clock.now_ns())
        if entries and chance.random() < 0.4:
            first, last = chance.choice(entries), chance.choice(entries)
            tenant, span = first.tenant, (min(first.ts, last.ts), max(first.ts, last.ts))
        self.world.running().requests.create(tenant, chance.choice(sorted(QUERIES)), *span)
        COUNTS["ask to delete", "done"] += 1

    def cancel(self, chance: random.Random, _fault: Fault) -> None:
        """A request that was not begun is forgotten; others only by force, done ones never."""
        process, force = self.world.running(), chance.random() < 0.5
        requests = process.log.requests()
        if not requests:
            return
        request = chance.choice(requests)
        if request.status == RECEIVED or (force and request.status != PROCESSED):
            process.requests.cancel(request.tenant, request.request_id, force=force)
            COUNTS["cancel", "done"] += 1
        else:
            with pytest.raises(InvalidRequestError):
                process.requests.cancel(request.tenant, request.request_id, force=force)
            COUNTS["cancel", "refused"] += 1

    def one_task(self, chance: random.Random, fault: Fault) -> None:
        """One kind of upkeep, some time later."""
        self.world.clock.advance(chance.choice([0, 0, 2, 30]) * GRACE_NS)
        self.world.upkeep(chance.choice(TASKS), chance.random(), fault)

    def all_tasks(self, chance: random.Random, fault: Fault) -> None:
        """As a server does it, and a fault in one of them."""
        self.world.clock.advance(chance.choice([0, 2, 2, 30, 30]) * GRACE_NS)
        victim = chance.choice(ALL_TASKS)
        for task in ALL_TASKS:
            self.world.upkeep(task, 1, fault if task == victim else NO_FAULT)
            self.world.go_on()

    def back_up(self, _chance: random.Random, fault: Fault) -> None:
        """Incremental, beside the server."""
        self.world.back_up(fault)

    def restore(self, _chance: random.Random, fault: Fault) -> None:
        """The newest whole backup; what was acknowledged since is forgotten."""
        self.world.restore(fault)

    def older_catalog(self, chance: random.Random, _fault: Fault) -> None:
        """A copy of the catalog alone is put back beside newer blocks; or is made."""
        if self.world.kept is not None and chance.random() < 0.7:
            self.world.put_back_catalog(rebuild_it=chance.random() < 0.3)
        else:
            self.world.keep_catalog()

    def rebuild(self, chance: random.Random, fault: Fault) -> None:
        """Of a server that was stopped, or killed."""
        if chance.random() < 0.5:
            self.world.end(chance, kill=True)
        else:
            self.world.stop()
        self.world.rebuild(fault)

    def crash(self, chance: random.Random, _fault: Fault) -> None:
        """The process or the machine ends between two calls."""
        self.world.crash(chance, kill=chance.random() < 0.3)

    def stop_and_start(self, _chance: random.Random, fault: Fault) -> None:
        """As an operator does; something may go wrong in the start."""
        self.world.stop()
        self.world.start(fault)

    def damage(self, chance: random.Random, _fault: Fault) -> None:
        """Bytes of the journal."""
        self.world.damage_the_journal(chance)

    def _entries(self, chance: random.Random, count: int) -> list[Entry]:
        tenant, app = chance.choice(TENANTS), chance.choice("ab")
        first, self.number = self.number, self.number + count
        now = self.world.clock.now_ns()
        return [
            Entry(tenant, app, now + k, b"line %d %s" % (k, COLOURS[k % 2]))
            for k in range(first, first + count)
        ]


WEIGHTS = {
    "push": 5,
    "push_again": 2,
    "small_blocks": 1,
    "flush": 3,
    "ask_to_delete": 3,
    "cancel": 1,
    "one_task": 3,
    "all_tasks": 4,
    "back_up": 2,
    "restore": 1,
    "older_catalog": 2,
    "rebuild": 1,
    "crash": 2,
    "stop_and_start": 1,
    "damage": 1,
}
NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]
KINDS = ("none",) * 4 + ("full", "broken", "bad", "catalog", "power", "power", "row")
SEEDS = st.integers(0, 2**32)
SHARES = st.integers(0, 99).map(lambda number: number / 100)
FAULTS = st.builds(Fault, st.sampled_from(KINDS), SHARES, after=st.booleans(), seed=SEEDS)


class WritePath(RuleBasedStateMachine):
    """One machine, and all that happens to its data."""

    @initialize()
    def begin(self) -> None:
        """An empty folder."""
        chance = random.Random(0)
        self._temporary = tempfile.TemporaryDirectory(prefix="narfi-machine-")
        self._ids = patch("uuid.uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4))
        self._ids.start()  # so that an example does the same again
        self.operations = Operations(Path(self._temporary.name))

    @rule(name=st.sampled_from(NAMES), fault=FAULTS, seed=SEEDS)
    def do(self, name: str, fault: Fault, seed: int) -> None:
        """One operation; whatever happened in it, a process runs afterwards."""
        getattr(self.operations, name)(random.Random(seed), fault)
        self.operations.world.go_on()
        COUNTS["a step", name] += 1

    @invariant()
    def everything_is_as_promised(self) -> None:
        """Acknowledged entries are there once, removed ones are not, nothing else is."""
        if hasattr(self, "operations"):
            self.operations.world.check()

    def teardown(self) -> None:
        """Stop, look at every byte, and take the folder away."""
        if not hasattr(self, "operations"):
            return
        self._ids.stop()
        world = self.operations.world
        try:
            if world.process is not None:  # else a step failed half-way
                world.stop()
                report = verify(DataDir(world.folder), deep=True)
                told = TOLD if not world.anew else (*TOLD, "folder")
                wrong = [problem for problem in report.problems if problem.kind not in told]
                assert not wrong, wrong
        finally:
            self._temporary.cleanup()


TOLD = ("loss", "journal", "lost+found")
"""Problems that come of damage to the journal, and of what an older catalog does not name."""

STEPS = int(os.environ.get("NARFI_TEST_STEPS", "0"))
"""Of the slow lane; 0: the gate's examples."""
STEPS_PER_EXAMPLE = 30 if STEPS else 20

TestWritePath = WritePath.TestCase
TestWritePath.settings = settings(
    max_examples=STEPS // 25 if STEPS else 50,  # some end before their last step
    stateful_step_count=STEPS_PER_EXAMPLE,
    derandomize=not STEPS,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


def test_every_operation_was_done(capsys: pytest.CaptureFixture[str]) -> None:
    """Over all examples: else the machine shows less than it says. The slow lane prints how often.

    The gate's examples are too few for each operation to be interrupted.
    """
    if not COUNTS:
        pytest.skip("runs behind the examples")
    steps = {name: count for (kind, name), count in COUNTS.items() if kind == "a step"}
    if STEPS:
        with capsys.disabled():
            print(f"\n{sum(steps.values())} steps: {steps}")
            for (name, outcome), count in sorted(COUNTS.items()):
                print(f"{name}: {outcome} {count}")
        assert sum(steps.values()) >= STEPS
    assert set(steps) == set(WEIGHTS)
    for name in MOST:
        assert COUNTS[name, "done"], name
        assert not STEPS or COUNTS[name, "power"], name
        assert not STEPS or COUNTS[name, "failed"] or name == "flush", name  # tries again itself
    # Both are rare; in the gate the runbooks and tests of deletes do them for certain.
    assert not STEPS or COUNTS["older catalog", "refused"]
    assert not STEPS or COUNTS["cancel", "done"]
