"""How do leaf tasks come to a Ray cluster? A process between the server and long-lived actors.

To the server it is a few scan processes (querier/executors/messages.py): each end of a socket has a
thread, which gives a task to its actor and waits. Whatever Ray does to a process whose cluster goes
away, it does to this one. Actors are named, so the bridges of several queriers share them, and what
they remember of blocks; they end with the bridge that made them, and are made again.
Functions that are called there (merges) are tasks of the cluster, each in whatever process has
nothing to do: none is kept for them.
Only this module imports Ray. What an actor is sent and sends is pickled here: Ray's own arrays may
not be written to, those of partial results are.
"""

import contextlib
import itertools
import logging
import math
import os
import pickle
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import ray

from narfi.core.kernels.on_demand import load_on_demand
from narfi.core.trim import Trim
from querier.budget import Budget
from querier.executors.messages import (
    Ask,
    Call,
    Cancel,
    Channel,
    Done,
    Failed,
    GoneError,
    Lent,
    LostTaskError,
    Packed,
    Ready,
    Refused,
    Setup,
    Task,
    failure,
)
from querier.executors.ray import ADDRESS, CALLS_ONLY, TASKS_AT_ONCE
from querier.executors.stored_blocks import StoredBlocks, objects_of

NAMESPACE = "narfi"
REMOTE: Any = ray.remote
"""Untyped, since the types that Ray gives know not all options."""
LOOK_S = 0.1
"""While a task runs, between two looks whether it is still wanted."""
READY_S = 110.0
"""For an actor to be there; who waits for a machine that is to be started is asked again later."""
HEAD_S = 2.0
"""Between two looks whether the cluster's head is there."""
MOST_SILENT = 3
"""Looks in vain before the cluster is taken for gone."""


BEGIN_S = 30.0
"""For a called function to begin; where all processors are taken, it is not waited for."""


def called(data: bytes) -> Iterator[bytes]:
    """A function of plain data, in a process of the cluster: that it begins, then its message."""
    yield b""
    load_on_demand()
    began_s, call = time.thread_time(), pickle.loads(data)
    try:
        found = call.function(call.argument)
        done = Done(found, 0, time.thread_time() - began_s)
        yield pickle.dumps(done, protocol=5)
    except Exception as error:  # noqa: BLE001 - the server raises it
        yield pickle.dumps(failure(error), protocol=5)
    finally:
        Trim().run()


class ScanActor:
    """Runs leaf tasks, one at a time, in a process of the cluster."""

    def __init__(self) -> None:
        self._blocks: dict[Setup, StoredBlocks] = {}
        self._budgets: dict[str, Budget] = {}
        self._cancelled: set[str] = set()
        self._trim = Trim()

    def ready(self) -> int:
        """Its pid, once kernels can be called."""
        load_on_demand()
        return os.getpid()

    def run(self, name: str, data: bytes) -> bytes:
        """The message `Done` or `Failed` of a task; `data`: its setup, the task, and its query."""
        setup, task, query = pickle.loads(data)
        budget = self._budgets[name] = task.spec.allowance.budget(time.time_ns())
        try:
            if name in self._cancelled:
                budget.cancel()
            blocks, began_s = self._of(setup), time.thread_time()
            found = blocks.run(task, budget, query)
            done = Done(found, budget.used, time.thread_time() - began_s)
            return pickle.dumps(done, protocol=5)
        except Exception as error:  # noqa: BLE001 - the server raises it
            return pickle.dumps(failure(error), protocol=5)
        finally:
            del self._budgets[name]
            self._cancelled.discard(name)
            self._trim.run()

    def _of(self, setup: Setup) -> StoredBlocks:
        found = self._blocks.get(setup)
        if found is None:
            found = StoredBlocks(objects_of(setup), setup.cache_bytes)
            self._blocks = {setup: found}  # of one store at a time
        return found

    def cancel(self, name: str) -> None:
        """Nobody waits for the task; called beside `run`, which looks at its budget often."""
        self._cancelled.add(name)
        budget = self._budgets.get(name)
        if budget is not None:
            budget.cancel()
        elif len(self._cancelled) > 1000:
            self._cancelled.clear()  # of tasks that had ended


