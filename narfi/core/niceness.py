"""Who goes first where threads want more cores than there are? Requests before what can wait.

Linux has a niceness for each thread. Nobody but an administrator may lower it again, so a thread is
one that lets others go first from its begin to its end.
"""

import contextlib
import os
import sys
import threading


def let_others_go_first(niceness: int) -> None:
    """Give this thread less of a core where others want it; 0 leaves it as it is."""
    if niceness and sys.platform == "linux":
        with contextlib.suppress(OSError):  # the process itself is nicer already
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
