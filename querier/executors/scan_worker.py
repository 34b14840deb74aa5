"""What is a scan process, as the server sees it? Started, given one task at a time, ended.

One that ends by itself is a small fault: whoever used it is told (`ProcessGoneError`).
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from querier.budget import Budget
from querier.executors.lent_memory import STEP_BYTES, lend
from querier.executors.messages import (
    Ask,
    Call,
    Cancel,
    Channel,
    Done,
    Failed,
    GaveBack,
    Lent,
    Ready,
    Refused,
    Setup,
    Task,
)
from querier.plan.spec import LeafSpec
from storage.catalog.base import BlockRow

log = structlog.get_logger(__name__)

START_NICENESS, NICENESS = 2, 19
"""Of the processes: requests, pushes and small queries go first. Beside a thread that always wants
the core a process has a seventieth of it then, at niceness 10 it had a tenth, some milliseconds at
a time, which small queries waited for. Their start is not put off: until they are there, heavy
queries are in the way of all."""
LOOK_S = 0.1
"""While a task runs, between two looks whether it is still wanted."""
STUCK_S = 15.0
"""Cancelled, a task ends within 100 ms of processor; who does not end by then is killed."""
START_S = 120.0
"""A process that is not ready by then is given up."""
ENTRY = "querier.scan_process"
"""The module whose `main` a process runs, mostly."""


class ProcessGoneError(Exception):
    """The process ended, by itself or by somebody else, while it had a task."""


Message = Callable[[int], Task | Call]
"""What a process is told to do, with so many bytes lent."""


def task_of(query: int, spec: LeafSpec[Any], block: BlockRow) -> Message:
    """A leaf task over a block."""
    return lambda lent: Task(query=query, spec=spec, block=block, lent=lent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Work for a process, and whether somebody still waits for it."""

    message: Message
    budget: Budget
    is_abandoned: Callable[[], bool]
    add_cpu_s: Callable[[float], None]  # is told what it took of the processor
    block_id: str = ""  # that it reads

    def is_over(self) -> bool:
        """Whether the work would be in vain."""
        return self.is_abandoned() or self.budget.is_over()


class Worker:
    """A scan process as the server sees it; used by one thread at a time."""

    def __init__(self, channel: Channel, setup: Setup) -> None:
        self._channel, self._setup = channel, setup
        self.pid = 0  # known when it is ready
        self.number = 0  # of its caches; what several workers give to one actor has one number
        self._lent = 0  # to its task
        self.began_s = self.used_s = time.monotonic()

    def is_ready(self) -> bool:
        """Whether it takes tasks; raises `ProcessGoneError` when it never will."""
        if not self.pid and self._channel.waits(0):
            try:
                message = self._channel.receive()
                assert isinstance(message, Ready)
                self._channel.send(self._setup)
            except Exception as error:  # a message may be torn
                raise ProcessGoneError from error
            self.pid = message.pid
        elif not self.pid and time.monotonic() > self.began_s + START_S:
            raise ProcessGoneError
        return bool(self.pid)

    def run(self, wanted: Wanted) -> Any:
        """The partial result, of which `kept` bytes stay charged; raises what the task raised.

        Raises `ProcessGoneError`, and then nothing is charged.
        """
        budget = wanted.budget
        budget.check()
        self._lent = lend(budget, 0, STEP_BYTES)
        try:
            found = self._found(wanted)
            if isinstance(found, Failed):
                budget.check()  # one that was cancelled in time knows not why
                raise found.error
            self._lent -= found.kept
            wanted.add_cpu_s(found.cpu_s)
            return found.partial
        finally:
            self.used_s = time.monotonic()
            budget.release(self._lent)

    def _found(self, wanted: Wanted) -> Done | Failed:
        """What comes of a task; raises `ProcessGoneError` for a process that is out of step too."""
        try:
            self._channel.send(wanted.message(self._lent))
            while True:
                match self._next(wanted):
                    case Ask(needed, size):
                        self._channel.send(self._asked(wanted.budget, needed, size))
                    case GaveBack(size):
                        self._lent -= size
                        wanted.budget.release(size)
                    case Done() | Failed() as found:
                        return found
        except Exception as error:
            raise ProcessGoneError from error

    def _asked(self, budget: Budget, needed: int, wanted: int) -> Lent | Refused:
        try:
            more = lend(budget, needed, wanted)
        except Exception as error:  # noqa: BLE001 - the task raises it
            return Refused(error)
        self._lent += more
        return Lent(more)

    def _next(self, wanted: Wanted) -> object:
        """The next message; meanwhile the process is told when the task is wanted no more."""
        cancelled_s: float | None = None
        while not self._channel.waits(LOOK_S):
            if cancelled_s is None and wanted.is_over():
                cancelled_s = time.monotonic()
                self._channel.send(Cancel())
            if cancelled_s is not None and time.monotonic() > cancelled_s + STUCK_S:
                raise TimeoutError(f"it did not end within {STUCK_S:g} s of being cancelled")
        return self._channel.receive()

    def ask_to_end(self) -> None:
        """It ends when its task, if it has one, looks at its time."""
        self._channel.end()

    def kill(self) -> None:
        """End it, whatever it does; what it was told is given up."""
        if self.pid and not self._has_ended():
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
        self._channel.close()

    def wait(self, seconds: float) -> None:
        """Wait so long for its end."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s and not self._has_ended(until_s - time.monotonic()):
            pass

    def _has_ended(self, seconds: float = 0) -> bool:
        """Whether its end of the socket is closed; what it still says is dropped."""
        try:
            while self._channel.waits(max(0.0, seconds)):
                self._channel.receive()
        except Exception:  # noqa: BLE001 - a torn message is an end too
            return True
        return False


def start_workers(
    count: int, setup: Setup, entry: str = "", variables: Mapping[str, str] | None = None
) -> tuple[list[Worker], subprocess.Popen[bytes]]:
    """So many processes, which are ready later; the first of them, whose children the others are.

    `entry`: another module whose `main` they run; `variables`: for them. Raises `OSError` when
    there can be no process.
    """
    with contextlib.ExitStack() as mine, contextlib.ExitStack() as theirs:
        pairs = [_pair(mine, theirs) for _ in range(count)]
        descriptors = [end.fileno() for _, end in pairs]
        process = _first_process(descriptors, entry or ENTRY, variables or {})
        mine.pop_all()
    return [Worker(Channel(end), setup) for end, _ in pairs], process


def _pair(
    mine: contextlib.ExitStack, theirs: contextlib.ExitStack
) -> tuple[socket.socket, socket.socket]:
    """Both ends of a socket, each closed by its owner."""
    one, other = socket.socketpair()
    return mine.enter_context(one), theirs.enter_context(other)


def _first_process(
    descriptors: Sequence[int], entry: str, variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    given = f"{list(descriptors)}, {NICENESS - START_NICENESS}"
    code = (
        f"import os, sys; sys.path[:] = {sys.path!r}; os.nice({START_NICENESS})\n"
        "from narfi.core.memory import give_back_early, leave_libraries_out\n"
        "give_back_early(); leave_libraries_out()\n"
        f"from {entry} import main; main({given})\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment |= variables
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        pass_fds=descriptors,
        env=environment,
    )
