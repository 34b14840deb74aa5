"""Does the mysql pack tell what a real MariaDB does, and what is wrong with those who use it?"""

import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import free_port
from tests.packs.real.watching import DEADLINE_S, Program, Watched, eventually

TABLES = """
CREATE DATABASE shop;
CREATE TABLE shop.stock (id INT PRIMARY KEY, n INT) ENGINE=InnoDB;
INSERT INTO shop.stock VALUES (1, 0), (2, 0);
CREATE USER app@localhost IDENTIFIED BY 'right';
GRANT ALL ON shop.* TO app@localhost;
"""
SLOW_S = 0.6
MOST_CLIENTS = 10


@dataclass(frozen=True, kw_only=True)
class Database:
    """A server that is asked by the program's own client."""

    client: str
    socket: Path

    def ask(self, text: str, user: str = "root", password: str = "", database: str = "") -> str:
        """What the client prints, its errors too."""
        command = [self.client, "--no-defaults", f"--socket={self.socket}", f"--user={user}"]
        command += [f"--password={password}", "--batch", database]
        done = subprocess.run(
            [word for word in command if word], input=text, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    def shop(self, text: str) -> str:
        """Asked by the program that the database is for."""
        return self.ask(text, "app", "right", "shop")

    def wait(self, server: Program) -> None:
        """Until it answers."""
        until_s = time.monotonic() + DEADLINE_S
        while "1" not in self.ask("SELECT 1"):
            assert server.process is not None
            assert server.process.poll() is None, server.log.read_text()
            assert time.monotonic() < until_s, server.log.read_text()
            time.sleep(0.2)


def _server(program: Callable[[str], str], folder: Path) -> Program:
    binary = program("mariadbd")
    tree = Path(binary).resolve().parents[1] / "root/usr"
    install = [program("mariadb-install-db"), "--no-defaults", f"--basedir={tree}"]
    install += [f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal"]
    subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
    command = [binary, "--no-defaults", "--user=root", f"--basedir={tree}"]
    command += [f"--lc-messages-dir={tree}/share/mysql", f"--datadir={folder / 'data'}"]
    command += [f"--socket={folder / 's'}", f"--port={free_port()}", "--bind-address=127.0.0.1"]
    command += [f"--pid-file={folder / 'pid'}", f"--log-error={folder / 'error.log'}"]
    command += ["--slow-query-log", f"--slow-query-log-file={folder / 'slow.log'}"]
    command += ["--long-query-time=0.5", "--log-warnings=2", "--innodb-print-all-deadlocks"]
    command += [f"--max-connections={MOST_CLIENTS}"]
    return Program(command=command, log=folder / "mariadb.out")


def _deadlock(database: Database) -> None:
    """Two transactions, each with what the other wants."""

    def change(first: int, second: int) -> str:
        take = "UPDATE stock SET n = n + 1 WHERE id = {};"
        steps = ["BEGIN;", take.format(first), "SELECT SLEEP(0.4);", take.format(second), "COMMIT;"]
        return database.shop("\n".join(steps))

    with ThreadPoolExecutor(2) as both:
        told = list(both.map(change, (1, 2), (2, 1)))
    assert sum("Deadlock found" in one for one in told) == 1


def _forgotten(database: Database) -> None:
    """A program that goes away and leaves its connection to the server's patience."""
    told = database.shop("SET SESSION wait_timeout = 1;\nSELECT 1;\n\\! sleep 2.5\n")
    assert told.startswith("1\n1\n")


def test_mariadb(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    pack, folder = watch("mysql"), tmp_path
    files = {"error": folder / "error.log", "slow": folder / "slow.log"}
    database = Database(client=program("mariadb"), socket=folder / "s")
    with _server(program, folder) as server, pack.following(folder, files):
        database.wait(server)
        assert database.ask(TABLES) == ""
        assert database.shop("SELECT COUNT(*) FROM stock;\n") == "COUNT(*)\n2\n"
        for _ in range(3):
            database.shop(f"SELECT SLEEP({SLOW_S});\n")
        database.shop("SELECT SLEEP(1.1), 'late';\n")
        eventually(lambda: sum("'late'" in line for line in pack.lines("Slow statements")), 1)
        assert 1.1 <= pack.values("Slowest statement", "user")[("app",)] < DEADLINE_S
        written = pack.ask(f'{{log="slow"}} |= "SLEEP({SLOW_S})"')
        assert sum(len(stream["values"]) for stream in written) == 3
        eventually(lambda: pack.count('| detected_level="info"') > 10, True)
        assert pack.count('| detected_level="unknown" | log="error"') <= 1  # `Version: …`
        assert pack.answers()["Refused sign-ins"] == 0
        assert pack.alerts() == set()

        for _ in range(12):
            assert "Access denied" in database.ask("SELECT 1;", "app", "wrong")
        eventually(lambda: pack.values("Refused sign-ins", "user"), {("app",): 12})
        held = {"MysqlAccessDenied"}
        eventually(pack.alerts, held)

        for _ in range(3):
            _deadlock(database)
        eventually(lambda: len(pack.lines("Deadlocks")), 3)
        held |= {"MysqlDeadlocks"}
        eventually(pack.alerts, held)
        blocks = pack.ask('{log="error"} |= "WAITING FOR THIS LOCK"')
        lines = [value[1] for stream in blocks for value in stream["values"]]
        assert len(lines) >= 3
        assert all("RECORD LOCKS" in line for line in lines)  # one entry with what follows

        with ThreadPoolExecutor(6) as some:
            list(some.map(_forgotten, [database] * 12))
        aborted = {("app", "shop"): 12}
        eventually(lambda: pack.values("Aborted connections", "user", "database"), aborted)
        held |= {"MysqlAbortedConnections"}
        eventually(pack.alerts, held)

        with ThreadPoolExecutor(MOST_CLIENTS + 4) as many:
            told = list(many.map(database.shop, ["SELECT SLEEP(2);\n"] * (MOST_CLIENTS + 4)))
        assert any("Too many connections" in one for one in told)
        eventually(lambda: "MysqlTooManyConnections" in pack.alerts(), True)
