"""Does a whole collection cost what a query made, and not what the process is made of?"""

import subprocess
import sys

CHILD = """
import gc, time
import narfi.server.wiring
from narfi.core.memory import leave_out_of_collections

def collected_s():
    began = time.thread_time()
    gc.collect()
    return time.thread_time() - began

gc.collect()
before = collected_s()
leave_out_of_collections()
made = [((str(n), "a"), ("b", str(n))) for n in range(1000)]
print(before, collected_s(), gc.get_freeze_count())
"""


def test_what_was_there_at_the_start_is_passed_over() -> None:
    told = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, check=True
    ).stdout.split()
    before_s, behind_s, frozen = float(told[0]), float(told[1]), int(told[2])
    assert frozen > 50_000
    assert behind_s < before_s / 5
