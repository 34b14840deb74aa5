"""How do tests do on a slow machine? Runs a command with a quarter of this one's processors.

`python -m tests.throttled COMMAND…`, as root on Linux: in a control group (version 1 or 2) with a
quota. Elsewhere busy neighbours take the time: three for each core. Tests with clocks must pass.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHARE = 0.25
PERIOD_US = 100_000
ROOT = Path("/sys/fs/cgroup")
NEIGHBOURS_OF_A_CORE = 3


def _quotas() -> Iterator[tuple[Path, dict[str, str]]]:
    """Folders in which a group can be made, and what to write into its files."""
    quota = int(PERIOD_US * SHARE * (os.cpu_count() or 1))
    yield ROOT / "cpu", {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota)}
    yield ROOT, {"cpu.max": f"{quota} {PERIOD_US}"}


@contextmanager
def group() -> Iterator[Path | None]:
    """A new control group with the quota; None where that is not allowed."""
    made = None
    for parent, values in _quotas():
        folder = parent / f"narfi-tests-{os.getpid()}"
        try:
            folder.mkdir()
            made = folder
            for name, value in values.items():
                (folder / name).write_text(value)
            break
        except OSError:
            if made is not None:
                made.rmdir()
            made = None
    try:
        yield made
    finally:
        if made is not None:
            made.rmdir()


def run(command: list[str]) -> int:
    """Run it with a share of the processors; its exit status."""
    with group() as folder:
        if folder is not None:
            print(f"throttled to {SHARE:.0%} of the processors by {folder}", flush=True)

            def join() -> None:
                (folder / "cgroup.procs").write_text(str(os.getpid()))

            return subprocess.run(command, preexec_fn=join, check=False).returncode
    print("control groups cannot be made: throttled by busy neighbours", flush=True)
    busy = [sys.executable, "-c", "while True: pass"]
    count = NEIGHBOURS_OF_A_CORE * (os.cpu_count() or 1)
    neighbours = [subprocess.Popen(busy) for _ in range(count)]
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
