"""When did this process begin? Before its modules were loaded, which may take seconds."""

import os
import time
from pathlib import Path


def process_start_ns() -> int:
    """ns since the epoch, late by a tick of the system's clock at most; now where nobody tells."""
    now_ns = time.time_ns()
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        ticks, per_s = int(fields[19]), os.sysconf("SC_CLK_TCK")
        since_boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    except (OSError, ValueError, IndexError, AttributeError):
        return now_ns
    age_ns = since_boot_ns - (ticks + 1) * 1_000_000_000 // per_s
    return now_ns - max(0, age_ns)
