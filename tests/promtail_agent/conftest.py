"""A server that records pushes, agents in this process, and CRI files."""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mmdb_writer
import netaddr
import pytest
import snappy

from narfi.core.wire.gen import push_pb2
from promtail_agent.agent import Agent
from promtail_agent.config_file import load_agent_config
from tests.servers.certificates import Certificates, make_certificates

Entry = tuple[str, int, str]  # labels, ts_ns, line


class PushServer:
    """Records what is pushed; answers with the queued statuses first, then with 204."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.entries: list[Entry] = []
        self.tenants: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.metadata: list[list[tuple[str, str]]] = []
        self.statuses: list[int] = []
        self.retry_after = ""
        self.arrivals_s: list[float] = []
        self.down = False
        self._lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = recorder.record(dict(self.headers), body)
                text = b"" if status < 300 else b"refused for the test\n"
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                if status >= 300 and recorder.retry_after:
                    self.send_header("Retry-After", recorder.retry_after)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_args: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if tls is not None:
            scheme, self._server.socket = "https", tls.wrap_socket(self._server.socket, True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/loki/api/v1/push"

    def record(self, headers: dict[str, str], body: bytes) -> int:
        request = push_pb2.PushRequest.FromString(snappy.decompress(body))
        with self._lock:
            self.headers.append(headers)
            self.arrivals_s.append(time.monotonic())
            if self.down:
                return 503
            if self.statuses:
                status = self.statuses.pop(0)
                if status >= 300:
                    return status
            for stream in request.streams:
                for entry in stream.entries:
                    ts_ns = entry.timestamp.seconds * 10**9 + entry.timestamp.nanos
                    self.entries.append((stream.labels, ts_ns, entry.line))
                    self.metadata.append([(p.name, p.value) for p in entry.structuredMetadata])
                    self.tenants[
                        headers.get("X-Scope-Orgid", headers.get("X-Scope-OrgID", ""))
                    ] += 1
        return 204

    def lines(self) -> list[str]:
        with self._lock:
            return [line for _, _, line in self.entries]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[PushServer]:
    """A recording server on a free port."""
    recorder = PushServer()
    yield recorder
    recorder.close()


PATIENCE_S = 90.0
"""A machine at a quarter of its speed needs seconds for what takes a tenth of one elsewhere."""


def wait_until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Wait, or fail; nobody waits for less than others would."""
    until = time.monotonic() + max(timeout_s, PATIENCE_S)
    while not condition():
        assert time.monotonic() < until, "did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """`eventually(condition)` waits for it, or fails."""
    return wait_until


@pytest.fixture
def agent_yaml(tmp_path: Path, server: PushServer) -> Callable[..., Path]:
    """Write a config that reads `<tmp>/pods/*/*/*.log`, quick enough for tests."""

    def write(stages: str = "[{cri: {}}]", client: str = "", job: str = "", top: str = "") -> Path:
        text = f"""
clients:
  - url: {server.url}
    batchwait: 50ms
    backoff_config: {{min_period: 20ms, max_period: 100ms}}
    {client}
positions:
  filename: {tmp_path}/positions.yaml
  sync_period: 100ms
target_config: {{sync_period: 100ms}}
global: {{file_watch_config: {{min_poll_frequency: 20ms, max_poll_frequency: 20ms}}}}
scrape_configs:
  - job_name: pods
    static_configs:
      - labels: {{job: pods, __path__: {tmp_path}/pods/*/*/*.log}}
    pipeline_stages: {stages}
    {job}
{top}
"""
        file = tmp_path / "agent.yaml"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def start_agent() -> Iterator[Callable[[Path], Agent]]:
    """Start agents in this process; those still running are stopped at the end."""
    running: list[Agent] = []

    def start(file: Path) -> Agent:
        agent = Agent(load_agent_config(file))
        running.append(agent)
        agent.start()
        saver = threading.Event()
        threading.Thread(target=agent.wait, args=(saver,), daemon=True).start()
        plain_stop = agent.stop

        def stop() -> None:
            saver.set()
            if agent in running:
                running.remove(agent)
                plain_stop()

        agent.stop = stop  # type: ignore[method-assign]  # so that tests may stop twice
        return agent

    yield start
    for agent in running:
        agent.stop()


@pytest.fixture
def container_log(tmp_path: Path) -> Path:
    """The log file of a container, in the kubelet's layout; it does not exist yet."""
    file = tmp_path / "pods" / "shop_api-7d4f_0a1b" / "api" / "0.log"
    file.parent.mkdir(parents=True)
    return file


_counter = 0


def cri(text: str, flag: str = "F", stream: str = "stdout") -> str:
    """A CRI line with a time of its own."""
    global _counter
    _counter += 1
    return f"2025-10-09T08:00:00.{_counter:09d}Z {stream} {flag} {text}\n"


@pytest.fixture
def append() -> Callable[..., None]:
    """Append texts to a file as CRI lines."""

    def write(file: Path, *texts: str) -> None:
        with file.open("a") as out:
            out.writelines(cri(text) for text in texts)

    return write


def _write_db(path: Path, kind: str, network: str, record: dict[str, object]) -> Path:
    writer = mmdb_writer.MMDBWriter(ip_version=6, ipv4_compatible=True, database_type=kind)
    writer.insert_network(netaddr.IPSet([network]), record)
    writer.to_db_file(str(path))
    return path


@pytest.fixture(scope="session")
def city_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of places that knows 192.0.2.0/24."""
    record: dict[str, object] = {
        "city": {"names": {"en": "Gent"}},
        "country": {"names": {"en": "Belgium"}},
        "continent": {"names": {"en": "Europe"}, "code": "EU"},
        "location": {"latitude": 51.05, "longitude": 3.72, "time_zone": "Europe/Brussels"},
        "postal": {"code": "9000"},
        "subdivisions": [{"names": {"en": "East Flanders"}, "iso_code": "VOV"}],
    }
    path = tmp_path_factory.mktemp("geo") / "city.mmdb"
    return _write_db(path, "GeoLite2-City", "192.0.2.0/24", record)


@pytest.fixture(scope="session")
def asn_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of networks that knows 192.0.2.0/24."""
    record: dict[str, object] = {
        "autonomous_system_number": 64496,
        "autonomous_system_organization": "Example Net",
    }
    path = tmp_path_factory.mktemp("geo") / "asn.mmdb"
    return _write_db(path, "GeoLite2-ASN", "192.0.2.0/24", record)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made by openssl."""
    return make_certificates(tmp_path_factory.mktemp("tls"))
