"""When is freed memory given back to the system? When the process grew, or requests freed much.

Small Python values of an answer lie in heaps of glibc, as small columns do, which keep what was
freed. A server of 431 MB stayed at 545 behind a query whose texts took 256 MB; with this it
went back to 429. What is freed later than the growth was seen shows in no figure of the system, so
requests tell what they held (else 200 MB of a heap of 285 stayed). What caches hold stays.
Invariant: a process that neither grows nor frees much is never trimmed.
"""

import resource
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from narfi.core.memory import c_library

GROWN_BYTES = 64 << 20
"""Grown, or freed, since memory was given back; giving back takes 10 to 60 ms of CPU."""
STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        return int(STATM.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def give_back() -> None:
    """Return freed memory to the system; takes 10 to 60 ms of CPU."""
    pool, library = pa.default_memory_pool(), c_library()
    if pool.backend_name != "system":  # that one does as the next lines
        pool.release_unused()
    if library is not None and hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


class Trim:
    """Looks at the process from time to time; used by one thread."""

    def __init__(
        self,
        resident: Callable[[], int] = resident_bytes,
        give_back: Callable[[], None] = give_back,
        freed: Callable[[], int] = lambda: 0,
    ) -> None:
        """`freed`: what requests that have ended held, all together, since the process began."""
        self._resident, self._give_back, self._freed = resident, give_back, freed
        self._least, self._freed_before = resident(), freed()
        self._is_due = False  # at the next look: who has just ended may hold its last values yet

    def run(self) -> int:
        """Give memory back where the process has grown; 0, since nothing is counted."""
        now, freed = self._resident(), self._freed()
        if now >= self._least + GROWN_BYTES or self._is_due:
            self._give_back()
            now = self._least = self._resident()
        self._is_due = freed >= self._freed_before + GROWN_BYTES
        if self._is_due:
            self._freed_before = freed
        self._least = min(self._least, now)
        return 0
