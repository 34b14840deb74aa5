"""Questions that a leaf task of a test asks, in whatever process it runs."""

import os
import signal
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from querier.executors.leaf import Leaf
from storage.scan import Columns
from tests.storage.batches import entries_of

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Pid:
    """Where does it run?"""

    def run(self, leaf: Leaf) -> int:
        """The process."""
        return os.getpid()


@dataclass(frozen=True, slots=True)
class Spin:
    """Works until somebody wants it no more, and says in a folder that it began and ended."""

    folder: str
    checks: bool = True

    def run(self, leaf: Leaf) -> int:
        """Raises what ends it."""
        (Path(self.folder) / f"begun-{os.getpid()}").touch()
        until = time.monotonic() + SECONDS
        try:
            while time.monotonic() < until:
                time.sleep(0.001)
                if self.checks:
                    leaf.budget.check()
        finally:
            (Path(self.folder) / "ended").touch()
        return 0


@dataclass(frozen=True, slots=True)
class Die:
    """Ends its process as `kill -9` does, so many times."""

    folder: str
    times: int

    def run(self, leaf: Leaf) -> int:
        """How often it ended one."""
        died = sorted(Path(self.folder).glob("died-*"))
        if len(died) < self.times:
            (Path(self.folder) / f"died-{len(died)}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return len(died)


@dataclass(frozen=True, slots=True)
class Fail:
    """Raises."""

    error: BaseException

    def run(self, leaf: Leaf) -> int:
        """Raises the error."""
        raise self.error


@dataclass(frozen=True, slots=True)
class Hold:
    """Charges memory in pieces, gives some back, and keeps the rest."""

    charged: tuple[int, ...]
    released: int

    def run(self, leaf: Leaf) -> int:
        """What it keeps."""
        for size in self.charged:
            leaf.budget.charge(size)
        leaf.budget.release(self.released)
        return sum(self.charged) - self.released


@dataclass(frozen=True, slots=True)
class Content:
    """What is in the source?"""

    def run(self, leaf: Leaf) -> int:
        """A checksum of all entries."""
        source = leaf.view.source
        rows = np.arange(int(source.table.rows.sum()))
        return zlib.crc32(repr(entries_of(source.fetch(rows, Columns()))).encode())
