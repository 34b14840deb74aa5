"""What do a server and its scan processes tell each other? Messages over a socket.

A message is a pickle; large arrays in it go beside it, straight from where they are and into where
they stay, so what a leaf found is not copied row by row on either side.

    server                        scan process
    Setup            →            (once)
                     ←            Ready
    Task or Call     →
                     ←            Ask           it needs more memory
    Lent or Refused  →
                     ←            GaveBack      it needs less
    Cancel           →            at any time; one that comes too late is for nothing
                     ←            Done or Failed

Invariant: behind a Task or a Call there is one Done or Failed, unless the process ends.
"""

import contextlib
import pickle
import select
import socket
import struct
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from narfi.core.errors import AppError
from querier.plan.spec import LeafSpec
from storage.catalog.base import BlockRow

BESIDE_BYTES = 1 << 16
"""An array of so many bytes goes beside its message: to copy a smaller one costs less than to wait
for it, since who reads from a socket lets the interpreter go each time."""

_COUNT = struct.Struct("<I")
_SIZE = struct.Struct("<Q")


class GoneError(Exception):
    """The other end is gone."""


class LostTaskError(Exception):
    """Whoever did the task is gone; the process that tells it is not, and takes another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a process is told first."""

    objects: str  # where the blocks are: a folder, or a URL
    cache_bytes: int  # that it may remember of blocks
    disk_cache: str = ""  # folder of a disk cache; empty: there is none
    most_given: int = 0  # bytes that wait there for the server to take them in
    shared_bytes: int = 0  # of a cache that is no server's, but of all who have the folder


@dataclass(frozen=True, slots=True)
class Ready:
    """The process can take tasks."""

    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A leaf task over a block."""

    query: int  # tasks of one number are of one query
    spec: LeafSpec[Any]
    block: BlockRow
    lent: int  # bytes that it may take without asking


@dataclass(frozen=True, slots=True)
class Call:
    """A function of plain data; it is sent by its name."""

    function: Callable[[Any], Any]
    argument: Any


@dataclass(frozen=True, slots=True)
class Ask:
    """At least so many bytes are needed; so many would spare another message."""

    needed: int
    wanted: int


@dataclass(frozen=True, slots=True)
class Lent:
    """So many bytes more may be taken."""

    size: int


@dataclass(frozen=True, slots=True)
class Refused:
    """They may not."""

    error: Exception


@dataclass(frozen=True, slots=True)
class GaveBack:
    """So many bytes less are needed."""

    size: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the task any more."""


@dataclass(frozen=True, slots=True)
class Done:
    """The partial result, of which so many bytes stay charged to the query; what it took."""

    partial: Any
    kept: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """What the task raised."""

    error: BaseException


class Packed:
    """A message ready to be sent."""

    def __init__(self, message: object) -> None:
        buffers: list[pickle.PickleBuffer] = []

        def kept_inside(buffer: pickle.PickleBuffer) -> bool:
            if buffer.raw().nbytes < BESIDE_BYTES:
                return True
            buffers.append(buffer)
            return False

        data = pickle.dumps(message, protocol=5, buffer_callback=kept_inside)
        self.parts: Sequence[memoryview] = [memoryview(data), *(one.raw() for one in buffers)]

    @property
    def nbytes(self) -> int:
        """Of all parts."""
        return sum(part.nbytes for part in self.parts)


def failure(error: BaseException) -> Failed:
    """The error as the server will raise it; one that cannot be sent is told by its text."""
    if not isinstance(error, AppError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.dumps(error, protocol=5)
    except Exception:  # noqa: BLE001 - whatever it holds
        return Failed(RuntimeError("".join(traceback.format_exception(error))))
    return Failed(error)


class Channel:
    """One end of the socket; used by one thread at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)

    def waits(self, seconds: float | None = None) -> bool:
        """Whether a message is there, or comes in that time (None: any); also when all is over."""
        return bool(self._poll.poll(None if seconds is None else seconds * 1000))

    def send(self, message: object) -> None:
        """Raises `GoneError`."""
        self.send_packed(Packed(message))

    def send_packed(self, packed: Packed) -> None:
        """As `send`."""
        sizes = b"".join(_SIZE.pack(part.nbytes) for part in packed.parts)
        try:
            self._end.sendall(_COUNT.pack(len(packed.parts)) + sizes)
            for part in packed.parts:
                self._end.sendall(part)
        except OSError as error:
            raise GoneError from error

    def receive(self) -> object:
        """Wait for a message; raises `GoneError`, and what unpickling raises."""
        (count,) = _COUNT.unpack(self._read(_COUNT.size))
        sizes = [size for (size,) in _SIZE.iter_unpack(self._read(count * _SIZE.size))]
        data, *buffers = [self._read(size) for size in sizes]
        return pickle.loads(data, buffers=buffers)

    def _read(self, size: int) -> bytearray:
        found = bytearray(size)
        left = memoryview(found)
        while left:
            try:
                count = self._end.recv_into(left, 0, socket.MSG_WAITALL)
            except OSError as error:
                raise GoneError from error
            if not count:
                raise GoneError
            left = left[count:]
        return found

    def end(self) -> None:
        """Nothing more is sent: the other end hears of it."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """The other end hears of it."""
        self._end.close()
