"""Which executor does a server have by default, and when does it use scan processes?"""

import json
import re
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from benchmarks.bounds import family
from benchmarks.server import Running, start, stop
from narfi.core.settings import Settings, SettingsError, load_settings
from narfi.server import executors
from narfi.server.executors import AUTO_PROCESSES, cores, executor_of
from querier.budget import Total
from querier.executors.asked_lately import AskedLately
from querier.executors.local import HERE_TASKS, LocalExecutor
from querier.executors.processes import ProcessExecutor
from storage.vault.data_dir import DataDir

SECONDS, LINES, BODIES = 300, 1_000, 2 * HERE_TASKS
"""More blocks than tasks that the asking thread does itself."""
SMALL = 'count_over_time({app="b"}[1h])'
HEAVY = """
sum by (m) (bytes_over_time({app="a"} | json
    | line_format `{{ regexReplaceAll "[0-5]+(.)" __line__ "${1}" }}` [1h]))
"""
DONE = re.compile(r"^narfi_scan_process_tasks_total (\S+)", re.MULTILINE)


def settings_of(tmp_path: Path, given: str | None) -> Settings:
    """With what the environment says of processes."""
    environment = {} if given is None else {"NARFI_QUERIER__SCAN_PROCESSES": given}
    return load_settings(None, environment, {"data_dir": str(tmp_path)})


@pytest.mark.parametrize(
    ("given", "of_machine", "count", "wanted_alone"),
    [
        (None, 2, AUTO_PROCESSES, False),
        ("auto", 64, AUTO_PROCESSES, False),
        ("auto", 1, 0, False),
        ("0", 64, 0, False),
        ("1", 1, 1, True),
        ("5", 2, 5, True),
    ],
)
def test_processes_of_settings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str | None,
    of_machine: int,
    count: int,
    wanted_alone: bool,
) -> None:
    monkeypatch.setattr(executors, "cores", lambda: of_machine)
    settings, lately = settings_of(tmp_path, given), AskedLately()
    found = executor_of(settings, DataDir(tmp_path), Total(), lately)
    try:
        if not count:
            assert isinstance(found, LocalExecutor)
            return
        assert isinstance(found, ProcessExecutor)
        assert found.pool.count == count
        assert found._are_wanted() == wanted_alone
        lately.note("a")
        lately.note("b")
        assert found._are_wanted()
    finally:
        found.close()


@pytest.mark.parametrize("given", ["-1", "many", "1.5"])
def test_what_is_no_number_of_processes(tmp_path: Path, given: str) -> None:
    with pytest.raises(SettingsError, match="scan_processes"):
        settings_of(tmp_path, given)


class Client:
    """A tenant of a server."""

    def __init__(self, running: Running, tenant: str) -> None:
        self._url, self._tenant = running.url, tenant

    def send(self, path: str, body: bytes | None = None) -> bytes:
        """The body of an answer with 2xx."""
        headers = {"X-Scope-OrgID": self._tenant, "Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, body, headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            found: bytes = answer.read()
            return found

    def ask(self, query: str) -> list[tuple[str, str]]:
        """Labels and value of each sample that an instant query finds, sorted."""
        text = urllib.parse.urlencode({"query": query})
        found = json.loads(self.send(f"/loki/api/v1/query?{text}"))["data"]["result"]
        return sorted((str(one["metric"]), one["value"][1]) for one in found)

    def tasks_done(self) -> float:
        """By scan processes, since the start."""
        found = DONE.search(self.send("/metrics").decode())
        assert found is not None
        return float(found[1])


def load(client: Client) -> None:
    """Blocks of lines that have little in common."""
    for body in range(BODIES):
        at_ns = time.time_ns()
        values = [
            [str(at_ns + n), json.dumps({"n": n * body, "m": str(body)})] for n in range(LINES)
        ]
        streams = {"streams": [{"stream": {"app": "a"}, "values": values}]}
        client.send("/loki/api/v1/push", json.dumps(streams).encode())
        client.send("/flush", b"")


@pytest.mark.skipif(cores() < 2, reason="a machine with one core has no scan processes by default")
def test_a_heavy_query_goes_there_when_another_tenant_asks(tmp_path: Path) -> None:
    """By default; its answer stays what it was."""
    server = start(tmp_path / "data", log=tmp_path / "log", settings={"TENANCY": "header"})
    try:
        heavy, other = Client(server, "heavy"), Client(server, "other")
        load(heavy)
        before = heavy.ask(HEAVY)
        assert len(before) == BODIES
        until_s = time.monotonic() + SECONDS
        while not heavy.tasks_done():
            assert time.monotonic() < until_s
            other.ask(SMALL)
            assert heavy.ask(HEAVY) == before
        assert heavy.ask(HEAVY) == before
    finally:
        stop(server)


def test_where_all_are_one_tenant_it_stays_on_threads(tmp_path: Path) -> None:
    """By default, too: nothing is started for a server that nobody shares."""
    server = start(tmp_path / "data", log=tmp_path / "log")
    try:
        heavy, other = Client(server, "heavy"), Client(server, "other")
        load(heavy)
        for _ in range(3):
            other.ask(SMALL)
            assert len(heavy.ask(HEAVY)) == BODIES
        assert heavy.tasks_done() == 0
        assert family(server.process.pid) == [server.process.pid]
    finally:
        stop(server)


def test_what_a_start_asks_for_itself_is_no_tenant(tmp_path: Path) -> None:
    """One tenant alone asks, as soon as the server is ready: it stays on threads, too."""
    server = start(tmp_path / "data", log=tmp_path / "log", settings={"TENANCY": "header"})
    try:
        heavy = Client(server, "heavy")
        load(heavy)
        for _ in range(3):
            assert len(heavy.ask(HEAVY)) == BODIES
        assert heavy.tasks_done() == 0
        assert family(server.process.pid) == [server.process.pid]
    finally:
        stop(server)
