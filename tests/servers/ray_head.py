"""A Ray cluster of one machine for tests, on loopback, behind a token."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import free_port

START_S = 180.0
"""A machine under load takes half a minute; this is for one that hangs."""


@dataclass
class RayHead:
    """A running cluster, and where it is."""

    address: str
    process: subprocess.Popen[bytes]

    def pids(self) -> list[int]:
        """Of all its processes: children of `ray start`, and theirs."""
        found = [self.process.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += map(int, task.read_text().split())
        return found

    def kill(self) -> None:
        """All of it is gone at once."""
        for pid in reversed(self.pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def token() -> Iterator[None]:
    """One for this process and those that it starts."""
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)})
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text


@contextlib.contextmanager
def running(cpus: int, port: int = 0) -> Iterator[RayHead]:
    """Serve until the `with` ends."""
    port = port or free_port()
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # paths of sockets are short
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--port={port}", "--node-ip-address=127.0.0.1", f"--num-cpus={cpus}"]
    command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    command += [f"--object-store-memory={100 << 20}"]
    command += ["--min-worker-port=0", "--max-worker-port=0"]  # any that are free
    for name in ("ray-client-server-port", "dashboard-agent-listen-port", "dashboard-port"):
        command.append(f"--{name}={free_port()}")
    root = str(Path(__file__).parents[2])
    paths = [root, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    head = RayHead(f"127.0.0.1:{port}", process)
    try:
        _wait(folder / "log", process)
        yield head
    finally:
        head.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(log: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while "Ray runtime started" not in (text := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Ray does not start: {text}")
        time.sleep(0.2)
