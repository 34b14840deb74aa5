"""How do journal and objects change the disk? Through a seam in which a test makes calls fail.

`SystemDisk` calls the operating system. Methods raise `OSError` and nothing else of their own.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """The calls that change files, each a place where a disk can be full, broken or slow."""

    def create(self, path: Path) -> int:
        """A descriptor of a new, empty file for writing; an old one of the name is emptied."""
        ...

    def open(self, path: Path) -> int:
        """A descriptor for writing of a file that may be there already, which stays as it is."""
        ...

    def overwrite(self, descriptor: int, data: bytes) -> None:
        """Write at the beginning of the file, over what is there."""
        ...

    def write(self, descriptor: int, pieces: Sequence[bytes | memoryview]) -> int:
        """Write all bytes at the descriptor's position; how many they were."""
        ...

    def sync(self, descriptor: int) -> None:
        """Return when the file's content is durable."""
        ...

    def cut(self, descriptor: int, size: int) -> None:
        """Shorten the file to `size` bytes and go on writing there."""
        ...

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        ...

    def make_folder(self, path: Path) -> None:
        """Create a folder and those above it; one that exists is no error."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Move a file; a file of that name is replaced."""
        ...

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second name, or `FileExistsError`."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file; a missing one is no error."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Return when the folder's names are durable."""
        ...


class SystemDisk:
    """The disk of the machine."""

    def create(self, path: Path) -> int:
        """Open a new file."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def open(self, path: Path) -> int:
        """Open or make a file."""
        return os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)

    def overwrite(self, descriptor: int, data: bytes) -> None:
        """Few bytes at offset 0."""
        os.pwrite(descriptor, data, 0)

    def write(self, descriptor: int, pieces: Sequence[bytes | memoryview]) -> int:
        """Write every byte: a short write is continued."""
        total = sum(len(piece) for piece in pieces)
        written = os.writev(descriptor, pieces)
        if written < total:
            rest = memoryview(b"".join(pieces))[written:]
            while len(rest):
                rest = rest[os.write(descriptor, rest) :]
        return total

    def sync(self, descriptor: int) -> None:
        """Sync content and size."""
        os.fdatasync(descriptor)

    def cut(self, descriptor: int, size: int) -> None:
        """Truncate and seek to the new end."""
        os.ftruncate(descriptor, size)
        os.lseek(descriptor, size, os.SEEK_SET)

    def close(self, descriptor: int) -> None:
        """Close."""
        os.close(descriptor)

    def make_folder(self, path: Path) -> None:
        """Create with parents."""
        path.mkdir(parents=True, exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Rename within the file system."""
        source.rename(target)

    def link(self, source: Path, target: Path) -> None:
        """Link within the file system."""
        target.hardlink_to(source)

    def unlink(self, path: Path) -> None:
        """Remove."""
        path.unlink(missing_ok=True)

    def sync_folder(self, path: Path) -> None:
        """Sync a directory."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


SYSTEM_DISK = SystemDisk()
