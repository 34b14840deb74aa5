"""How does a process keep its memory small? Large arrays go back as soon as they are freed.

glibc raises its threshold for mapped blocks whenever one is freed, up to 32 MiB; the columns of a
flush then lie in heaps that never shrink. With a fixed threshold they are mapped one by one.
Measured while loading 364 MB: 633 MB peak RSS without, 590 with, the same CPU time.
Arrow has an allocator of its own, which keeps what each thread freed for that thread, and asking it
to let go reaches the asking thread alone: of 217 MB beside heavy queries 40 were in use. So Arrow
takes from glibc too.
"""

import ctypes
import ctypes.util
import os
import sys
from functools import cache
from importlib.abc import MetaPathFinder

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
MAPPED_BYTES = 1 << 20
"""Allocations above this are mapped and unmapped singly."""
TRIMMED_BYTES = 8 << 20
ARENAS = 2
"""Heaps that threads share; by default each of some thirty threads may get its own."""
ARROW_POOL = "ARROW_DEFAULT_MEMORY_POOL"
"""Arrow looks at this variable when it first needs memory."""


@cache
def c_library() -> ctypes.CDLL | None:
    """The C library of this process, where it can be found."""
    name = ctypes.util.find_library("c")
    return ctypes.CDLL(name) if name else None


def give_back_early() -> bool:
    """Fix glibc's thresholds for this process; false where the C library is another one.

    Arrow takes memory from there too, if it is not imported yet and its variable says nothing else.
    """
    library = c_library()
    if library is None or not hasattr(library, "mallopt"):
        return False
    set_option = library.mallopt
    wanted = (
        (M_MMAP_THRESHOLD, MAPPED_BYTES),
        (M_TRIM_THRESHOLD, TRIMMED_BYTES),
        (M_ARENA_MAX, ARENAS),
    )
    done = all(set_option(option, value) for option, value in wanted)
    if done:
        os.environ.setdefault(ARROW_POOL, "system")
    return done


LEFT_OUT = ("pandas", "rich")


class _LeftOut(MetaPathFinder):
    """Says that they are not installed. (Arrow trips over None in `sys.modules`.)"""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        """Raises for those, and leaves every other module to the next finder."""
        if fullname in LEFT_OUT:
            raise ModuleNotFoundError(f"this process leaves {fullname} out", name=fullname)


def leave_libraries_out() -> None:
    """For a process that has no use for pandas: Arrow does not import it where it is installed.

    Arrow asks for it at the first array made of Python or NumPy values, at the first one given to
    NumPy, and at the first scalar: half a second of CPU and 50 MB, within somebody's request.
    Neither do clients of HTTP and logs import rich, which prints tables on terminals.
    """
    if not any(isinstance(finder, _LeftOut) for finder in sys.meta_path):
        sys.meta_path.insert(0, _LeftOut())
