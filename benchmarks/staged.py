"""Where does a push spend its time inside the server? A server with clocks around its steps.

`python -m benchmarks.staged serve …` is `narfi serve`. Each push, each flush, each time that memory
was given back and each full run of the collector becomes a line of JSON in the file that
`STAGES_FILE` names.
Times are `time.perf_counter` of the machine, so a client on it may compare them with its own.
"""

import gc
import json
import os
import threading
import time
import zlib
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import ingester.http_api.push as route
import ingester.service as service
import narfi.server.wiring as wiring
from ingester.commit import Ledger
from ingester.flush import Flusher
from ingester.service import PushService
from narfi.cli.main import main
from narfi.core.trim import Trim, give_back
from storage.disk import SystemDisk
from storage.journal.file import FileJournal

VARIABLE = "STAGES_FILE"
KEY_BYTES = 4096
"""So much of a body tells it from others."""

_room: ContextVar[tuple[float, float]] = ContextVar("room", default=(0.0, 0.0))
_here = threading.local()
_arrived: dict[int, tuple[float, float]] = {}


def key_of(body: bytes) -> int:
    """What a client and the server call the same body."""
    return zlib.crc32(body[:KEY_BYTES])


def _timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; its seconds are added to the push of this thread."""

    def call(*args: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            stages = getattr(_here, "stages", None)
            if stages is not None:
                stages[name] = stages.get(name, 0.0) + time.perf_counter() - began

    return call


def watch(path: Path) -> None:
    """Put clocks around the steps."""
    sink, lock = path.open("a", buffering=1), threading.Lock()

    def write(what: dict[str, float]) -> None:
        with lock:
            sink.write(json.dumps(what) + "\n")

    wait_for_room, push, make = PushService.wait_for_room, PushService.push, service.PushRequest
    flush = Flusher._flush

    async def waiting(self: PushService, tenant: Any) -> None:
        began = time.perf_counter()
        await wait_for_room(self, tenant)
        _room.set((began, time.perf_counter()))

    def made(**named: Any) -> Any:
        _arrived[key_of(named["body"])] = _room.get()
        return make(**named)

    def pushed(self: PushService, tenant: Any, request: Any) -> None:
        key, began, cpu = key_of(request.body), time.perf_counter(), time.thread_time()
        stages = _here.stages = {}
        try:
            push(self, tenant, request)
        finally:
            _here.stages = None
            came, had_room = _arrived.pop(key)
            write(
                {
                    "key": key,
                    "came": came,
                    "had_room": had_room,
                    "began": began,
                    "ended": time.perf_counter(),
                    "cpu": time.thread_time() - cpu,
                    **stages,
                }
            )

    def flushed(self: Flusher, parts: Any) -> int:
        size = sum(part.bytes for part in parts)
        began, cpu = time.perf_counter(), time.thread_time()
        stages = _here.stages = {}
        try:
            return flush(self, parts)
        finally:
            _here.stages = None
            ended = time.perf_counter()
            spent = time.thread_time() - cpu
            write({"flushed": size, "began": began, "ended": ended, "cpu": spent, **stages})

    def trimmed() -> None:
        began, cpu = time.perf_counter(), time.thread_time()
        give_back()
        spent = time.thread_time() - cpu
        write({"trimmed": 1, "began": began, "ended": time.perf_counter(), "cpu": spent})

    def collected(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            _here.collecting = time.perf_counter()
        elif info["generation"] == 2:
            write({"collected": 1, "began": _here.collecting, "ended": time.perf_counter()})

    gc.callbacks.append(collected)
    vars(wiring)["Trim"] = partial(Trim, give_back=trimmed)
    vars(route)["PushRequest"] = made
    for name, steps in {
        "decode": ("admit", "decode"),
        "judge": ("validate", "enrich", "batch_of"),
    }.items():
        for step in steps:
            vars(service)[step] = _timed(name, vars(service)[step])
    for kind, name, changed in (
        (PushService, "wait_for_room", waiting),
        (PushService, "push", pushed),
        (Flusher, "_flush", flushed),
        (FileJournal, "append", _timed("journal", FileJournal.append)),
        (FileJournal, "_commit", _timed("commit", FileJournal._commit)),
        (FileJournal, "_open_segment", _timed("segment", FileJournal._open_segment)),
        (SystemDisk, "write", _timed("write", SystemDisk.write)),
        (SystemDisk, "sync", _timed("sync", SystemDisk.sync)),
        (Ledger, "apply", _timed("visible", Ledger.apply)),
    ):
        setattr(kind, name, changed)


if __name__ == "__main__":
    watch(Path(os.environ[VARIABLE]))
    main()