class Place:
    """Where an actor is, made again when it is gone; shared by threads."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._actor: Any = None
        self._lock = threading.Lock()

    def actor(self) -> Any:
        """One that can take tasks; raises `RayError` when there is none in time."""
        with self._lock:
            until_s = time.monotonic() + READY_S
            while self._actor is None:
                actor = self._made()
                try:
                    ray.get(actor.ready.remote(), timeout=READY_S)
                except ray.exceptions.GetTimeoutError:
                    raise
                except ray.exceptions.RayError:
                    if time.monotonic() > until_s:  # the name of a dead one stays for a moment
                        raise
                    time.sleep(LOOK_S)
                else:
                    self._actor = actor
            return self._actor

    def _made(self) -> Any:
        """The actor of that number, made when there is none; of this version of the program."""
        remote = REMOTE(num_cpus=1, concurrency_groups={"control": 1})(ScanActor)
        name = f"scan-{version('narfi')}-{self._number}"
        return remote.options(name=name, namespace=NAMESPACE, get_if_exists=True).remote()

    def lose(self, actor: Any) -> None:
        """That one is gone."""
        with self._lock:
            if self._actor is actor:
                self._actor = None


class CallBridge:
    """One end of a socket to the server, which has functions called; one thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def serve(self) -> None:
        """Until the server is gone."""
        try:
            self._channel.send(Ready(os.getpid()))
            setup = self._channel.receive()
            assert isinstance(setup, Setup)
            while True:
                message = self._channel.receive()
                if isinstance(message, Call):
                    self._channel.send(self._done(message))
        except GoneError:
            self._channel.end()
            self._channel.close()

    def _done(self, call: Call) -> Done | Failed:
        remote = REMOTE(num_cpus=1, max_retries=0, num_returns="streaming")(called)
        stream = remote.remote(pickle.dumps(call, protocol=5))
        try:
            if self._comes(stream, time.monotonic() + BEGIN_S):
                ray.get(next(stream))
                if self._comes(stream):
                    found = pickle.loads(ray.get(next(stream)))
                    assert isinstance(found, Done | Failed)
                    return found
            ray.cancel(stream, force=True)
        except (ray.exceptions.RayError, GoneError):
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(stream, force=True)
        return Failed(LostTaskError())

    def _comes(self, stream: Any, until_s: float = math.inf) -> bool:
        """Wait for the next item; false when nobody wants it any more, or it takes too long."""
        while not ray.wait([stream], timeout=LOOK_S)[0]:
            if self._channel.waits(0) and isinstance(self._channel.receive(), Cancel):
                return False
            if time.monotonic() > until_s:
                return False
        return True


class Bridge:
    """One end of a socket to the server, and an actor that does its tasks; one thread."""

    def __init__(
        self, channel: Channel, place: Place, origin: str, numbers: "itertools.count[int]"
    ) -> None:
        self._channel, self._place, self._origin, self._numbers = channel, place, origin, numbers

    def serve(self) -> None:
        """Until the server is gone, or there is no actor."""
        try:
            self._place.actor()
            self._channel.send(Ready(os.getpid()))
            setup = self._channel.receive()
            assert isinstance(setup, Setup)
            while True:
                message = self._channel.receive()
                if isinstance(message, Task):
                    self._answer(setup, message)
        except (GoneError, ray.exceptions.RayError):
            self._channel.end()
            self._channel.close()

    def _answer(self, setup: Setup, task: Task) -> None:
        actor = self._place.actor()
        try:
            found = self._done(actor, setup, task)
        except ray.exceptions.RayError:
            self._place.lose(actor)
            found = Failed(LostTaskError())
        if isinstance(found, Done) and found.kept > task.lent:
            refused = self._borrow(found.kept - task.lent)
            found = found if refused is None else Failed(refused.error)
        self._channel.send_packed(Packed(found))

    def _done(self, actor: Any, setup: Setup, task: Task) -> Done | Failed:
        name = f"{self._origin}-{next(self._numbers)}"
        query = f"{self._origin}-{task.query}"
        data = pickle.dumps((setup, task, query), protocol=5)
        result = actor.run.remote(name, data)
        while not ray.wait([result], timeout=LOOK_S)[0]:
            if self._channel.waits(0) and isinstance(self._channel.receive(), Cancel):
                actor.cancel.options(concurrency_group="control").remote(name)
        found = pickle.loads(ray.get(result))
        assert isinstance(found, Done | Failed)
        return found

    def _borrow(self, size: int) -> Refused | None:
        """What a partial result holds is charged to the query before the server has it."""
        self._channel.send(Ask(size, size))
        while True:
            match self._channel.receive():
                case Lent():
                    return None
                case Refused() as refused:
                    return refused


def watch_head() -> None:
    """End this process when the cluster's head cannot be reached any more."""
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    silent = 0
    while silent < MOST_SILENT:
        time.sleep(HEAD_S)
        try:
            socket.create_connection((host, int(port)), HEAD_S).close()
        except OSError:
            silent += 1
        else:
            silent = 0
    os._exit(1)


def bridges(channels: Sequence[Channel]) -> Sequence[Bridge | CallBridge]:
    """What serves each channel: calls, or leaf tasks, for which some channels share an actor."""
    if os.environ.get(CALLS_ONLY):
        return [CallBridge(channel) for channel in channels]
    origin, numbers = uuid.uuid4().hex, itertools.count()
    places = [Place(number) for number in range(-(-len(channels) // TASKS_AT_ONCE))]
    return [
        Bridge(channel, places[number // TASKS_AT_ONCE], origin, numbers)
        for number, channel in enumerate(channels)
    ]


def main(descriptors: Sequence[int], nicer: int) -> None:
    """A thread for each end of a socket, until all of them ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server decides when it ends
    channels = [Channel(socket.socket(fileno=number)) for number in descriptors]
    try:
        ray.init(
            os.environ[ADDRESS],
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, there is no cluster
        told = str(error).splitlines()
        print(f"no Ray cluster: {told[0] if told else error!r}", file=sys.stderr)  # noqa: T201
        os._exit(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Ray tells there what the server tells itself
    threads = [threading.Thread(target=bridge.serve) for bridge in bridges(channels)]
    threading.Thread(target=watch_head, daemon=True).start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)
