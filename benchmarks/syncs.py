"""How long does a journal's commit wait for the disk, by the way it is written and by what else is?

`python -m benchmarks.syncs FOLDER` appends records to files on the disk of the folder, in several
ways side by side, so that each sees the same disk, while somebody else does nothing, writes blocks
as a flush does, deletes large files, or writes without ever syncing. It prints milliseconds of a
commit. Ways: `append` (as the journal does), `allocated` (room for the whole file is asked for
first), `recycled` (over an old file: no commit of the file system is needed), `direct` (the same
past the page cache).
"""

import argparse
import mmap
import os
import random
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

KB, MB = 1 << 10, 1 << 20
RECORD_BYTES = 384 * KB
FILE_BYTES = 64 * MB
BLOCK_BYTES = (1500 * KB, 1200 * KB, 600 * KB, 300 * KB, 100 * KB, 8 * KB, 4 * KB)
"""Objects of a block of 36 MB of lines."""
PHASE_S = 4.0
PAUSE_S = 0.005
NOISE = random.Random(1).randbytes(2 * MB)


class Journal:
    """Files that are written in one way."""

    def __init__(self, folder: Path, way: str) -> None:
        self._path, self._way, self._at = folder / way, way, 0
        self._record = mmap.mmap(-1, RECORD_BYTES)  # aligned, as direct writes want it
        self._record.write(NOISE[:RECORD_BYTES])
        if way in ("recycled", "direct"):
            write_file(self._path, FILE_BYTES)
        self._descriptor = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT
        if self._way == "direct":
            flags |= os.O_DIRECT | os.O_DSYNC
        descriptor = os.open(self._path, flags, 0o644)
        if self._way == "allocated":
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
            os.fsync(descriptor)
        return descriptor

    def commit(self) -> float:
        """Seconds of one."""
        if self._at + RECORD_BYTES > FILE_BYTES:
            os.close(self._descriptor)
            if self._way in ("append", "allocated"):
                self._path.unlink()
            self._descriptor, self._at = self._open(), 0
        began = time.perf_counter()
        os.write(self._descriptor, self._record)
        if self._way != "direct":
            os.fdatasync(self._descriptor)
        self._at += RECORD_BYTES
        return time.perf_counter() - began


def write_file(path: Path, size: int, *, synced: bool = True) -> None:
    """Some bytes."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for first in range(0, size, len(NOISE)):
        os.write(descriptor, NOISE[: size - first])
    if synced:
        os.fdatasync(descriptor)
    os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Its names are durable."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def flush(folder: Path) -> None:
    """A block."""
    for number, size in enumerate(BLOCK_BYTES):
        write_file(folder / f"new-{number}", size)
        (folder / f"new-{number}").rename(folder / f"{number}")
        time.sleep(0.02)
    sync_folder(folder)


def delete(folder: Path) -> None:
    """A large file; others are made when none is left."""
    if not any(folder.iterdir()):
        for number in range(8):
            write_file(folder / f"{number}", FILE_BYTES)
    next(folder.iterdir()).unlink()
    sync_folder(folder)


def dirty(folder: Path) -> None:
    """Many bytes that the system writes when it likes."""
    write_file(folder / f"{random.randrange(4)}", FILE_BYTES, synced=False)


def nothing(_folder: Path) -> None:
    """Not a byte."""


NEIGHBOURS: Sequence[Callable[[Path], None]] = (nothing, flush, delete, dirty)


def measure(folder: Path, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each commit, by neighbour and way."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    ways = ("append", "allocated", "recycled", "direct")
    journals = {way: Journal(folder, way) for way in ways}
    for _ in range(rounds):
        for neighbour in random.sample(NEIGHBOURS, len(NEIGHBOURS)):
            place, over = folder / f"beside {neighbour.__name__}", threading.Event()
            place.mkdir(exist_ok=True)

            def work(act: Callable[[Path], None], place: Path, over: threading.Event) -> None:
                while not over.wait(0.3):
                    act(place)

            thread = threading.Thread(target=work, args=(neighbour, place, over))
            thread.start()
            until = time.monotonic() + PHASE_S
            while time.monotonic() < until:
                for way in random.sample(ways, len(ways)):
                    found[neighbour.__name__, way].append(journals[way].commit())
                    time.sleep(PAUSE_S)
            over.set()
            thread.join()
    return found


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        found = measure(folder, given.rounds)
    finally:
        shutil.rmtree(folder)
    print("| beside | way | commits | p50 | p99 | p99.9 | most | over 100 ms |")
    print("|---|---|---|---|---|---|---|---|")
    for (neighbour, way), seconds in sorted(found.items()):
        ordered = [1e3 * one for one in sorted(seconds)]
        shares = [ordered[int((len(ordered) - 1) * share)] for share in (0.5, 0.99, 0.999, 1.0)]
        cells = " | ".join(f"{one:.1f}" for one in shares)
        slow = sum(1 for one in ordered if one > 100)
        print(f"| {neighbour} | {way} | {len(ordered)} | {cells} | {slow} |")


if __name__ == "__main__":
    main()
