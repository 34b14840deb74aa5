"""A dry run of a night: who reads `/status` and `narfi doctor` alone finds what was broken.

Five faults in real processes. The reader knows neither the fault nor the code: each time the part
that is named, the sentence and the step must lead to it, and when it is mended all must be well.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.server import Running, free_port, start, stop
from narfi.access.secret import new_token
from tests.servers import fault_proxy, postgres, s3
from tests.servers.fault_proxy import Fault, Kind
from tests.storage.form import ORDINARY
from tests.written import whole_lines

pytestmark = pytest.mark.slow

DISK_MB = 64
DEADLINE_S = 90.0
ADMIN, WRITER = new_token().text, new_token().text
ALWAYS = 10**9


@dataclass(frozen=True)
class Told:
    """What somebody is told of a part."""

    state: str
    what: str
    step: str


@dataclass
class Night:
    """A server, and who looks after it."""

    server: Running
    environment: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    arguments: tuple[str, ...] = ()  # of the doctor

    def send(self, path: str, body: bytes | None = None, token: str = "") -> tuple[int, str]:
        """Status and text."""
        headers = {"Content-Type": "application/json"}
        if token or self.token:
            headers["Authorization"] = f"Bearer {token or self.token}"
        request = urllib.request.Request(self.server.url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def push(self, size: int = 100) -> int:
        """One line that compresses badly; the status."""
        line = Random(size).randbytes(size // 2).hex()
        values = [[str(time.time_ns()), line]]
        body = {"streams": [{"stream": {"app": "night"}, "values": values}]}
        token = WRITER if self.token else ""
        return self.send("/loki/api/v1/push", json.dumps(body).encode(), token)[0]

    def status(self) -> dict[str, Told]:
        """What `/status` says of parts that are not well."""
        status, text = self.send("/narfi/api/v1/status")
        assert status == 200, text
        return {
            one["part"]: Told(one["state"], one["what"], one["step"])
            for one in json.loads(text)["parts"]
            if one["state"] != "ok"
        }

    def doctor(self, *arguments: str) -> tuple[int, dict[str, Told]]:
        """What `narfi doctor` says, and its exit status; of a part the worst."""
        command = [sys.executable, "-m", "narfi.cli", "doctor", "--json", "-q"]
        command += ["--addr", self.server.url, *(arguments or self.arguments)]
        environment = {**os.environ, **self.environment}
        if self.token:
            environment["LOKI_BEARER_TOKEN"] = self.token
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=120, check=False
        )
        assert done.stdout, done.stderr
        found: dict[str, Told] = {}
        for one in json.loads(done.stdout)["findings"]:
            if one["level"] != "ok":
                found.setdefault(one["part"], Told(one["level"], one["what"], one["step"]))
        return done.returncode, found

    def finds(self, part: str, *words: str, step: str) -> None:
        """Both name the part as one that fails, with these words, and this step."""
        self.until(lambda: self.status().get(part, Told("", "", "")).state == "failing")
        told = self.status()[part]
        code, doctor = self.doctor()
        assert code == 1, doctor
        for one, state in ((told, "failing"), (doctor[part], "problem")):
            assert one.state == state
            for word in words:
                assert word in one.what, one
            assert step in one.step, one

    def is_well(self) -> None:
        """Nothing fails any more."""
        self.until(lambda: not any(one.state == "failing" for one in self.status().values()))
        code, doctor = self.doctor()
        assert code == 0, doctor

    def until(self, true: Callable[[], bool]) -> None:
        """Wait."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.2)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Night]:
    """A server that asks for tokens, on a small disk."""
    config, tokens = tmp_path / "narfi.yaml", tmp_path / "tokens.yaml"
    rows = [
        {"name": "admin", "token": ADMIN, "tenants": "*", "scopes": "admin,read"},
        {"name": "writer", "token": WRITER, "tenants": "*", "scopes": "write"},
    ]
    tokens.write_text(json.dumps({"tokens": rows}))
    with small_disk(tmp_path / "disk") as disk:
        config.write_text(
            f"data_dir: {disk}/data\nauth: {{enabled: true, tokens_file: {tokens}}}\n"
            "compactor: {min_free_disk: 0, interval: 1h}\n"
        )
        server = start(disk / "data", config, tmp_path / "log")
        try:
            yield Night(server, token=ADMIN, arguments=("--config", str(config)))
        finally:
            stop(server)


