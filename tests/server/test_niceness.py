"""Do requests go before what can wait, in a server that runs?"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.server import serving
from narfi.server.upkeep_parts import NICENESS as UPKEEP
from querier.executors.local import NICENESS as LEAVES


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_what_can_wait_lets_others_go_first(tmp_path: Path) -> None:
    """The thread of upkeep and those of leaf tasks; the event loop does not."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with serving(tmp_path) as running:
        pid = running.process.pid
        threads = [int(one.name) for one in Path(f"/proc/{pid}/task").iterdir()]
        found = Counter(os.getpriority(os.PRIO_PROCESS, one) for one in threads)
        assert os.getpriority(os.PRIO_PROCESS, pid) == own
    assert found[max(own, UPKEEP)] >= 1
    assert found[max(own, LEAVES)] >= 2
