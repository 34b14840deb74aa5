"""Does a server work whose blocks lie in a bucket and whose catalog is in PostgreSQL?

A real process over a server that speaks S3, behind a proxy that fails as it is told, and a real
PostgreSQL. What was acknowledged is there exactly once, whatever was away or killed meanwhile.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.server import Running, start, stop
from storage.objects.base import SharedObjects
from storage.objects.places import objects_at
from tests.servers import cluster, fault_proxy, postgres, s3
from tests.servers.fault_proxy import Fault, FaultProxy, Kind

SECRET = "pg-s3cret"
AWAY = Fault(Kind.DROP, times=10**9)
DEADLINE_S = 120.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[s3.S3, postgres.Postgres]]:
    """A server for blocks and one for catalogs."""
    with cluster.stores(postgres.needed()) as found:
        yield found


class Far:
    """A server over both, its proxy, and what it acknowledged."""

    def __init__(
        self, folder: Path, blocks: s3.S3, catalogs: postgres.Postgres, proxy: FaultProxy
    ) -> None:
        self.folder, self.proxy, self.catalogs = folder, proxy, catalogs
        url = blocks.fresh()
        self.database = catalogs.fresh().rpartition("/")[2]
        address = f"{postgres.USER}:{SECRET}@127.0.0.1:{catalogs.port}/{self.database}"
        self.settings = {
            "STORAGE__URL": s3.S3(proxy.port).reaching(url),
            "CATALOG__URL": f"postgresql://{address}",
            "COMPACTOR__INTERVAL": "1s",
            "COMPACTOR__DELETE_REQUEST_CANCEL_PERIOD": "1s",
            "COMPACTOR__ORPHAN_GRACE": "0s",
            "LIMITS__REJECT_OLD_SAMPLES": "false",
        }
        self.objects: SharedObjects = objects_at(url)
        self.log = folder / "log"
        self.lines: list[str] = []
        self.begun = time.time_ns()
        self.server: Running = self.started()

    def started(self) -> Running:
        """A new process."""
        self.server = start(self.folder / "data", log=self.log, settings=self.settings)
        return self.server

    def kill(self) -> None:
        """The process ends at once."""
        os.kill(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()

    def ask(self, path: str, body: bytes | None = None, **parameters: str) -> tuple[int, str]:
        """Status and text."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        request = urllib.request.Request(
            f"{self.server.url}{path}{query}", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def push(self, count: int = 50) -> int:
        """New lines; the status. They count when they were acknowledged."""
        first = len(self.lines)
        lines = [f"level=info n={first + k} took={k}ms" for k in range(count)]
        values = [[str(self.begun + first + k), line] for k, line in enumerate(lines)]
        body = {"streams": [{"stream": {"app": "a"}, "values": values}]}
        status, _ = self.ask("/loki/api/v1/push", json.dumps(body).encode())
        if status == 204:
            self.lines += lines
        return status

    def query(self) -> tuple[int, list[str]]:
        """Status and all lines, oldest first."""
        status, text = self.ask(
            "/loki/api/v1/query_range",
            query='{app="a"}',
            start=str(self.begun),
            end=str(self.begun + 10**9),
            limit="5000",
            direction="forward",
        )
        if status != 200:
            return status, [text]
        streams = json.loads(text)["data"]["result"]
        values = sorted(
            ((int(ts), line) for stream in streams for ts, line in stream["values"]),
        )
        return status, [line for _, line in values]

    def check(self) -> None:
        """All that was acknowledged is there once."""
        assert self.query() == (200, self.lines)

    def until(self, true: Callable[[], bool]) -> None:
        """Wait."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def connections(self, *, allowed: bool) -> None:
        """Let the catalog take connections, or take none and end those that are there."""
        name = self.database
        self.catalogs.execute(f'alter database "{name}" allow_connections {allowed}')
        if not allowed:
            self.catalogs.execute(
                f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
            )


@pytest.fixture
def far(tmp_path: Path, stores: tuple[s3.S3, postgres.Postgres]) -> Iterator[Far]:
    """A server with an empty bucket and an empty database."""
    blocks, catalogs = stores
    with fault_proxy.before(blocks.port) as proxy:
        found = Far(tmp_path, blocks, catalogs, proxy)
        yield found
        proxy.tell()
        stop(found.server)


def test_push_flush_query_restart_and_merge(far: Far) -> None:
    for number in range(12):
        assert far.push() == 204
        far.check()
        assert far.ask("/flush", b"")[0] == 204
        if not number:
            keys = [key.rpartition("/")[2] for key in far.objects.list("blocks/")]
            assert sorted(keys) == ["data", "index"], "a fresh block costs two puts"
        far.check()
    assert sorted(path.name for path in (far.folder / "data").iterdir()) == ["journal", "reserve"]
    assert list(far.objects.list("blocks/"))
    assert list(far.objects.list("probe/")) == []
    far.until(lambda: 'narfi_blocks{level="1"} 1.0' in far.ask("/metrics")[1])
    far.check()
    assert stop(far.server) == 0
    far.started()
    far.check()
    far.push()
    far.kill()
    far.started()
    far.check()
    state = json.loads(far.ask("/status")[1])
    assert state["far_storage"] == {"catalog": None, "objects": None}


def test_pushes_are_kept_while_the_store_is_away(far: Far) -> None:
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 204
    far.proxy.tell(AWAY)
    assert far.push() == 204
    status, (text,) = far.query()
    assert status == 503
    assert "cannot be read" in text
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 503
    far.until(lambda: "objects cannot be reached since" in far.ask("/ready")[1])
    assert far.ask("/ready")[0] == 200
    assert 'narfi_storage_reachable{part="objects"} 0.0' in far.ask("/metrics")[1]
    state = json.loads(far.ask("/status")[1])
    assert state["far_storage"]["objects"]["error"]
    assert state["quarantine"]["count"] == 0, "an outage is no damage"
    far.kill()
    far.proxy.tell()
    far.started()
    far.check()
    assert far.ask("/flush", b"")[0] == 204
    far.check()
    assert far.ask("/ready") == (200, "ready\n")


def test_a_store_that_comes_back_needs_nobody(far: Far) -> None:
    far.proxy.tell(AWAY)
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 503
    far.proxy.tell()
    assert far.ask("/flush", b"")[0] == 204
    far.check()
    far.until(lambda: far.ask("/ready") == (200, "ready\n"))


def test_pushes_are_kept_while_the_catalog_is_away(far: Far) -> None:
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 204
    far.connections(allowed=False)
    assert far.push() == 204
    assert far.query()[0] == 503
    assert far.ask("/flush", b"")[0] == 503
    far.until(lambda: "catalog cannot be reached since" in far.ask("/ready")[1])
    far.connections(allowed=True)
    far.until(lambda: far.ask("/ready") == (200, "ready\n"))
    far.check()
    assert far.ask("/flush", b"")[0] == 204
    far.check()
    far.kill()
    far.started()
    far.check()


def test_what_a_request_deletes_is_gone_from_the_bucket(far: Far) -> None:
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 204
    before = set(far.objects.list("blocks/"))
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 204
    status, text = far.ask(
        "/loki/api/v1/delete",
        b"",
        query='{app="a"} |= "n=7 "',
        start=str(far.begun // 10**9 - 10),
    )
    assert status == 204, text
    far.lines.remove("level=info n=7 took=7ms")
    far.check()

    def is_done() -> bool:
        return '"status":"processed"' in far.ask("/loki/api/v1/delete")[1].replace(" ", "")

    far.until(is_done)
    far.until(lambda: before.isdisjoint(far.objects.list("blocks/")))
    far.check()


def test_a_second_server_on_the_catalog_is_refused(far: Far, tmp_path: Path) -> None:
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "narfi.cli", "serve", "--data-dir", str(tmp_path / "other")),
            *("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"),
        ],
        env=os.environ | {f"NARFI_{name}": text for name, text in far.settings.items()},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ran.returncode == 1
    assert "another server uses this catalog" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert far.push() == 204


def test_no_secret_is_told(far: Far) -> None:
    far.proxy.tell(Fault(Kind.REFUSE, times=10**9, status=403))
    far.push()
    far.ask("/flush", b"")
    shown = far.ask("/config")[1]
    far.connections(allowed=False)
    far.query()
    texts = (far.log.read_text(), shown, far.ask("/status")[1])
    far.connections(allowed=True)
    assert f"postgresql://{postgres.USER}@127.0.0.1:{far.catalogs.port}/{far.database}" in shown
    assert "s3://" in shown
    for text in texts:
        assert SECRET not in text
        assert s3.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in text


def test_blocks_in_a_bucket_are_verified_backed_up_and_restored_to_a_folder(far: Far) -> None:
    """With the catalog in the data folder."""
    stop(far.server)
    del far.settings["CATALOG__URL"]
    far.settings["STORAGE__URL"] = far.settings["STORAGE__URL"].replace("prefix", "another")
    far.started()
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 204
    backup, new = far.folder / "backup", far.folder / "new"
    own = {f"NARFI_{name}": text for name, text in far.settings.items()}
    for command, environment in (
        (("verify", "--deep"), own),
        (("backup", "--to", str(backup)), own),
        (("restore", "--from", str(backup), "--data-dir", str(new)), {}),
    ):
        where = {"NARFI_DATA_DIR": str(far.folder / "data")}
        ran = subprocess.run(
            [sys.executable, "-m", "narfi.cli", *command],
            env=os.environ | where | environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    stop(far.server)
    far.server = start(new, log=far.log)
    far.check()


@pytest.mark.parametrize(
    "command",
    ["verify", "backup --to x", "sql --tables"],
)
def test_commands_on_a_data_folder_say_what_they_cannot_do(tmp_path: Path, command: str) -> None:
    for name, url in (
        ("NARFI_CATALOG__URL", f"postgresql://me:{SECRET}@127.0.0.1:1/db"),
        ("NARFI_STORAGE__URL", "s3://bucket/prefix"),
    ):
        if "STORAGE" in name and command.split()[0] != "sql":
            continue
        ran = subprocess.run(
            [sys.executable, "-m", "narfi.cli", *command.split(), "--data-dir", str(tmp_path)],
            env=os.environ | {name: url},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert ran.returncode in (1, 2)
        assert "does not work with a catalog" in ran.stderr or "these are in s3://" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert SECRET not in ran.stderr


def test_a_process_reads_from_its_disk_what_the_one_before_kept(far: Far) -> None:
    """The index of a block at once, its columns when they were read twice."""
    far.settings["QUERIER__DISK_CACHE_BYTES"] = "100MB"
    stop(far.server)
    far.started()
    assert far.push() == 204
    assert far.ask("/flush", b"")[0] == 204

    def read() -> int:
        """Requests for objects of blocks by a process that has just started."""
        stop(far.server)
        far.started()
        far.proxy.requests()
        far.check()
        asked = [one for one in far.proxy.requests() if "/blocks/" in one]
        return len([one for one in asked if one.startswith("GET") and "list-type" not in one])

    first = [read() for _ in range(3)]
    assert first[0] > 0
    assert read() <= first[0] - 1, first
    assert any((far.folder / "data" / "cache").rglob("*"))
