"""Does upkeep let requests go first?"""

import os
import queue
import sys
import threading

import pytest

from upkeep.schedule import Task, Upkeep

SECONDS = 60


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
@pytest.mark.parametrize("niceness", [0, 7])
def test_its_thread_has_its_niceness(niceness: int) -> None:
    """And no other thread has."""
    seen = queue.SimpleQueue[int]()

    def own() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def run() -> int:
        seen.put(own())
        return 0

    before = own()
    upkeep = Upkeep("upkeep", (Task("look", run),), 0.001, niceness=niceness)
    upkeep.start()
    assert seen.get(timeout=SECONDS) == max(before, niceness)
    upkeep.stop()
    assert own() == before
