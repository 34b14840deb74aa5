"""How fast is `/ready` answered? Asked all the time, from a process of its own.

The attackers keep Python's lock of their process busy, which would be counted as the server's.
"""

import multiprocessing
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.server import Running
from tests.hostile.target import Target

PAUSE_S = 0.02
LEAST = 200
"""Looks before anything is sent, and in all meanwhile."""


@dataclass
class Seen:
    """Looks at `/ready`, one after another."""

    wall_s: list[float] = field(default_factory=list)
    loop_s: list[float] = field(default_factory=list)  # CPU time of the event loop meanwhile
    failed: list[str] = field(default_factory=list)  # what was not answered with 200

    def look(self, target: Target, pid: int) -> None:
        """Ask once."""
        before, began = loop_cpu_s(pid), time.perf_counter()
        answer = target.send("GET", "/ready")
        self.wall_s.append(time.perf_counter() - began)
        self.loop_s.append(loop_cpu_s(pid) - before)
        if answer.status != 200:
            self.failed.append(f"{answer.status} {answer.text}")


class Looks:
    """Go on from when it is made until `end`."""

    def __init__(self, running: Running) -> None:
        """Returns when enough is known of the server that nobody attacks."""
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        target = Target(int(running.url.rpartition(":")[2]))
        self._process = context.Process(target=_go_on, args=(target, running.process.pid, there))
        self._process.start()
        self.idle: Seen = self._here.recv()

    def end(self) -> Seen:
        """All looks since; can be called again, for nothing more."""
        if self._process.exitcode is not None:
            return Seen()
        self._here.send(None)
        seen: Seen = self._here.recv()
        self._process.join()
        return seen


def _go_on(target: Target, pid: int, there: Connection) -> None:
    idle, seen = Seen(), Seen()
    for _ in range(LEAST):
        idle.look(target, pid)
    there.send(idle)
    while not there.poll(PAUSE_S) or len(seen.wall_s) < LEAST:
        seen.look(target, pid)
    there.send(seen)


def loop_cpu_s(pid: int) -> float:
    """CPU time of the main thread, which runs the event loop."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return sorted(values)[int(len(values) * 0.99)]