def test_a_damaged_block_a_full_disk_and_an_agent_that_is_refused(
    near: Night, tmp_path: Path
) -> None:
    near.is_well()
    assert near.push() == 204
    assert near.send("/flush", b"")[0] == 204
    # a file of a block that nobody has read yet holds nothing any more
    block = next((tmp_path / "disk/data/objects").rglob(ORDINARY.entries))
    good = block.read_bytes()
    block.write_bytes(bytes(len(good)))
    query = "/loki/api/v1/query_range?query=%7Bapp=%22night%22%7D"
    assert near.send(query)[0] == 200
    near.finds("blocks", "is damaged", ORDINARY.entries, step="narfi restore --from BACKUP --block")
    block.write_bytes(good)
    near.is_well()
    # another program takes all the room
    filler = tmp_path / "disk/filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    assert near.push(200_000) == 500
    near.finds("disk", f"the disk of {tmp_path}/disk/data is full", step="free space on it")
    ready = near.send("/ready?role=ingester")
    assert ready[0] == 503
    assert "is full" in ready[1]
    assert near.send("/ready")[1].startswith("ready\ndisk since ")
    filler.unlink()
    near.is_well()
    assert near.push() == 204
    _an_agent_is_refused(near, tmp_path)


def _an_agent_is_refused(near: Night, folder: Path) -> None:
    """Its token was revoked."""
    port, file = free_port(), folder / "agent.yaml"
    (folder / "app.log").write_text("a line\n" * 10)

    def write(token: str) -> None:
        content = {
            "server": {"http_listen_address": "127.0.0.1", "http_listen_port": port},
            "positions": {"filename": str(folder / "positions.yaml"), "sync_period": "1s"},
            "clients": [
                {
                    "url": f"{near.server.url}/loki/api/v1/push",
                    "bearer_token": token,
                    "batchwait": "100ms",
                    "backoff_config": {"min_period": "100ms", "max_period": "500ms"},
                }
            ],
            "scrape_configs": [
                {
                    "job_name": "app",
                    "static_configs": [{"labels": {"__path__": str(folder / "app.log")}}],
                }
            ],
        }
        file.write_text(json.dumps(content))

    write(new_token().text)
    command = [sys.executable, "-m", "narfi.cli", "agent", f"-config.file={file}"]
    with (folder / "agent-log").open("wb") as log:
        agent = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        near.until(lambda: any("401" in line for line in whole_lines(folder / "agent-log")))
        code, found = near.doctor("--agent", str(file))
        assert code == 1
        assert found["server"].state == "problem"
        assert "the agent is refused" in found["server"].what
        assert "narfi token create --scope write" in found["server"].step
        assert {"refused lines", "retries"} & set(found)
        write(WRITER)
        code, found = near.doctor("--agent", str(file))
        assert "server" not in found
    finally:
        agent.terminate()
        agent.wait(30)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Night, fault_proxy.FaultProxy, Callable[[bool], None]]]:
    """A server over a bucket and a database, the bucket's proxy, and a switch of the database."""
    with (
        pytest.MonkeyPatch.context() as patch,
        s3.running() as blocks,
        postgres.running(postgres.needed()) as catalogs,
        fault_proxy.before(blocks.port) as proxy,
    ):
        for name, text in s3.CREDENTIALS.items():
            patch.setenv(name, text)
        name = catalogs.fresh().rpartition("/")[2]
        settings = {
            "STORAGE__URL": s3.S3(proxy.port).reaching(blocks.fresh()),
            "CATALOG__URL": f"postgresql://{postgres.USER}@127.0.0.1:{catalogs.port}/{name}",
            "INGESTER__FLUSH_AGE": "1s",
            "DATA_DIR": str(tmp_path / "data"),
        }

        def allow(allowed: bool) -> None:
            catalogs.execute(f'alter database "{name}" allow_connections {allowed}')
            if not allowed:
                catalogs.execute(
                    f"select pg_terminate_backend(pid) from pg_stat_activity where datname='{name}'"
                )

        server = start(tmp_path / "data", log=tmp_path / "log", settings=settings)
        try:
            yield Night(server, {f"NARFI_{k}": v for k, v in settings.items()}), proxy, allow
        finally:
            proxy.tell()
            allow(True)
            stop(server)


def test_a_catalog_that_is_away_and_a_flush_that_is_stuck(
    far: tuple[Night, fault_proxy.FaultProxy, Callable[[bool], None]],
) -> None:
    night, proxy, allow = far
    night.is_well()
    allow(False)
    night.finds("catalog", "the catalog", "not currently accepting", step="catalog.url")
    assert night.push() == 204, "pushes are kept"
    allow(True)
    night.is_well()
    # blocks cannot be put, whatever else the bucket does
    proxy.tell(Fault(Kind.REFUSE, method="PUT", text="blocks/", times=ALWAYS, status=403))
    assert night.push() == 204
    night.finds("flush", "the flush of tenant fake", "are in no block", step="mend what the error")
    told: dict[str, Any] = json.loads(night.send("/narfi/api/v1/status")[1])["flush"]
    assert told["failing"][0]["tenant"] == "fake"
    assert told["unflushed_bytes"] > 0
    proxy.tell()
    night.is_well()
