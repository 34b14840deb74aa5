"""What does a scan process do? It runs leaf tasks over blocks, one by one, until it is told to end.

It knows nothing but what it is told (querier/executors/messages.py), and reads blocks from where
they are. It serves nobody else, so what a task takes of the interpreter it takes from no request.
It ends when its end of the socket says so: when the server closes it, or dies.
The first process imports everything and forks the others, while it has one thread: what they have
in common is in memory once.
"""

import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from narfi.core.kernels.on_demand import load_on_demand
from narfi.core.trim import Trim, give_back
from querier.executors.lent_memory import LentMemory, TaskBudget
from querier.executors.messages import (
    Ask,
    Call,
    Cancel,
    Channel,
    Done,
    GaveBack,
    GoneError,
    Lent,
    Packed,
    Ready,
    Refused,
    Setup,
    Task,
    failure,
)
from querier.executors.stored_blocks import StoredBlocks, objects_of
from querier.http_api.encode import print_series
from querier.logs.leaves import FindRows
from querier.metrics.samples import RangeSamples
from querier.metrics.stream_counts import CountRows

COMPUTED = (FindRows, RangeSamples, CountRows, print_series)
"""What tasks compute, mostly: imported before the others are forked."""
REST_S = 5.0
"""Without a task for so long, freed memory is given back; the cache stays."""
OOM_SCORE = 500
"""Where memory runs out the system ends a scan process first: its task is done again."""


class ScanProcess:
    """The process behind its end of the socket; one thread."""

    def __init__(self, channel: Channel, blocks: StoredBlocks) -> None:
        self._channel, self._blocks = channel, blocks
        self._trim = Trim()
        self._cancelled = False

    def serve(self) -> None:
        """Run tasks; raises `GoneError` when the server is gone."""
        while True:
            if not self._channel.waits(REST_S):
                self._blocks.forget_queries()
                gc.collect()
                give_back()
            message = self._channel.receive()
            if isinstance(message, Task | Call):
                self._answer(message)
                self._trim.run()

    def _answer(self, asked: Task | Call) -> None:
        self._cancelled = False
        try:
            packed = self._run(asked) if isinstance(asked, Task) else _called(asked)
        except GoneError:
            raise
        except BaseException as error:  # noqa: BLE001 - the server raises it
            packed = Packed(failure(error))
        self._channel.send_packed(packed)

    def _run(self, task: Task) -> Packed:
        memory = LentMemory(task.lent, self._ask, lambda size: self._channel.send(GaveBack(size)))
        budget = TaskBudget(memory, self._is_cancelled)
        began_s = time.thread_time()
        found = self._blocks.run(task, budget)
        packed = Packed(Done(found, budget.used, time.thread_time() - began_s))
        budget.charge(packed.nbytes)  # it is there twice until the server has it
        return packed

    def _ask(self, needed: int, wanted: int) -> int:
        self._channel.send(Ask(needed, wanted))
        while True:
            match self._channel.receive():
                case Lent(size):
                    return size
                case Refused(error):
                    raise error
                case Cancel():
                    self._cancelled = True

    def _is_cancelled(self) -> bool:
        while not self._cancelled and self._channel.waits(0):
            self._cancelled = isinstance(self._channel.receive(), Cancel)
        return self._cancelled


def _called(call: Call) -> Packed:
    began_s = time.thread_time()
    return Packed(Done(call.function(call.argument), 0, time.thread_time() - began_s))


def main(descriptors: Sequence[int], nicer: int) -> None:
    """A process for each end of a socket: this one, and those that it forks, so much nicer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server decides when it ends
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that are forked
    load_on_demand()
    gc.collect()
    gc.freeze()
    ends = [socket.socket(fileno=number) for number in descriptors]
    mine, *others = ends
    with contextlib.suppress(OSError):  # the system has no more: those that are there do the work
        for end in others:
            if os.fork() == 0:
                mine = end
                break
    for end in ends:
        if end is not mine:
            end.close()
    _be_ended_first()
    channel = Channel(mine)
    try:
        channel.send(Ready(os.getpid()))
        setup = channel.receive()
        assert isinstance(setup, Setup)
        process = ScanProcess(channel, StoredBlocks(objects_of(setup), setup.cache_bytes))
        os.nice(nicer)  # not before: until it is ready, heavy queries are in the way of all
        process.serve()
    except GoneError:
        os._exit(0)


def _be_ended_first() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some containers have that file for reading alone
            Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
