"""How is a server killed a thousand times? Rounds, each with a moment at which it ends.

A moment is drawn: while the server starts, under load, inside a step of its life (as `phases.py`
tells), or while it stops; most end by SIGKILL, some are stopped before, some asked to end.
"""

import collections
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import free_port
from tests.faults.forked import Nursery
from tests.faults.kill_deletes import Deleter, pending
from tests.faults.kill_load import PUSHERS, Pushed, Pusher, wait_until_ready, wrong_counts
from tests.faults.phases import Phases

CONFIG = """
limits:
  ingestion_rate_mb: 10000.0
  ingestion_burst_size_mb: 10000.0
  reject_old_samples: false
  max_global_streams_per_user: 0
  max_entries_limit_per_query: 0
  max_query_length: 0s
  max_query_series: 1000000
  retention_stream: [{selector: '{kind="old"}', period: 24h}]
ingester: {flush_bytes: 8KB, flush_age: 1s, shape_min_lines: 16}
"""
BUSY = (
    "compactor: {interval: 10ms, orphan_grace: 200ms, min_free_disk: 0, "
    "delete_request_cancel_period: 200ms}\n"
)
QUIET = "compactor: {interval: 1h, min_free_disk: 0}\n"
"""Without upkeep: for a last look."""

STEPS = (
    ("commit",),
    ("flush",),
    ("put",),
    ("publish",),
    ("forget records",),
    ("compaction", "rewrite"),
    ("compaction", "replace"),
    ("retention", "rewrite"),
    ("retention", "replace"),
    ("deletes", "rewrite"),
    ("deletes", "replace"),
    ("progress",),
    ("request",),
    ("cancel",),
    ("erase",),
)
"""Of which all must be under way when the server is killed."""
STEP_S = 120
"""A step comes within that time, or the rounds show nothing."""
START_S = 0.25
"""About what a start takes."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What happened in all rounds."""

    planned: collections.Counter[str] = field(default_factory=collections.Counter)
    inside: collections.Counter[str] = field(default_factory=collections.Counter)
    ends: collections.Counter[str] = field(default_factory=collections.Counter)
    done: collections.Counter[str] = field(default_factory=collections.Counter)  # steps ended
    pushed: list[Pushed] = field(default_factory=list)
    unchecked: list[Pushed] = field(default_factory=list)  # of the last rounds
    answers: collections.Counter[str] = field(default_factory=collections.Counter)  # of deletes

    def lines(self) -> int:
        """Acknowledged."""
        return sum(one.least() for one in self.pushed)

    def text(self) -> str:
        """For a reader."""
        rows = [
            ("ended by", self.ends),
            ("planned", self.planned),
            ("steps under way at the end", self.inside),
            ("steps done", self.done),
            ("delete requests", self.answers),
        ]
        told = [
            f"{name}: " + ", ".join(f"{key} {count}" for key, count in found.most_common())
            for name, found in rows
        ]
        most = sum(one.most() for one in self.pushed)
        return "\n".join([*told, f"lines pushed {most}, acknowledged {self.lines()}"])


@dataclass(frozen=True, slots=True)
class Load:
    """Who asks a server in a round."""

    pushers: list[Pusher] = field(default_factory=list)
    deleter: Deleter | None = None

    def ended(self, answers: collections.Counter[str]) -> list[Pushed]:
        """What was pushed, when the server is gone; answers to deletes are counted."""
        for pusher in self.pushers:
            pusher.join()
        if self.deleter is not None:
            self.deleter.join()
            assert self.deleter.wrong == []
            answers["acknowledged"] += self.deleter.requests
            answers["cancelled"] += self.deleter.cancels
            answers["too late to cancel"] += self.deleter.too_late
        return [pusher.pushed for pusher in self.pushers]


