"""`--stdin`: lines of the standard input, with the static labels of the first job (§10)."""

import logging
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import BinaryIO

from promtail_agent.entry import LabelSet
from promtail_agent.targets.received import Queued, entry_of

_log = logging.getLogger(__name__)

MAX_LINE_BYTES = 4 << 20
"""A longer line comes in pieces."""


class StdinSource(Queued):
    """Reads to the end in a thread; `ended` is set then."""

    def __init__(self, labels: Mapping[str, str], stream: BinaryIO | None = None) -> None:
        super().__init__()
        public = {n: v for n, v in labels.items() if not n.startswith("__")}
        self._labels = LabelSet(public or {"job": "stdin", "hostname": socket.gethostname()})
        self._stream = stream if stream is not None else sys.stdin.buffer
        self.ended = threading.Event()

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    def close(self) -> None:
        """Let the reading thread go."""
        self._queue.close()

    def _run(self) -> None:
        while line := self._stream.readline(MAX_LINE_BYTES):
            text = line[:-1].removesuffix(b"\r") if line.endswith(b"\n") else line
            if text:
                self._queue.put(entry_of(self._labels, time.time_ns(), text))
        _log.info("standard input has ended")
        self.ended.set()
