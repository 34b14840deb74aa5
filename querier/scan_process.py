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
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path

from narfi.core.errors import AppError
from narfi.core.kernels.on_demand import load_on_demand
from narfi.core.trim import Trim, give_back
from querier.executors.leaf import LeafContext, SourceOpener, run_leaf
from querier.executors.lent_memory import LentMemory, TaskBudget
from querier.executors.messages import (
    Ask,
    Call,
    Cancel,
    Channel,
    Done,
    Failed,
    GaveBack,
    GoneError,
    Lent,
    Packed,
    Ready,
    Refused,
    Setup,
    Task,
)
from querier.http_api.encode import print_series
from querier.logs.leaves import FindRows
from querier.metrics.samples import RangeSamples
from querier.metrics.stream_counts import CountRows
from querier.operators.pipeline import Pipeline
from querier.plan.spec import ScanSpec
from storage.block.opening import BlockIndex
from storage.block.reader import open_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectStore
from storage.objects.places import objects_at
from storage.scan import LogSource

COMPUTED = (FindRows, RangeSamples, CountRows, print_series)
"""What tasks compute, mostly: imported before the others are forked."""
KNOWN_QUERIES = 4
"""Queries whose opened blocks and prepared stages are kept, of those that are served in turn."""
KNOWN_SOURCES = 4
"""Of a query: its tasks go from block to block."""
REST_S = 5.0
"""Without a task for so long, freed memory is given back; the cache stays."""
INDEX_SHARE = 4
"""Part of the cache's bytes for what is known of blocks without their columns."""
OOM_SCORE = 500
"""Where memory runs out the system ends a scan process first: its task is done again."""


class _Known:
    """What tasks of one query have in common."""

    def __init__(self, open_row: Callable[[BlockRow], LogSource]) -> None:
        self.rows: dict[str, BlockRow] = {}
        self.opener = SourceOpener(lambda block_id: open_row(self.rows[block_id]), KNOWN_SOURCES)
        self.pipelines: dict[ScanSpec, Pipeline] = {}


class Blocks:
    """Blocks that are read, and what is remembered of them."""

    def __init__(self, objects: ObjectStore, cache_bytes: int) -> None:
        self._objects = objects
        index_bytes = cache_bytes // INDEX_SHARE
        self._indexes: ByteCache[BlockIndex] = ByteCache(index_bytes)
        self._columns: ByteCache[object] = ByteCache(cache_bytes - index_bytes)

    def open(self, row: BlockRow) -> LogSource:
        """Raises as `open_block`."""
        return open_block(row, self._objects, self._indexes, self._columns)


class ScanProcess:
    """The process behind its end of the socket; one thread."""

    def __init__(self, channel: Channel, blocks: Blocks) -> None:
        self._channel, self._blocks = channel, blocks
        self._queries: OrderedDict[int, _Known] = OrderedDict()
        self._trim = Trim()
        self._cancelled = False

    def serve(self) -> None:
        """Run tasks; raises `GoneError` when the server is gone."""
        while True:
            if not self._channel.waits(REST_S):
                self._queries.clear()
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
            packed = _packed_error(error)
        self._channel.send_packed(packed)

    def _run(self, task: Task) -> Packed:
        memory = LentMemory(task.lent, self._ask, lambda size: self._channel.send(GaveBack(size)))
        budget = TaskBudget(memory, self._is_cancelled)
        known = self._known(task)
        context = LeafContext(budget, known.opener, known.pipelines)
        began_s = time.thread_time()
        found = run_leaf(task.spec, context)
        packed = Packed(Done(found, budget.used, time.thread_time() - began_s))
        budget.charge(packed.nbytes)  # it is there twice until the server has it
        return packed

    def _known(self, task: Task) -> _Known:
        known = self._queries.get(task.query)
        if known is None:
            known = self._queries[task.query] = _Known(self._blocks.open)
            while len(self._queries) > KNOWN_QUERIES:
                self._queries.popitem(last=False)
        self._queries.move_to_end(task.query)
        known.rows[task.block.block_id] = task.block
        return known

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


def _packed_error(error: BaseException) -> Packed:
    """The error as the server will raise it; one that cannot be sent is told by its text."""
    if not isinstance(error, AppError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        return Packed(Failed(error))
    except Exception:  # noqa: BLE001 - whatever it holds
        return Packed(Failed(RuntimeError("".join(traceback.format_exception(error)))))


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
    os.nice(nicer)
    _be_ended_first()
    channel = Channel(mine)
    try:
        channel.send(Ready(os.getpid()))
        setup = channel.receive()
        assert isinstance(setup, Setup)
        ScanProcess(channel, Blocks(objects_at(setup.objects), setup.cache_bytes)).serve()
    except GoneError:
        os._exit(0)


def _be_ended_first() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # some containers have that file for reading alone
            Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