class Rounds:
    """Servers of one data folder, one after another."""

    def __init__(self, folder: Path, nursery: Nursery, chance: random.Random) -> None:
        self._folder, self._nursery, self._chance = folder, nursery, chance
        self.phases = Phases(folder / "phases")
        self.tally = Tally()
        for name, upkeep in (("busy", BUSY), ("quiet", QUIET)):
            (folder / f"{name}.yaml").write_text(CONFIG + upkeep)

    def start(self, config: str = "busy") -> tuple[int, int]:
        """(pid, HTTP port) of a server that begins to start."""
        port = free_port()
        self.phases.clear()
        arguments = ["--config", str(self._folder / f"{config}.yaml")]
        arguments += ["--data-dir", str(self._folder / "data")]
        arguments += ["--http", f"127.0.0.1:{port}", "--grpc", "127.0.0.1:0"]
        log, phases = self._folder / "log", self._folder / "phases"
        return self._nursery.fork(arguments, log, phases), port

    def ready(self, pid: int, port: int) -> None:
        """Return when it serves."""

        def check_alive() -> None:
            status = self._nursery.ended(pid)
            assert status is None, f"the server ended with {status}: {self._log()}"

        wait_until_ready(port, check_alive)

    def stop(self, pid: int) -> None:
        """Ask it to end; it must end well."""
        os.kill(pid, signal.SIGTERM)
        assert self._nursery.wait(pid) == 0, self._log()

    def run(self, number: int) -> None:
        """One life of a server."""
        plan = self._chance.choices(
            ("start", "replay", "load", "step", "stop"), (15, 8, 25, 42, 10)
        )
        pid, port = self.start()
        load = Load()
        inside: tuple[str, ...] = ()
        if plan == ["start"]:
            time.sleep(self._chance.uniform(0, START_S))
        elif plan == ["replay"]:
            self._wait_inside(pid, inside := ("replay",))
        else:
            self.ready(pid, port)
            self._check(port)
            load = self._load(number, port)
            if plan == ["step"]:
                self._wait_inside(pid, inside := self._chance.choice(STEPS))
            else:
                time.sleep(self._chance.uniform(0, 0.5))
        self.tally.planned[" in ".join(reversed(inside)) or plan[0]] += 1
        self._end(pid, gently=plan == ["stop"])
        self._note(load)

    def last(self, number: int, merged: Callable[[], bool]) -> None:
        """A life that ends well, under load until blocks were merged and old ones deleted.

        Few rounds leave few blocks, which upkeep rightly leaves alone until there are more.
        """
        pid, port = self.start()
        self.ready(pid, port)
        load = self._load(number, port)
        self.wait(merged, "nothing was merged")
        self.wait(lambda: self.phases.ended("erase") > 0, "no object was deleted")
        self.stop(pid)
        self._note(load)

    def settle(self) -> None:
        """A life without load, until every delete request is done."""
        pid, port = self.start()
        self.ready(pid, port)
        self.wait(lambda: pending(port) == 0, "a delete request is never done")
        self.stop(pid)

    def _load(self, number: int, port: int) -> "Load":
        """Pushers of that round, each of which got an answer, and one who deletes."""
        pushers = [Pusher(port, Pushed(number, pusher)) for pusher in range(PUSHERS)]
        for pusher in pushers:
            pusher.start()
        self.wait(lambda: all(p.pushed.acknowledged for p in pushers), "no push was answered")
        pushed = [*self.tally.pushed, *(pusher.pushed for pusher in pushers)]
        deleter = Deleter(port, pushed, random.Random(self._chance.random()))
        deleter.start()
        return Load(pushers, deleter)

    def _wait_inside(self, pid: int, steps: tuple[str, ...]) -> None:
        """Until the steps are under way, and some time more."""

        def inside() -> bool:
            return self.phases.under_way().issuperset(steps)

        def missed() -> bool:
            return "replay" in steps and self.phases.ended("replay") > 0

        self.wait(lambda: inside() or missed(), f"never inside {steps}: {self._log()}")
        time.sleep(self._chance.choice((0.0, 0.0005, 0.002, 0.01)) * self._chance.random())

    def wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        """Return when it holds; fail when it does not within `STEP_S`."""
        deadline = time.monotonic() + STEP_S
        while not condition():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.0002)

    def _end(self, pid: int, *, gently: bool) -> None:
        """It ends, mostly at once."""
        chance = self._chance
        if gently:
            os.kill(pid, signal.SIGTERM)
            if chance.random() < 0.3:
                assert self._nursery.wait(pid) == 0, self._log()
                self.tally.ends["SIGTERM"] += 1
                return
            time.sleep(chance.uniform(0, 0.1))
            self.tally.ends["SIGTERM, then SIGKILL"] += 1
        elif chance.random() < 0.1:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0, 0.1))
            self.tally.ends["SIGSTOP, then SIGKILL"] += 1
        else:
            self.tally.ends["SIGKILL"] += 1
        os.kill(pid, signal.SIGKILL)
        status = self._nursery.wait(pid)
        assert status == -signal.SIGKILL or (gently and status == 0), self._log()

    def _note(self, load: "Load") -> None:
        pushed = load.ended(self.tally.answers)
        self.tally.inside.update(self.phases.under_way() or ["none"])
        self.tally.done.update(self.phases.all_ended())
        self.tally.pushed += pushed
        self.tally.unchecked += pushed

    def _check(self, port: int) -> None:
        """What the rounds before this one pushed is there."""
        assert wrong_counts(port, self.tally.unchecked) == []
        self.tally.unchecked.clear()

    def _log(self) -> str:
        """The end of what the servers said."""
        return (self._folder / "log").read_text()[-5000:]
