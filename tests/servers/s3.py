"""A server that speaks S3 for tests, on loopback: moto's, in a process of its own, in memory."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

START_S = 120.0
"""A machine under load starts it in seconds; this is for a hung one."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-tester"}
"""For the environment of whoever asks it; any will do."""


@dataclass(frozen=True)
class S3:
    """A running server, or a proxy before one."""

    port: int

    def fresh(self) -> str:
        """The URL of a prefix in an empty bucket of its own."""
        name = f"bucket-{uuid.uuid4().hex}"
        make = urllib.request.Request(f"http://127.0.0.1:{self.port}/{name}", method="PUT")
        with urllib.request.urlopen(make, timeout=60):
            return self.url(f"{name}/a/prefix")

    def url(self, place: str) -> str:
        """As `storage.url` takes it."""
        return f"s3://{place}?endpoint=http://127.0.0.1:{self.port}&region=us-east-1"

    def reaching(self, url: str) -> str:
        """The place of another one's URL, through this one: a proxy before it."""
        return self.url(url.partition("?")[0].removeprefix("s3://"))


@contextlib.contextmanager
def running() -> Iterator[S3]:
    """Serve until the `with` ends."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    def look() -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=60).close()

    with serving(command, port, look) as found:
        yield found


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    port: int,
    look: Callable[[], None],
    environment: Mapping[str, str] | None = None,
) -> Iterator[S3]:
    """A server's process until the `with` ends; `look` raises `OSError` until it serves."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(look, process)
        yield S3(port)
    finally:
        process.terminate()
        process.wait(START_S)


def _wait(look: Callable[[], None], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            look()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
