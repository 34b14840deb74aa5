"""Does the harbor pack read what a real rsyslog, Harbor's collector, hands on?

Harbor itself does not run here: its lines are written as Docker's syslog driver sends them.
"""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from string import Template

import yaml

from benchmarks.server import free_port
from promtail_agent.packs.load import Shelf
from tests.packs.real.watching import Program, Watched, eventually

CONFIG = """
global(workDirectory="{folder}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{source}")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
       template="RSYSLOG_SyslogProtocol23Format")
"""
NORMAL = (
    ("core", "[INFO] [/core/main.go:312]: Version: v2.14.0"),
    ("core", "[WARNING] [/core/auth/authenticator.go:158]: Login failed, locking ci, and sleep"),
    (
        "jobservice",
        "[INFO] [/jobservice/runner/redis.go:152]: Job 'REPLICATION:0e07' exit with success",
    ),
    ("jobservice", "[ERROR] [/jobservice/runner/redis.go:122]: Job 'SCAN:0e07' exit with error: x"),
)
FAILED = "[ERROR] [/jobservice/runner/redis.go:122]: Job 'REPLICATION:1e07' exit with error: x"
FATAL = "[FATAL] [/core/main.go:190]: failed to initialize database: connection refused"
ACCESS = '203.0.113.36 - "GET {path} HTTP/1.1" {status} 51 "-" "docker/27.3.1" 0.180 0.180 .'


class _Docker:
    """The syslog driver: RFC 3164 without a host, a message a line."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def say(self, component: str, line: str) -> None:
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
        self._connection.sendall(f"<30>{stamp} {component}[961]: {line}\n".encode())

    def log(self, component: str, text: str) -> None:
        self.say(component, f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}")


def _connected(port: int, rsyslog: Program) -> socket.socket:
    until_s = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 30)
        except OSError:
            assert time.monotonic() < until_s, rsyslog.log.read_text()
            time.sleep(0.1)


def test_harbor(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    source, port, pack = free_port(), free_port(), watch("harbor")
    config = tmp_path / "rsyslog.conf"
    config.write_text(CONFIG.format(folder=tmp_path, source=source, port=port))
    command = [program("rsyslogd"), "-n", "-f", str(config), "-i", str(tmp_path / "pid")]
    variables = {"syslog": f"127.0.0.1:{port}"}
    own = (Shelf.of_environment({}).find("harbor").folder / "scrape.yaml").read_text()
    job, _ = yaml.safe_load(Template(own).safe_substitute(variables))
    with ExitStack() as running:
        agent = running.enter_context(pack.agent(tmp_path, [job]))
        _connected(port, agent).close()
        rsyslog = running.enter_context(Program(command=command, log=tmp_path / "rsyslog.log"))
        harbor = _Docker(running.enter_context(_connected(source, rsyslog)))
        for component, text in NORMAL:
            harbor.log(component, text)
        for n in range(100):
            path = f"/v2/shop/web/manifests/{n}"
            harbor.say("proxy", ACCESS.format(path=path, status=502 if n == 7 else 200))
        eventually(lambda: pack.count(), len(NORMAL) + 100)
        front = pack.values("Server errors at the front", "path", "status")
        assert front == {("/v2/shop/web/manifests/7", "502"): 1}
        assert pack.values("Failed sign-ins by name", "who") == {("ci",): 1}
        assert pack.values("Failed jobs by kind", "job") == {("SCAN",): 1}
        assert pack.alerts() == set()

        for _ in range(2):
            harbor.log("jobservice", FAILED)
            time.sleep(1.1)  # stamps are to the second, and an equal line would be the same entry
        held = {"HarborJobsFail"}
        eventually(pack.alerts, held)

        for n in range(20):
            harbor.say("proxy", ACCESS.format(path=f"/api/v2.0/projects/{n}", status=500))
        held |= {"HarborFrontErrors"}
        eventually(pack.alerts, held)

        harbor.log("core", FATAL)
        held |= {"HarborFatal"}
        eventually(pack.alerts, held)
