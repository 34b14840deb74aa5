"""Does a process that loads kernels on demand load those that it calls, and no others?"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CODE = """
import numpy as np
from narfi.core.kernels import sorting, windows
from narfi.core.kernels.jit import kernels
from narfi.core.kernels.on_demand import load_on_demand
from narfi.core.kernels.windows import add_counts

load_on_demand()
assert not any(each.is_loaded for each in kernels())
counts = np.zeros((1, 3), np.int64)
for _ in range(2):
    add_counts(np.zeros(2, np.int32), np.array([5, 15]), np.ones(1, np.int64), 10, 10, 10, counts)
assert counts.sum() == 0 and counts.any(), counts
loaded = {each.function for each in kernels() if each.is_loaded}
assert loaded == {add_counts}, loaded
try:
    add_counts("no array", 1, 2, 3, 4, 5, 6)
except TypeError as error:
    print(error)
"""


def test_only_what_is_called_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "No matching definition" in done.stdout
