"""Runs a program and writes its output as a kubelet does: CRI lines, rotated by renaming.

`<time> stdout F <line>`; lines longer than PART_BYTES come in parts marked P, the last one F. At
`rotate_at` lines, once `may_rotate` is set, `0.log` becomes `0.log.<stamp>` and another `0.log`
begins: an agent that never saw the first file by its name could not know of it.
"""

import subprocess
import sys
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

PART_BYTES = 1024


class CriWriter(threading.Thread):
    """One container: a program and its log file."""

    def __init__(
        self, root: Path, name: str, count: int, rotate_at: int, may_rotate: threading.Event
    ) -> None:
        super().__init__(name=name)
        pod = f"{name}-{uuid.uuid4().hex[:5]}"
        self._folder = root / "pods" / f"shop_{pod}_{uuid.uuid4()}" / name
        self._folder.mkdir(parents=True)
        self._program, self._count = name, count
        self._rotate_at, self._may_rotate = rotate_at, may_rotate
        self.process: subprocess.Popen[bytes] | None = None
        self.lines = 0

    def run(self) -> None:
        """Write until the program ends."""
        script = Path(__file__).parent / "programs.py"
        command = [sys.executable, str(script), self._program, str(self._count)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        path = self._folder / "0.log"
        out = path.open("ab", buffering=0)
        for line in self.process.stdout:
            if self.lines == self._rotate_at:
                self._may_rotate.wait()
                out.close()
                path.rename(path.with_name(f"0.log.{datetime.now(UTC):%Y%m%d-%H%M%S}"))
                out = path.open("ab", buffering=0)
            out.write(_cri(line.rstrip(b"\n")))
            self.lines += 1
        out.close()
        self.process.wait()


def _cri(line: bytes) -> bytes:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
    parts = [line[k : k + PART_BYTES] for k in range(0, len(line), PART_BYTES)] or [b""]
    marks = [b"P"] * (len(parts) - 1) + [b"F"]
    return b"".join(
        stamp + b" stdout " + mark + b" " + part + b"\n"
        for mark, part in zip(marks, parts, strict=True)
    )
