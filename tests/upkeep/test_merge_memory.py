"""How much memory does a merge take, in what it reads? Measured in processes of their own."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from narfi.core.kernels.warming import warm_up
from storage.block.merge_rows import Kept
from storage.sorting import merge_batches
from storage.store import BlockStore
from tests.storage.batches import Entry, batch_of
from tests.storage.stored import DAY, TENANT, Stored
from upkeep.merge_policy import MIB, STREAM_BYTES, size_of

BLOCKS = 4
MOST = 4.0
"""Bytes of memory for each byte that the blocks count (`size_of`)."""
TIMES = 2
"""The least of so many peaks: how far threads are apart only adds to one."""
PLAIN, SHAPED = 0, 100
"""Lines from which on a shape is made; 0: none ever is."""
Peaks = tuple[tuple[int, int], tuple[int, int]]
"""What `measure` gives for few rows and for many."""


def entries(block: int, rows: int, line_bytes: int) -> list[Entry]:
    """Lines of one shape, most of whose bytes repeat nothing."""
    chance = random.Random(block)
    first = DAY + block * 10**12
    return [
        (f"app {k % 50}", first + k, f"took={k}ms id=".encode() + noise, {})
        for k in range(rows)
        if (noise := chance.randbytes(line_bytes // 2).hex().encode())
    ]


def crowd(block: int, rows: int) -> list[Entry]:
    """A short line in each of as many streams."""
    first = DAY + block * 10**12
    return [(f"app-{block}-{k:07d}-{'x' * 30}", first + k, b"took=1ms", {}) for k in range(rows)]


def prepare(folder: Path, rows: int, min_lines: int, *, crowded: bool = False) -> None:
    """Write blocks of lines of 400 bytes, or of short ones in streams of their own."""
    stored = Stored(folder)
    store = BlockStore(stored.services, 1 << 20, min_lines)
    for block in range(BLOCKS):
        many = rows // BLOCKS
        run = merge_batches(
            [batch_of(crowd(block, many) if crowded else entries(block, many, 400))]
        )
        store.publish([store.write(run, TENANT, f"cut {block}")], [])
    stored.close()


def status(name: str) -> int:
    """A size of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def measure(folder: Path, min_lines: int) -> tuple[int, int]:
    """(what the blocks and their streams count, what their merge took at its peak), in bytes."""
    stored = Stored(folder)
    store = BlockStore(stored.services, 1 << 20, min_lines)
    rows = stored.rows()
    before = status("VmRSS")
    with store.opened(rows) as sources:
        streams = sum(len(source.table) for source in sources)
        store.rewrite([Kept(source, None) for source in sources], TENANT, "c", 1)
    counted = sum(size_of(row) for row in rows) + STREAM_BYTES * streams
    return counted, status("VmHWM") - before


def measure_each(min_lines: int, *folders: str) -> None:
    """Print what `measure` finds in each, `TIMES` times, in forks of a process that did nothing."""
    warm_up()
    for folder in folders:
        for _ in range(TIMES):
            if not (child := os.fork()):
                print(*measure(Path(folder), min_lines), flush=True)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0


def measured(
    folder: Path, rows: tuple[int, int], min_lines: int, *, crowded: bool = False
) -> Peaks:
    """`measure` of few and of many rows in processes of their own: a peak is one of a process."""
    folders = [str(folder / str(number)) for number in rows]
    for place, number in zip(folders, rows, strict=True):
        Path(place).mkdir()
        prepare(Path(place), number, min_lines, crowded=crowded)
    program = (
        "from tests.upkeep.test_merge_memory import measure_each\n"
        f"measure_each({min_lines}, *{folders!r})"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        # a pool of threads would not survive a fork
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    )
    found = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
    assert len(found) == TIMES * len(rows)
    (small, little), (large, much) = min(found[:TIMES]), min(found[TIMES:])
    return (small, little), (large, much)


@pytest.mark.slow
@pytest.mark.parametrize("min_lines", [PLAIN, SHAPED])
def test_memory_grows_with_what_is_merged(tmp_path: Path, min_lines: int) -> None:
    (small, little), (large, much) = measured(tmp_path, (30_000, 150_000), min_lines)
    share = (much - little) / (large - small)
    print(f"{share:.1f} bytes for each byte; {little / MIB:.0f} MiB for {small / MIB:.0f} MiB")
    assert share <= MOST
    assert little <= MOST * small + 200 * MIB


@pytest.mark.slow
def test_memory_grows_with_the_streams(tmp_path: Path) -> None:
    (small, little), (large, much) = measured(tmp_path, (20_000, 60_000), PLAIN, crowded=True)
    print(f"{(much - little) / (large - small):.1f} bytes for each byte that is counted")
    assert much - little <= MOST * (large - small)
