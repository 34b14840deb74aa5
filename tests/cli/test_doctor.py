"""Does the doctor name the part that is ill and the step to take, of a server and of an agent?"""

import http.server
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from narfi.cli import doctor_here
from narfi.cli.client import Connection, ServerError
from narfi.cli.doctor_agent import agent_findings
from narfi.cli.doctor_here import here_findings, settings_here
from narfi.cli.doctor_server import server_findings
from narfi.cli.findings import Finding
from narfi.cli.main import app
from narfi.core.settings import Settings
from storage.catalog.database import MIGRATIONS
from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import SCHEMA

RUN = CliRunner()


def by_part(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Findings by the part that they name."""
    found: dict[str, list[Finding]] = {}
    for one in findings:
        found.setdefault(one.part, []).append(one)
    return found


def ill(findings: list[Finding]) -> dict[str, str]:
    """What is not well, by part."""
    return {one.part: f"{one.level}: {one.what}" for one in findings if one.level != "ok"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a server that was there."""
    with closing(SqlCatalog(f"sqlite:///{tmp_path / 'catalog.db'}")):
        return Settings(limits={}, overrides={}, data_dir=tmp_path)


def schema(folder: Path, name: str) -> None:
    """Let the catalog have another schema."""
    with closing(sqlite3.connect(folder / "catalog.db")) as database:
        database.execute("update alembic_version set version_num = ?", (name,))
        database.commit()


# On this machine


def test_a_machine_that_is_well(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_here, "MIN_FILES", 1)
    found = list(here_findings(settings))
    kernels = [one.part for one in found if one.level != "ok"]
    assert kernels in ([], ["kernels"]), "only compiled code may be missing"
    assert {"disk", "catalog", "objects", "kernels"} <= set(by_part(found))
    assert not list(settings.data_dir.glob("doctor-*"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("servr: {}", "unknown key 'servr'"),
        ("limits: {max_lin_size: 1KB}", "unknown limit 'max_lin_size'"),
        ("server: {http: '0.0.0.0:3100'}", "no authentication"),
        ("server: {tls: {cert_file: /none, key_file: /none}}", "/none: No such file"),
        ("auth: {enabled: true, tokens_file: /none}", "/none: No such file"),
        ("limits: {retention_stream: [{selector: '{a', period: 24h}]}", "invalid labels matchers"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "narfi.yaml"
    file.write_text(text)
    settings, found = settings_here(str(file), "", expand_env=False)
    assert settings is None
    assert [one.level for one in found] == ["problem"]
    assert told in found[0].what
    assert "narfi check-config" in found[0].step


def test_variables_that_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARFI_PORT", "1")
    _, found = settings_here("", "", expand_env=False)
    assert "NARFI_PORT" in ill(found)["configuration"]


def test_a_catalog_of_a_newer_version(settings: Settings) -> None:
    schema(settings.data_dir, "9999")
    (found,) = by_part(list(here_findings(settings)))["catalog"]
    assert found.level == "problem"
    assert "written by a newer version" in found.what
    assert "start that version again" in found.step


def test_a_catalog_of_an_older_version(settings: Settings) -> None:
    schema(settings.data_dir, "0010")
    (found,) = by_part(list(here_findings(settings)))["catalog"]
    assert found.level == "warning"
    assert f"has schema 0010, this version has {SCHEMA}" in found.what
    with closing(sqlite3.connect(settings.data_dir / "catalog.db")) as database:
        kept = database.execute("select version_num from alembic_version").fetchall()
    assert kept == [("0010",)], "looking changes nothing"


def test_a_catalog_that_is_no_database(settings: Settings) -> None:
    (settings.data_dir / "catalog.db").write_bytes(b"no database" * 100)
    (found,) = by_part(list(here_findings(settings)))["catalog"]
    assert found.level == "problem"
    assert "cannot be read" in found.what


def test_a_catalog_that_is_away(settings: Settings) -> None:
    catalog = settings.catalog.model_copy(update={"url": "postgresql://u@127.0.0.1:9/x"})
    away = settings.model_copy(update={"catalog": catalog})
    (found,) = by_part(list(here_findings(away)))["catalog"]
    assert found.level == "problem"
    assert "catalog.url" in found.step


def test_a_disk_that_is_full(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_here, "_can_be_written", lambda _: False)
    for free, told, step in ((10, "is full", "free space"), (10**9, "takes nothing", "look at")):
        usage = SimpleNamespace(free=free, total=10**10)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        (found,) = by_part(list(here_findings(settings)))["disk"]
        assert found.level == "problem"
        assert f"the disk of {settings.data_dir} {told}" in found.what
        assert found.step.startswith(step)


def test_a_disk_that_is_nearly_full(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=10**6, total=10**10)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    (found,) = by_part(list(here_findings(settings)))["disk"]
    assert found.level == "problem"
    assert "less than compactor.min_free_disk" in found.what


def test_a_folder_that_is_not_there(settings: Settings, tmp_path: Path) -> None:
    none = settings.model_copy(update={"data_dir": tmp_path / "none"})
    found = ill(list(here_findings(none)))
    assert "is not there" in found["disk"]
    assert "catalog" not in found


def test_objects_that_cannot_be_made(settings: Settings) -> None:
    (settings.data_dir / "objects").write_text("a file")
    (found,) = by_part(list(here_findings(settings)))["objects"]
    assert found.level == "problem"
    assert "storage.url" in found.step


def test_few_open_files(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_here, "MIN_FILES", 1 << 40)
    assert "may open" in ill(list(here_findings(settings)))["open files"]


# A server that runs


@dataclass
class Asked:
    """A server whose answers are written down."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    address: str = "http://localhost:3100"

    def answer(self, path: str, _timeout_s: float) -> Any:
        """As `Connection.answer`."""
        if path not in self.answers:
            raise ServerError("ConnectError: connection refused")
        status, text = self.answers[path]
        return SimpleNamespace(status_code=status, text=text)


def told(**changes: Any) -> str:
    """What a server that is well tells, changed."""
    well = {"now_ns": time.time_ns(), "parts": [], "last_backup": {}}
    return json.dumps({**well, **changes})


def of(**answers: tuple[int, str]) -> list[Finding]:
    """What the doctor says of a server: `ready`, `status`, `metrics`, `labels`."""
    paths = {
        "ready": "/ready",
        "status": "/narfi/api/v1/status",
        "metrics": "/metrics",
        "labels": "/loki/api/v1/labels",
    }
    well = {
        "ready": (200, "ready\n"),
        "status": (200, told()),
        "metrics": (200, ""),
        "labels": (200, "{}"),
    }
    asked = Asked({paths[name]: found for name, found in (well | answers).items()})
    return list(server_findings(cast(Connection, asked), None))


def test_a_server_that_is_well() -> None:
    assert ill(of()) == {}


def test_nobody_answers() -> None:
    found = list(server_findings(cast(Connection, Asked()), None))
    assert [one.level for one in found] == ["problem"]
    assert "no server answers at http://localhost:3100: ConnectError" in found[0].what
    assert "narfi serve" in found[0].step


def test_a_server_that_starts() -> None:
    text = "not ready: replaying the journal (34%, 12 MiB of 36 MiB, 1280 records)\n"
    assert "replaying the journal (34%" in ill(of(ready=(503, text)))["server"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_not_taken(status: int) -> None:
    found = by_part(of(status=(status, "no such token\n")))["token"]
    assert found[0].level == "problem"
    assert "no such token" in found[0].what
    assert "--bearer-token" in found[0].step


def test_a_tenant_that_is_missing() -> None:
    (found,) = by_part(of(labels=(401, "no org id\n")))["tenant"]
    assert (found.level, "--org-id" in found.step) == ("problem", True)


def test_clocks_that_differ() -> None:
    for skew_s, level in ((10, "warning"), (-100, "problem")):
        status = told(now_ns=time.time_ns() + skew_s * 10**9)
        (found,) = by_part(of(status=(200, status)))["clock"]
        assert found.level == level
        assert "synchronise" in found.step


def test_parts_that_fail() -> None:
    parts = [
        {"part": "flush", "state": "failing", "what": "it is late", "step": "mend"},
        {"part": "blocks", "state": "degraded", "what": "one is damaged", "step": "restore"},
        {"part": "disk", "state": "ok", "what": "", "step": ""},
    ]
    found = of(status=(200, told(parts=parts)))
    assert ill(found) == {"flush": "problem: it is late", "blocks": "warning: one is damaged"}
    assert by_part(found)["flush"][0].step == "mend"


def test_open_files_and_unexpected_errors() -> None:
    text = "process_open_fds 95.0\nprocess_max_fds 100.0\nnarfi_unexpected_errors_total 3.0\n"
    found = ill(of(metrics=(200, text)))
    assert "95 files open and may have 100" in found["open files"]
    assert "3 requests ended" in found["errors"]


def test_the_address_of_the_settings() -> None:
    settings = Settings(limits={}, overrides={})
    server = settings.server.model_copy(update={"http": "0.0.0.0:1", "path_prefix": "/logs"})
    changed = settings.model_copy(update={"server": server})
    connection = Connection(address="http://localhost:3100", quiet=True)
    (found,) = server_findings(connection, changed)
    assert "http://localhost:1/logs" in found.what


# An agent


@contextmanager
def answering(status: int, text: str = "") -> Iterator[str]:
    """A server that answers every push alike; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/loki/api/v1/push"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def agent_file(folder: Path, url: str = "http://127.0.0.1:9/x", **more: Any) -> Path:
    """A configuration of an agent."""
    file = folder / "agent.yaml"
    content = {
        "positions": {"filename": str(folder / "positions.yaml")},
        "clients": [{"url": url}],
        "scrape_configs": [
            {
                "job_name": "app",
                "static_configs": [{"labels": {"__path__": str(folder / "*.log")}}],
            }
        ],
        **more,
    }
    file.write_text(json.dumps(content))
    return file


def of_agent(file: Path, *, offline: bool = False) -> list[Finding]:
    """What the doctor says of it."""
    return list(agent_findings(file, expand_env=False, offline=offline))


def test_an_agent_that_is_well(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("line\n")
    with answering(204) as url:
        found = of_agent(agent_file(tmp_path, url))
    assert ill(found) == {}
    assert set(by_part(found)) == {"configuration", "positions", "targets", "server"}


@pytest.mark.parametrize(
    ("status", "level", "told", "step"),
    [
        (401, "problem", "the agent is refused", "narfi token create --scope write"),
        (403, "problem", "the agent is refused", "tenant_id"),
        (404, "problem", "nothing to push to", "/loki/api/v1/push"),
        (503, "warning", "503", "narfi doctor"),
        (429, "warning", "429", "narfi doctor"),
    ],
)
def test_a_server_that_does_not_take_pushes(
    tmp_path: Path, status: int, level: str, told: str, step: str
) -> None:
    with answering(status, "because") as url:
        (found,) = by_part(of_agent(agent_file(tmp_path, url)))["server"]
    assert found.level == level
    assert told in found.what
    assert "because" in found.what
    assert step in found.step


def test_a_server_that_refuses_an_empty_push_lets_the_agent_in(tmp_path: Path) -> None:
    with answering(400, "nothing in it") as url:
        (found,) = by_part(of_agent(agent_file(tmp_path, url)))["server"]
    assert found.level == "ok"


def test_a_server_that_is_away(tmp_path: Path) -> None:
    (found,) = by_part(of_agent(agent_file(tmp_path)))["server"]
    assert found.level == "problem"
    assert "no answer from http://127.0.0.1:9/x" in found.what


def test_files_that_are_missing_or_behind(tmp_path: Path) -> None:
    file = agent_file(tmp_path)
    assert "no file matches" in ill(of_agent(file, offline=True))["targets"]
    log = tmp_path / "a.log"
    log.write_bytes(b"")
    os.truncate(log, 100 * 2**20)
    (tmp_path / "positions.yaml").write_text(json.dumps({"positions": {str(log): "1000"}}))
    assert "100 MiB of them are not delivered" in ill(of_agent(file, offline=True))["positions"]
    (tmp_path / "positions.yaml").write_text("- 5")
    assert "invalid yaml positions file" in ill(of_agent(file, offline=True))["positions"]


def test_a_positions_folder_that_is_not_there(tmp_path: Path) -> None:
    file = agent_file(tmp_path, positions={"filename": str(tmp_path / "none" / "p.yaml")})
    assert "is not there" in ill(of_agent(file, offline=True))["positions"]


def test_an_agent_that_does_not_run_and_a_wrong_file(tmp_path: Path) -> None:
    more = {"http_listen_address": "127.0.0.1", "http_listen_port": 9}
    with answering(204) as url:
        found = of_agent(agent_file(tmp_path, url, server=more))
    assert "no agent answers at http://127.0.0.1:9" in ill(found)["agent"]
    file = tmp_path / "wrong.yaml"
    file.write_text("client: 5")
    (wrong,) = of_agent(file)
    assert (wrong.part, wrong.level) == ("configuration", "problem")


# The command


def test_exit_status_and_json(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_here, "_kernels", lambda: iter(()))
    arguments = ["doctor", "--offline", "--json", "--data-dir", str(settings.data_dir)]
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert {one["part"] for one in json.loads(done.stdout)["findings"]} >= {"disk", "catalog"}
    schema(settings.data_dir, "9999")
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 1
    first = json.loads(done.stdout)["findings"][0]
    assert (first["part"], first["level"]) == ("catalog", "problem")
    text = RUN.invoke(app, ["doctor", "--offline", "-q", "--data-dir", str(settings.data_dir)])
    assert text.stdout.startswith("problem  catalog: ")
    assert "to do: start that version again" in text.stdout


def look(folder: Path, flag: str) -> tuple[int, str]:
    """`narfi migrate` that changes nothing."""
    done = RUN.invoke(app, ["migrate", flag, "--data-dir", str(folder)])
    return done.exit_code, done.stdout


def test_migrations_that_would_be_done(settings: Settings) -> None:
    folder = settings.data_dir
    assert look(folder, "--check") == (0, f"the catalog has schema {SCHEMA}\n")
    assert look(folder, "--dry-run") == (0, f"the catalog has schema {SCHEMA}\n")
    schema(folder, "0010")
    code, text = look(folder, "--check")
    there = sorted(path.stem for path in (MIGRATIONS / "versions").glob("0*.py"))
    missing = [name for name in there if name > "0011"]
    assert (code, f"{len(missing)} migrations are to be done" in text) == (1, True)
    code, text = look(folder, "--dry-run")
    assert code == 0
    assert text.splitlines()[1:] == missing
    assert missing[:2] == ["0011_level_totals", "0012_journals"]


@pytest.mark.parametrize("command", [("migrate", "--check"), ("serve", "--http", "127.0.0.1:0")])
def test_a_newer_catalog_has_a_status_of_its_own(
    settings: Settings, command: tuple[str, ...]
) -> None:
    schema(settings.data_dir, "9999")
    arguments = [sys.executable, "-m", "narfi.cli", *command, "--data-dir", str(settings.data_dir)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 4
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("narfi:")]
    assert "written by a newer version of the program" in line
    assert "Traceback" not in done.stderr
