"""A machine, its data folder, the processes in it, and what goes wrong in their operations."""

import errno
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from narfi.core.errors import AppError
from storage.block.reader import BlockSource
from storage.catalog.delete_log import PROCESSED, DeleteRequest
from storage.scan import Columns
from tests.ingester.machine.model import Entry, Model
from tests.ingester.machine.power import MortalDisk, MortalSwitch, Power, PowerFailure
from tests.ingester.machine.process import (
    CANCEL_NS,
    EXPIRING,
    PERIODS,
    Life,
    TickingClock,
)
from tests.storage.batches import entries_of
from tests.storage.catalog.rows import every_block

SECOND = 10**9
COUNTS: Counter[tuple[str, str]] = Counter()
"""(operation, how it ended) over all examples."""

MOST = {
    "push": (8, 0),
    "flush": (80, 6),
    "deletes": (150, 20),
    "retention": (20, 2),
    "size": (1, 2),
    "compaction": (60, 6),
    "garbage": (80, 4),
    "backup": (200, 1),
    "restore": (200, 1),
    "rebuild": (14, 2),
    "start": (10, 4),
}
"""By operation: about how many calls of the disk and transactions a long run of it has."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong inside an operation, and where: a share of its calls."""

    kind: str  # none, full, broken, bad, catalog, power, power at a transaction
    share: float
    after: bool
    seed: int


DONE = ("done", "nothing to do")
NO_FAULT = Fault("none", 0, after=False, seed=0)


