"""How does a shell start a command of Narfi that is a fork? `python -IS FILE SOCKET ARGUMENTS…`.

It imports next to nothing: it hands its files, folder and environment to the process that forks
(`forking.py`), waits for the command and ends as it did.
"""

import json
import os
import select
import signal
import socket
import sys

LONGEST = 1 << 17


def main() -> int:
    """The command's exit status."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as nursery:
        nursery.connect(sys.argv[1])
        request = {
            "arguments": sys.argv[2:],
            "environment": dict(os.environ),
            "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes as long as all the rest
        }
        socket.send_fds(nursery, [json.dumps(request).encode()], [0, 1, 2])
        pid = json.loads(nursery.recv(LONGEST))
        process = os.pidfd_open(pid)
        select.select([process], [], [])
        nursery.send(json.dumps({"pid": pid}).encode())
        status = int(json.loads(nursery.recv(LONGEST)))
    if status < 0:
        if -status == signal.SIGPIPE:  # which Python ignores
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
