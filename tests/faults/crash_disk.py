"""A disk that fails when told, and that loses at a power failure what was not synced.

`CrashDisk` does what `SystemDisk` does and keeps a list of what is not durable yet: bytes behind a
file's last sync, names whose folder was not synced, removals. `power_off` keeps or takes back each
of these by chance, as a real disk may.
"""

import errno
import os
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from storage.disk import SystemDisk

KINDS = (errno.ENOSPC, errno.EIO)


@dataclass
class _File:
    """What is known of a file that was opened for writing."""

    path: Path
    durable: bytes | None  # of an overwritten file: its content at the last sync
    synced: int = 0  # bytes


class Always(random.Random):
    """At a power failure everything goes that may go."""

    def random(self) -> float:
        """Each change is taken back."""
        return 0.0

    def randint(self, a: int, b: int) -> int:
        """As little as may be stays of a file."""
        return min(a, b)


class CrashDisk(SystemDisk):
    """One process's disk; `arm` makes a later call fail, once or from then on."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._unsynced: dict[Path, _File] = {}
        self._names: list[tuple[Path, Callable[[], None]]] = []  # (folder, takes it back)
        self.calls = 0
        self._fail_at = -1
        self._error: BaseException = OSError(errno.EIO, os.strerror(errno.EIO))

    def arm(self, calls_from_now: int, code: int) -> None:
        """The call after so many others raises `OSError(code)`, once."""
        self.arm_error(calls_from_now, OSError(code, os.strerror(code)))

    def arm_error(self, calls_from_now: int, error: BaseException) -> None:
        """The call after so many others raises this, once."""
        self._fail_at, self._error = self.calls + calls_from_now, error

    def disarm(self) -> None:
        """No call fails any more."""
        self._fail_at = -1

    def _call(self) -> None:
        number, self.calls = self.calls, self.calls + 1
        if number == self._fail_at:
            raise self._error

    def create(self, path: Path) -> int:
        """As the system's; the name is not durable yet."""
        self._call()
        was_there = path.exists()
        descriptor = super().create(path)
        found = self._files[descriptor] = _File(path, None)
        self._unsynced[path] = found
        if not was_there:
            self._names.append((path.parent, lambda: path.unlink(missing_ok=True)))
        return descriptor

    def open(self, path: Path) -> int:
        """As the system's."""
        self._call()
        content = path.read_bytes() if path.exists() else b""
        before = self._unsynced.get(path)  # another process changed it and did not sync
        if before is not None and before.durable is not None:
            content = before.durable
        descriptor = super().open(path)
        self._files[descriptor] = _File(path, content, len(content))
        return descriptor

    def overwrite(self, descriptor: int, data: bytes) -> None:
        """As the system's."""
        self._call()
        super().overwrite(descriptor, data)
        found = self._files[descriptor]
        self._unsynced[found.path] = found

    def write(self, descriptor: int, pieces: Sequence[bytes | memoryview]) -> int:
        """As the system's; a failing one leaves half of the bytes."""
        try:
            self._call()
        except BaseException:
            whole = b"".join(pieces)
            super().write(descriptor, [whole[: len(whole) // 2]])
            raise
        size = super().write(descriptor, pieces)
        if (found := self._files.get(descriptor)) is not None:
            self._unsynced[found.path] = found
        return size

    def sync(self, descriptor: int) -> None:
        """As the system's."""
        self._call()
        found = self._files.get(descriptor)
        if found is None:
            return
        found.synced = os.fstat(descriptor).st_size
        if found.durable is not None:
            found.durable = found.path.read_bytes()
        self._unsynced.pop(found.path, None)

    def cut(self, descriptor: int, size: int) -> None:
        """As the system's."""
        self._call()
        super().cut(descriptor, size)

    def close(self, descriptor: int) -> None:
        """As the system's; never fails here."""
        self._files.pop(descriptor, None)
        super().close(descriptor)

    def make_folder(self, path: Path) -> None:
        """As the system's."""
        self._call()
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        super().make_folder(path)
        for folder in reversed(made):
            self._names.append((folder.parent, partial(shutil.rmtree, folder, True)))

    def rename(self, source: Path, target: Path) -> None:
        """As the system's; the new name is not durable yet."""
        self._call()
        replaced = target.read_bytes() if target.exists() else None
        super().rename(source, target)
        self._names.append((target.parent, lambda: _rename_back(target, source, replaced)))

    def link(self, source: Path, target: Path) -> None:
        """As the system's; the new name is not durable yet."""
        self._call()
        super().link(source, target)
        self._names.append((target.parent, lambda: target.unlink(missing_ok=True)))

    def unlink(self, path: Path) -> None:
        """As the system's; the removal is not durable yet."""
        self._call()
        if path.exists():
            content = path.read_bytes()
            self._names.append((path.parent, lambda: _write_again(path, content)))
        super().unlink(path)

    def sync_folder(self, path: Path) -> None:
        """As the system's."""
        self._call()
        path.stat()  # as the system's: a folder that is not there is an error
        self._names = [(folder, back) for folder, back in self._names if _stands(folder) != path]

    def power_off(self, chance: random.Random) -> None:
        """What was not durable stays or goes, each by chance; descriptors are closed."""
        for _, take_back in reversed(self._names):
            if chance.random() < 0.5:
                take_back()
        for path, found in self._unsynced.items():
            if not path.exists():
                continue
            if found.durable is not None:
                if chance.random() < 0.5:
                    path.write_bytes(found.durable)
                continue
            size = path.stat().st_size
            if size > found.synced:
                os.truncate(path, chance.randint(found.synced, size))
        self._names, self._unsynced = [], {}
        self.kill()

    def kill(self) -> None:
        """The process ends, and the machine runs on: what was written may still become lost."""
        for descriptor in list(self._files):
            self.close(descriptor)


def _stands(folder: Path) -> Path:
    """The folder whose sync makes durable what changed in this one, or that this one is gone."""
    while not folder.exists():
        folder = folder.parent
    return folder


def _rename_back(target: Path, source: Path, replaced: bytes | None) -> None:
    if target.exists() and source.parent.exists():
        target.rename(source)
        if replaced is not None:
            target.write_bytes(replaced)


def _write_again(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
