"""What if anything between a server and its scan processes fails? The answer is the same.

Only a task that itself has no memory fails, as it would on threads.

Each call to the socket, on either side, fails once: the other end is gone, half of a message was
sent, or there is no memory for it. Processes are threads here, so that a start takes no seconds;
`tests/querier/executors/test_processes.py` kills real ones.
"""

import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from querier.budget import Budget, Total
from querier.executors import scan_pool, scan_worker
from querier.executors.local import LocalExecutor
from querier.executors.messages import Channel, GoneError, Packed, Ready, Setup
from querier.executors.processes import ProcessExecutor
from querier.executors.scan_pool import ScanPool
from querier.executors.scan_worker import Worker, start_workers
from querier.executors.stored_blocks import StoredBlocks
from querier.scan_process import ScanProcess
from storage.block.reader import BlockSource
from storage.objects.places import objects_at
from tests.querier.executors.tasks import Hold, Pid
from tests.querier.executors.test_processes import (
    CACHE_BYTES,
    all_are_ready,
    asked,
    blocks_in,
    waits_for,
)
from tests.reference.logs import START_NS, Entry

NOBODY = 1 << 30
"""No process has this number, so nobody is hurt who is killed by it."""
HELD = 5 << 20
"""More than is lent at once, so that there is a message of each kind."""


