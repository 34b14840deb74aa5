"""How is one call among many made to fail? Statements, Python calls and system calls, by number.

Each kind counts its calls while an operation runs undisturbed, which gives its points; then it
makes one of them fail. Disk, transactions and clock have seams of their own; these three need none:
SQLAlchemy tells of every statement, and the interpreter of every call.
"""

import contextlib
import errno
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa

ROOT = str(Path(__file__).parents[2])
PRODUCT = tuple(
    f"{ROOT}/{part}/" for part in ("storage", "ingester", "querier", "upkeep", "logql", "narfi")
)
OBJECT_READS = ("get", "open", "size", "list")
SYSTEM_READS = ("open", "read", "readinto", "readall", "stat", "listdir", "scandir", "pread")


@dataclass
class Statements:
    """Every statement of any connection, read or write; the chosen one fails in the driver."""

    fail_at: int = -1
    error: Callable[[], BaseException] = lambda: sqlite3.OperationalError("disk I/O error")
    count: int = 0

    def _step(self, *_: Any) -> None:
        number, self.count = self.count, self.count + 1
        if number == self.fail_at:
            raise self.error()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While the block runs."""
        names = ("do_execute", "do_execute_no_params", "do_executemany")
        for name in names:
            sa.event.listen(sa.Engine, name, self._step)
        try:
            yield
        finally:
            for name in names:
                sa.event.remove(sa.Engine, name, self._step)


Point = tuple[str, int]
"""A function or system call by name, and how many calls of it went before."""
Choose = Callable[[FrameType, str, Any], str | None]


def product_calls(frame: FrameType, event: str, _: Any) -> str | None:
    """Calls of functions of ours: where memory for a frame, and what it makes, is taken."""
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(PRODUCT):
        return None
    return f"{code.co_filename[len(ROOT) + 1 :]}:{code.co_qualname}"


def reads(frame: FrameType, event: str, callee: Any) -> str | None:
    """System calls that read files, made for a function of ours; reads of objects."""
    code = frame.f_code
    if event == "call":
        if code.co_filename.endswith("/objects/filesystem.py") and code.co_name in OBJECT_READS:
            return f"objects.{code.co_name}"
        return None
    if event != "c_call" or callee.__name__ not in SYSTEM_READS:
        return None
    caller: FrameType | None = frame
    while caller is not None and caller.f_code.co_filename.endswith(("pathlib.py", "glob.py")):
        caller = caller.f_back
    if caller is None or not caller.f_code.co_filename.startswith(PRODUCT):
        return None
    if caller.f_code.co_filename.endswith(("/objects/filesystem.py", "/storage/disk.py")):
        return None  # told above; and what opens to write
    return f"{caller.f_code.co_filename[len(ROOT) + 1 :]}:{caller.f_code.co_name}:{callee.__name__}"


@dataclass(kw_only=True)
class Calls:
    """Calls that are chosen by `choose`, of this thread; the one at `point` raises instead."""

    choose: Choose
    error: Callable[[str], BaseException] = lambda _: MemoryError("no memory")
    point: Point | None = None
    counts: Counter[str] = field(default_factory=Counter)
    struck: bool = False

    def _step(self, frame: FrameType, event: str, arg: Any) -> None:
        name = self.choose(frame, event, arg)
        if name is None:
            return
        number = self.counts[name]
        self.counts[name] += 1
        if (name, number) == self.point:
            self.struck = True
            raise self.error(name)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """While the block runs; the interpreter stops to tell when `_step` has raised."""
        sys.setprofile(self._step)
        try:
            yield
        finally:
            sys.setprofile(None)


def io_error(name: str) -> BaseException:
    """As a disk gives it that cannot read; behind the object store, as the store tells it."""
    from storage.objects.base import ObjectError

    if name.startswith("objects."):
        return ObjectError("object cannot be read: Input/output error")
    return OSError(errno.EIO, os.strerror(errno.EIO))
