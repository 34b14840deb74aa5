"""Where does a process take the memory of Arrow's columns from, and does it go back?"""

import os
import subprocess
import sys

import pytest

from narfi.core.memory import ARROW_POOL, c_library

MB = 1 << 20
HELD_MB, COUNT = 256, 12
POOL = "import pyarrow as pa; print(pa.default_memory_pool().backend_name)"
THREADS = f"""
import threading
import numpy as np
import pyarrow as pa
from narfi.core.memory import leave_libraries_out
from narfi.core.trim import give_back, resident_bytes

leave_libraries_out()

def work():
    few = np.zeros(40_000, np.int64)
    held = [pa.array(few).cast(pa.float64()) for _ in range({HELD_MB} * 100 // 32 // {COUNT})]
    most.append(sum(one.nbytes for one in held))
    held.clear()
    freed.wait()
    looked.wait()

most, freed, looked = [], threading.Barrier({COUNT} + 1), threading.Barrier({COUNT} + 1)
first = resident_bytes()
for _ in range({COUNT}):
    threading.Thread(target=work).start()
freed.wait()
give_back()
print(sum(most), resident_bytes() - first)
looked.wait()
"""


def _run(code: str, **variables: str) -> str:
    """What a new process prints, that begins as servers and scan processes do."""
    environment = {name: value for name, value in os.environ.items() if name != ARROW_POOL}
    code = f"from narfi.core.memory import give_back_early; give_back_early()\n{code}"
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env={**environment, **variables}, text=True)


glibc = pytest.mark.skipif(not hasattr(c_library(), "mallopt"), reason="another C library")


@glibc
def test_arrow_takes_from_the_c_library() -> None:
    assert _run(POOL).strip() == "system"


def test_whoever_says_otherwise_is_heard() -> None:
    assert _run(POOL, **{ARROW_POOL: "mimalloc"}).strip() == "mimalloc"


@glibc
def test_columns_that_threads_freed_go_back() -> None:
    """Arrow's own allocator keeps them for the threads, which are there yet."""
    held, left = map(int, _run(THREADS).split())
    assert held > HELD_MB // 2 * MB
    assert left < held // 8
