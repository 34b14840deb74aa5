"""Where do the lines of a head part lie? One behind the other in memory that is used again.

Fresh memory costs a page fault every 4 KiB, more than copying the lines does; so a part's memory
goes back to the pool when nobody looks at it any more, with its pages, which the system gets when
no part wanted them for a while. The memory is private: a place that was only read takes no page.
Invariant: an arena is given out again only after every view of it is gone (views keep the array
alive that the finalizer hangs on).
"""

import mmap
import threading
import weakref

import numpy as np

from narfi.core.columns import U8, Spans
from narfi.core.kernels.gather import append_bytes

KEPT = 1
"""Free arenas that are kept: one fills while one is flushed."""


class Arena:
    """Memory for the lines of one head part; not thread-safe."""

    def __init__(self, data: U8) -> None:
        self._data = data
        self._used = 0

    def fits(self, size: int) -> bool:
        """Whether so many bytes can still be taken in."""
        return self._used + size <= len(self._data)

    def take(self, lines: Spans) -> Spans:
        """The lines copied in; the result is a view into the arena."""
        start = np.empty(len(lines), np.int64)
        self._used = append_bytes(
            lines.data, lines.start, lines.length, self._used, start, self._data
        )
        return Spans(self._data, start, lines.length)


class ArenaPool:
    """Gives out arenas of one size; thread-safe."""

    def __init__(self, size: int, kept: int = KEPT) -> None:
        """Of arenas that are free, so many are kept."""
        self._size, self._kept = size, kept
        self._free: list[mmap.mmap] = []
        self._wanted = False  # since the last look
        self._lock = threading.Lock()

    def arena(self, at_least: int) -> Arena:
        """An arena of the pool's size, or a larger one of its own for a huge push."""
        if at_least > self._size:
            return Arena(np.empty(at_least, np.uint8))
        return Arena(self.memory())

    def memory(self) -> U8:
        """What an arena of the pool's size lies in; views of it keep it from the pool."""
        with self._lock:
            memory = self._free.pop() if self._free else None
            self._wanted = True
        if memory is None:
            memory = mmap.mmap(-1, self._size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        data = np.frombuffer(memory, np.uint8)
        weakref.finalize(data, self._give_back, memory)
        return data

    def give_back_idle(self) -> int:
        """Give free arenas to the system when none was wanted since the last call; how many."""
        with self._lock:
            given = [] if self._wanted else self._free
            self._free, self._wanted = self._free if self._wanted else [], False
        return len(given)  # they are unmapped behind the lock

    def _give_back(self, memory: mmap.mmap) -> None:
        with self._lock:
            if len(self._free) < self._kept:
                self._free.append(memory)
