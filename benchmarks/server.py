"""How does a benchmark or a test get a server? A real process on free ports, ended by its pid."""

import contextlib
import itertools
import os
import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

START_S = 180
LOWEST_PORT = 12_000
"""Well-known programs listen on lower ones."""
GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")
WORKERS = 16
"""So many workers of a run of tests have ports of their own."""

_turns = itertools.count(random.SystemRandom().randrange(1 << 30))


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is ready."""

    url: str
    grpc: str
    data_dir: Path
    process: subprocess.Popen[bytes]


def free_port() -> int:
    """A port on the loopback interface that nobody uses now.

    A server binds it some seconds later. Until then nobody else is given it: it is none of those
    that the system gives away by itself, each worker of pytest-xdist has ports of its own, and the
    next calls return others.
    """
    given_away = int(GIVEN_AWAY.read_text().split()[0])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(LOWEST_PORT + worker % WORKERS, given_away, WORKERS)
    while True:
        port = own[next(_turns) % len(own)]
        with contextlib.suppress(OSError), socket.socket() as found:
            found.bind(("127.0.0.1", port))
            return port


def start(
    data_dir: Path,
    config: Path | None = None,
    log: Path | None = None,
    settings: Mapping[str, str] | None = None,
    python: str = sys.executable,
    module: str = "narfi.cli",
    ports: tuple[int, int] | None = None,
) -> Running:
    """Start `narfi serve` and wait until it is ready; `settings` become NARFI_… variables.

    `ports`: of HTTP and gRPC, for a server that comes back where it was.
    """
    http, grpc = ports or (free_port(), free_port())
    command = [python, "-m", module, "serve", "--data-dir", str(data_dir)]
    command += ["--http", f"127.0.0.1:{http}", "--grpc", f"127.0.0.1:{grpc}"]
    if config is not None:
        command += ["--config", str(config)]
    environment = {**os.environ, **{f"NARFI_{k}": v for k, v in (settings or {}).items()}}
    with (log or Path(os.devnull)).open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
    url = f"http://127.0.0.1:{http}"
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            told = log.read_text(errors="replace")[-2000:] if log else "its log was not kept"
            raise RuntimeError(f"the server ended with {process.returncode}: {told}")
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{url}/ready", timeout=5) as answer,
        ):
            if answer.status == 200:
                return Running(url, f"127.0.0.1:{grpc}", data_dir, process)
        time.sleep(0.1)
    process.kill()
    raise RuntimeError("the server was not ready in time")


@contextlib.contextmanager
def serving(
    data_dir: Path,
    config: Path | None = None,
    log: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """A server for the length of a with block."""
    running = start(data_dir, config, log, settings)
    try:
        yield running
    finally:
        stop(running)


def stop(running: Running) -> int:
    """Ask the server to end, and wait; returns its exit status."""
    if running.process.poll() is None:
        running.process.terminate()
    try:
        return running.process.wait(30)
    except subprocess.TimeoutExpired:
        running.process.kill()
        return running.process.wait()