class Failing(Channel):
    """Fails at one call of all ends together, in one way."""

    calls: Iterator[int]
    at: int
    how: str
    failed: list[str]

    def __init__(self, end: socket.socket, name: str) -> None:
        super().__init__(end)
        self._name = name

    def send_packed(self, packed: Packed) -> None:
        """Fail, or as it is."""
        if self._fails("send") and self.how == "half":
            whole = b"".join(packed.parts)
            self._end.sendall(len(packed.parts).to_bytes(4, "little"))
            self._end.sendall(len(whole).to_bytes(8, "little") + whole[: len(whole) // 2])
            self._leave()
        super().send_packed(packed)

    def receive(self) -> object:
        """Fail, or as it is."""
        if self._fails("receive") and self.how == "half":
            self._end.recv(6)
            self._leave()
        return super().receive()

    def _fails(self, call: str) -> bool:
        if next(self.calls) != self.at:
            return False
        self.failed.append(f"{self._name} {call}")
        if self.how == "memory":
            raise MemoryError
        if self.how == "gone":
            self._leave()
        return True

    def _leave(self) -> None:
        self._end.shutdown(socket.SHUT_RDWR)
        raise GoneError


class Ended:
    """What is left of a process that is a thread."""

    def poll(self) -> int:
        """Its exit status."""
        return 0

    def wait(self, timeout: float) -> int:
        """The same."""
        return 0


def started(count: int, setup: Setup) -> Any:
    """As `start_workers`."""
    workers = []
    for _ in range(count):
        mine, theirs = socket.socketpair()
        threading.Thread(target=served, args=(theirs, setup), daemon=True).start()
        workers.append(Worker(Failing(mine, "server"), setup))
    return workers, Ended()


def served(end: socket.socket, setup: Setup) -> None:
    """As a process does; whatever it raises ends it."""
    with end:
        try:
            channel = Failing(end, "process")
            channel.send(Ready(NOBODY))
            channel.receive()
            blocks = StoredBlocks(objects_at(setup.objects), setup.cache_bytes)
            ScanProcess(channel, blocks).serve()
        except (GoneError, MemoryError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the blocks."""
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def block(folder: Path) -> BlockSource:
    """A block of a few lines."""
    entries: list[Entry] = [({"app": "a"}, {}, START_NS + n, b"line %d" % n) for n in range(9)]
    (found,) = blocks_in(folder, [entries])
    assert isinstance(found, BlockSource)
    return found


@pytest.mark.parametrize("how", ["gone", "half", "memory"])
def test_each_call_to_the_socket_may_fail(
    folder: Path, block: BlockSource, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_pool, "PAUSE_S", 0.0)
    monkeypatch.setattr(Failing, "how", how, raising=False)
    met: set[str] = set()
    for at in itertools.count():
        monkeypatch.setattr(Failing, "calls", itertools.count(), raising=False)
        monkeypatch.setattr(Failing, "at", at, raising=False)
        monkeypatch.setattr(Failing, "failed", [], raising=False)
        total = Total(1 << 30)
        pool = ScanPool(2, Setup(objects=str(folder), cache_bytes=CACHE_BYTES), total, started)
        executor = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0)
        budget = Budget(total)
        waits_for(pool.is_ready)
        tasks = asked(block, [Hold((HELD, 1), 1)] * 3, budget)
        try:
            found = list(executor.leaves(*tasks))
        except MemoryError:  # of a task itself, as it would be on threads
            assert how == "memory"
            assert Failing.failed[0].startswith("process")
            waits_for(partial(is_whole, executor))
            budget.release(budget.used)  # results that nobody took
            found = list(executor.leaves(*tasks))
        assert found == [HELD] * 3, Failing.failed
        assert list(executor.apply(abs, [-1, 2, -3])) == [1, 2, 3]
        assert budget.used == 3 * HELD, Failing.failed
        waits_for(partial(is_whole, executor))
        assert total.used == budget.used + 2 * CACHE_BYTES, Failing.failed
        budget.close()
        executor.close()
        assert total.used == 0, Failing.failed
        met |= set(Failing.failed)
        if not Failing.failed:
            break
    assert met == {"server send", "server receive", "process send", "process receive"}


def is_whole(executor: ProcessExecutor) -> bool:
    """Whether all processes are there, and none has a task."""
    pool = executor.pool
    return pool.is_ready() and len(pool.pids()) == pool.count and not pool._busy


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), MemoryError(), RuntimeError()]
)
@pytest.mark.parametrize("place", ["socketpair", "second socketpair", "Popen"])
def test_where_no_process_can_be_started_threads_do_the_work(
    folder: Path,
    block: BlockSource,
    place: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No descriptor and no memory is left behind, and it is tried again after a pause."""
    whole, made = socket.socketpair, list[socket.socket]()
    most = {"socketpair": 0, "second socketpair": 2, "Popen": 4}[place]

    def pair() -> tuple[socket.socket, socket.socket]:
        if len(made) == most:
            raise error
        made.extend(whole())
        return made[-2], made[-1]

    def no_process(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "Popen", no_process)
    monkeypatch.setattr(socket, "socketpair", pair)
    total = Total(1 << 30)
    pool = ScanPool(2, Setup(objects=str(folder), cache_bytes=CACHE_BYTES), total)
    executor = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0)
    assert set(executor.leaves(*asked(block, [Pid()] * 3))) == {os.getpid()}
    assert total.used == 0
    assert len(made) == most
    assert all(end.fileno() == -1 for end in made)
    tries: list[int] = []

    def start_again(count: int, setup: Setup) -> Any:
        tries.append(count)
        return started(count, setup)

    pool._start = start_again
    assert not pool.is_ready()
    assert not tries
    pool._next_start_s = 0.0
    Failing.calls, Failing.at = itertools.count(), -1
    monkeypatch.undo()
    waits_for(pool.is_ready)
    assert tries == [2]
    executor.close()


def test_where_no_process_can_be_forked_the_first_does_the_work(
    folder: Path, block: BlockSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_worker, "ENTRY", "tests.faults.no_fork")
    pool = ScanPool(3, Setup(objects=str(folder), cache_bytes=CACHE_BYTES))
    executor = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0)
    waits_for(lambda: pool.is_ready() and not pool._starting)
    (pid,) = pool.pids()
    found = set(executor.leaves(*asked(block, [Pid()] * 9)))
    assert pid in found
    assert found <= {pid, os.getpid()}
    executor.close()


def test_a_process_that_is_killed_while_it_starts_is_tried_again(
    folder: Path, block: BlockSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    def killed_at_once(count: int, setup: Setup) -> Any:
        workers, process = start_workers(count, setup)
        process.kill()
        killed.append(process.pid)
        return workers, process

    total = Total(1 << 30)
    pool = ScanPool(2, Setup(objects=str(folder), cache_bytes=CACHE_BYTES), total, killed_at_once)
    executor = ProcessExecutor(LocalExecutor(1), pool, heavy_s=0)
    assert set(executor.leaves(*asked(block, [Pid()] * 3))) == {os.getpid()}
    waits_for(lambda: not pool.is_ready() and not pool._starting)
    assert total.used == 0
    assert len(killed) == 1
    pool._start = start_workers
    all_are_ready(executor)
    assert os.getpid() not in set(executor.leaves(*asked(block, [Pid()] * 3)))
    executor.close()
