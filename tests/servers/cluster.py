"""Several processes over one bucket and one database, on loopback; and what was acknowledged."""

import contextlib
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.server import Running, start, stop
from tests.servers import postgres, s3

DEADLINE_S = 240.0
"""A machine under load does it in seconds; this is for a hang."""
SECOND_NS = 10**9


class Cluster:
    """Processes by name, and the ledger of acknowledged lines; thread-safe."""

    def __init__(
        self,
        folder: Path,
        blocks: s3.S3,
        catalogs: postgres.Postgres,
        settings: Mapping[str, str] | None = None,
        config: Path | None = None,
    ) -> None:
        self.folder, self.config = folder, config
        self.catalogs = catalogs
        self.database = database = catalogs.fresh().rpartition("/")[2]
        self.settings = {
            "STORAGE__URL": blocks.fresh(),
            "CATALOG__URL": f"postgresql://{postgres.USER}@127.0.0.1:{catalogs.port}/{database}",
            "INGESTER__JOURNAL": "objects",
            "INGESTER__LEASE_TTL": "8s",
            "COMPACTOR__INTERVAL": "1s",
            "LIMITS__REJECT_OLD_SAMPLES": "false",
            **(settings or {}),
        }
        self.begun_ns = time.time_ns()
        self.processes: dict[str, Running] = {}
        self.acknowledged: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self._next = 0
        self._lock = threading.Lock()

    def start(self, roles: Mapping[str, str], settings: Mapping[str, str] | None = None) -> None:
        """Processes by name, with these roles, all at once."""

        def one(name: str) -> None:
            found = start(
                self.folder / name,
                self.config,
                log=self.folder / f"{name}.log",
                settings=self.settings | {"ROLES": roles[name], **(settings or {})},
            )
            self.processes[name] = found

        with ThreadPoolExecutor(len(roles)) as pool:
            list(pool.map(one, roles))

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send it to one process."""
        os.kill(self.processes[name].process.pid, number)

    def connections(self, *, allowed: bool) -> None:
        """Let the catalog take connections, or take none and end those that are there."""
        self.catalogs.execute(f'alter database "{self.database}" allow_connections {allowed}')
        if not allowed:
            self.catalogs.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                f"where datname = '{self.database}'"
            )

    def kill(self, name: str) -> None:
        """The process ends at once."""
        self.signal(name, signal.SIGKILL)
        self.processes[name].process.wait()

    def stop(self) -> None:
        """All of them."""
        for name, found in self.processes.items():
            with contextlib.suppress(ProcessLookupError):
                self.signal(name, signal.SIGCONT)
            found.process.terminate()
        for found in self.processes.values():
            stop(found)

    def ask(
        self,
        name: str,
        path: str,
        body: bytes | None = None,
        *,
        timeout_s: float = DEADLINE_S,
        **parameters: str,
    ) -> tuple[int, str]:
        """Status and text; status 0 when there was no answer."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        url = f"{self.processes[name].url}{path}{query}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, TimeoutError) as error:
            return 0, repr(error)

    def push(self, name: str, count: int = 20, *, timeout_s: float = DEADLINE_S) -> int:
        """New lines; the status. They count when they were acknowledged."""
        with self._lock:
            first, self._next = self._next, self._next + count
        lines = [f"level=info n={first + k} took={k}ms by={name}" for k in range(count)]
        values = [[str(self.begun_ns + first + k), line] for k, line in enumerate(lines)]
        body = {"streams": [{"stream": {"app": "a"}, "values": values}]}
        status, _ = self.ask(
            name, "/loki/api/v1/push", json.dumps(body).encode(), timeout_s=timeout_s
        )
        with self._lock:
            if status == 204:
                self.acknowledged.update(lines)
            else:
                self.refused[status] += 1
        return status

    def query(self, name: str, step: int = 4000) -> Counter[str]:
        """All lines that a querier sees, in pieces of time."""
        found: Counter[str] = Counter()
        for low in range(0, self._next + 1, step):
            status, text = self.ask(
                name,
                "/loki/api/v1/query_range",
                query='{app="a"}',
                start=str(self.begun_ns + low),
                end=str(self.begun_ns + low + step),
                limit="5000",
            )
            assert status == 200, text
            answer = json.loads(text)
            assert not answer.get("warnings"), answer["warnings"]
            for stream in answer["data"]["result"]:
                found.update(line for _, line in stream["values"])
        return found

    def count(self, name: str) -> int:
        """How many lines a metric query counts."""
        status, text = self.ask(
            name,
            "/loki/api/v1/query",
            query='sum(count_over_time({app="a"}[1h]))',
            time=str(self.begun_ns + 600 * SECOND_NS),
        )
        assert status == 200, text
        (sample,) = json.loads(text)["data"]["result"]
        return int(sample["value"][1])

    def check(self, *queriers: str) -> None:
        """Each sees what was acknowledged exactly once; of what was refused, nothing twice."""
        for name in queriers:
            found = self.query(name)
            missing = self.acknowledged - found
            assert not missing, f"{name} misses {len(missing)}, as {next(iter(missing))}"
            twice = [line for line, times in found.items() if times > 1]
            assert not twice, f"{name} has {len(twice)} twice, as {twice[0]}"
            if not self.refused:
                assert found == self.acknowledged

    def log(self, name: str) -> str:
        """What a process told."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < deadline, what
            time.sleep(0.2)

    def journals(self, name: str) -> Sequence[dict[str, object]]:
        """Those that are not retired, as a process's `/status` tells."""
        found: Sequence[dict[str, object]] = json.loads(self.ask(name, "/status")[1])["journals"]
        return found


@contextlib.contextmanager
def stores(binaries: Path) -> Iterator[tuple[s3.S3, postgres.Postgres]]:
    """A server for objects and one for catalogs; processes find the credentials."""
    before = {name: os.environ.get(name) for name in s3.CREDENTIALS}
    os.environ.update(s3.CREDENTIALS)
    try:
        with s3.running() as blocks, postgres.running(binaries) as catalogs:
            yield blocks, catalogs
    finally:
        for name, text in before.items():
            if text is None:
                del os.environ[name]
            else:
                os.environ[name] = text