class World:
    """One folder after another, the process in it, and the model of what it promised."""

    def __init__(self, root: Path) -> None:
        self.root, self.lives = root, 0
        self.clock, self.power = TickingClock(10**18), Power()
        self.disk, self.switch = MortalDisk(self.power), MortalSwitch(self.power)
        self.model = Model()
        self.folder = root / "data 0"
        self.start()

    # faults

    def during(self, name: str, fault: Fault, do: Callable[[], object]) -> str:
        """How the operation ended, with this fault in it; power is on again afterwards.

        An error without a fault is one of the program.
        """
        disk, switch = self.disk, self.switch
        calls, steps = disk.calls, switch.steps
        self._arm(name, fault)
        error: BaseException | None = None
        try:
            do()
        except (PowerFailure, AppError, OSError) as found:
            error = found
        disk.disarm()
        switch.disarm()
        if self.power.off:
            outcome = "power"
        elif error is not None:
            outcome = "failed"
        else:
            outcome = "done" if (disk.calls, switch.steps) != (calls, steps) else "nothing to do"
        COUNTS[name, outcome] += 1
        if outcome == "failed" and fault.kind == "none":
            assert error is not None
            raise error
        if self.power.off:
            self.power.off = False
            chance = random.Random(fault.seed)
            self.end(chance, kill=chance.random() < 0.3)
        return outcome

    def _arm(self, name: str, fault: Fault) -> None:
        calls, steps = MOST[name]
        call, step = int(fault.share**2 * calls), int(fault.share * steps)
        match fault.kind:
            case "full":
                self.disk.arm(call, errno.ENOSPC)
            case "broken":
                self.disk.arm(call, errno.EIO)
            case "bad":
                self.disk.arm_for_good(call, OSError(errno.EIO, os.strerror(errno.EIO)))
            case "catalog":
                self.switch.arm(step, after=fault.after)
            case "power":
                self.disk.arm_power(call)
            case "row":
                self.switch.arm_power(step, after=fault.after)

    def end(self, chance: random.Random, *, kill: bool) -> None:
        """The process, if there is one, ends as it stands; without power, so does the disk."""
        process, self.process = self.process, None
        if process is not None:
            if kill:
                process.kill()
            else:
                process.power_off(chance)
        elif kill:
            self.disk.kill()
        else:
            self.disk.power_off(chance)

    # lives

    process: Life | None = None

    def running(self) -> Life:
        """The process; there is one between two steps."""
        assert self.process is not None
        return self.process

    def start(self, fault: Fault = NO_FAULT) -> None:
        """A process in the folder; when it cannot, it is started again without the fault."""
        assert self.process is None

        def begin() -> None:
            self.process = Life(self.folder, self.clock, self.disk, self.switch)

        if self.during("start", fault, begin) not in DONE:
            self.during("start", NO_FAULT, begin)
        process = self.running()
        for loss in process.catalog.losses():
            self.model.told_lost(range(loss.first_position, loss.last_position + 1))
        done = {r.request_id for r in process.log.requests() if r.status == PROCESSED}
        self.model.settled &= done
        self.settle()
        self.model.started(process.everything(), self.hidden())

    def go_on(self) -> None:
        """Whatever happened, a process runs and is able to."""
        if self.process is not None and self.process.ended:
            self.end(random.Random(0), kill=True)
        if self.process is None:
            self.start()

    def stop(self) -> None:
        """As an operator does."""
        process, self.process = self.running(), None
        process.stop()

    def crash(self, chance: random.Random, *, kill: bool) -> None:
        """Between two calls."""
        COUNTS["crash", "kill" if kill else "power"] += 1
        self.end(chance, kill=kill)
        self.start()

    def check(self) -> None:
        """Everything as the model says."""
        hidden = self.hidden()
        for tenant, found in self.running().everything().items():
            self.model.check(tenant, found, hidden)

    def hidden(self) -> set[bytes]:
        """Lines that a pending request means, as the catalog says."""
        pending = [r for r in self.running().log.requests() if r.status != PROCESSED]
        return {
            line
            for line, entry in self.model.entries.items()
            if any(asked_for(entry, request) for request in pending)
        }

    # upkeep

    def push(self, entries: list[Entry], fault: Fault) -> None:
        """One push of entries of one tenant."""
        self.model.sent(entries)

        def do() -> None:
            position = self.running().push_entries(entries)
            self.model.acknowledged(entries, position)

        self.during("push", fault, do)

    def upkeep(self, task: str, size_share: float, fault: Fault) -> None:
        """One task."""
        process = self.running()
        total = sum(level.stored_bytes for level in process.catalog.totals())
        limit = max(int(size_share * total), 1)
        if task == "deletes":
            self._doom_requested(process)
        elif task == "retention":
            now = self.clock.now_ns() + SECOND
            entries = [e for e in self.model.entries.values() if e.tenant == EXPIRING]
            self.model.doom([e.line for e in entries if e.ts + PERIODS[e.app] < now])
        elif task == "size":
            self._doom_oldest(process, total - limit)
        self.during(task, fault, process.tasks(limit)[task])
        if self.process is not None:
            self.settle()

    def _doom_requested(self, process: Life) -> None:
        now = self.clock.now_ns() + SECOND
        for request in process.log.requests():
            if request.status != PROCESSED and now - request.created_ns >= CANCEL_NS:
                lines = {
                    line
                    for line in self.model.seen()
                    if asked_for(self.model.entries[line], request)
                }
                self.model.matched[request.request_id] = lines
                self.model.doom(lines)

    def settle(self) -> None:
        """What is told as deleted is away."""
        for request in self.running().log.requests():
            if request.status == PROCESSED and request.request_id not in self.model.settled:
                self.model.settled.add(request.request_id)
                self.model.away(self.model.matched.get(request.request_id, set()))

    def _doom_oldest(self, process: Life, excess: int) -> None:
        rows = sorted(every_block(process.catalog), key=lambda row: (row.max_ts, row.block_id))
        for row in rows:
            if excess <= 0:
                return
            with process.store.opened([row]) as (source,):
                self.model.doom(lines_of(source))
            excess -= row.stored_bytes


def lines_of(source: BlockSource) -> set[bytes]:
    """All lines of a block."""
    rows = np.arange(int(source.table.rows.sum()))
    return {line for _, _, line, _ in entries_of(source.fetch(rows, Columns()))}


QUERIES: dict[str, Callable[[Entry], bool]] = {
    '{app="a"}': lambda entry: entry.app == "a",
    '{app="b"}': lambda entry: entry.app == "b",
    '{job="test"} |= "red"': lambda entry: b"red" in entry.line,
    '{app=~".+"} != "red"': lambda entry: b"red" not in entry.line,
    '{job="test"} |~ "line 1"': lambda entry: b"line 1" in entry.line,
}
"""Queries of delete requests, and whether each means an entry."""


def asked_for(entry: Entry, request: DeleteRequest) -> bool:
    """Whether the request means the entry."""
    inside = request.start_ns <= entry.ts <= request.end_ns
    return entry.tenant == request.tenant and inside and QUERIES[request.query](entry)
