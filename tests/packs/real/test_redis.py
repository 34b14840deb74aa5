"""Does the redis pack tell what a real master and its replica do, and what is wrong with them?"""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.server import free_port
from tests.packs.real.watching import DEADLINE_S, Program, Watched, eventually


@contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 30) as found:
        yield found


def _ask(port: int, *commands: str) -> str:
    """What the server answers to commands, one a line."""
    answers = ""
    with _connected(port) as client, client.makefile("r") as reading:
        for command in commands:
            client.sendall(f"{command}\r\n".encode())
            answers += reading.readline()
    return answers


def _wait(port: int) -> None:
    until_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            if _ask(port, "PING") == "+PONG\n":
                return
        except OSError:
            pass
        assert time.monotonic() < until_s
        time.sleep(0.1)


def _server(binary: str, folder: Path, port: int, *more: str) -> Program:
    data = folder / "data"
    data.mkdir(parents=True)
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data)]
    command += ["--save", "", "--repl-diskless-sync-delay", "0", *more]
    return Program(command=command, log=folder / "redis.log")


def _replication(port: int) -> str:
    with _connected(port) as client:
        client.sendall(b"INFO replication\r\n")
        return client.recv(65536).decode()


def test_redis(
    program: Callable[[str], str], watch: Callable[[str], Watched], tmp_path: Path
) -> None:
    binary, port, replica_port = program("redis-server"), free_port(), free_port()
    pack = watch("redis")
    files = {name: tmp_path / name / "redis.log" for name in ("master", "replica")}
    follow = ("--replicaof", "127.0.0.1", str(port))
    with ExitStack() as running:
        running.enter_context(_server(binary, tmp_path / "master", port))
        _wait(port)
        running.enter_context(_server(binary, tmp_path / "replica", replica_port, *follow))
        running.enter_context(pack.following(tmp_path, files))
        _wait(replica_port)
        assert _ask(port, *(f"SET key:{n} {n}" for n in range(50))) == "+OK\n" * 50
        eventually(lambda: "state=online" in _replication(port), True)
        assert "Background saving started" in _ask(port, "BGSAVE")
        eventually(lambda: "DB saved on disk" in "\n".join(pack.lines("Saves")), True)
        starts = pack.lines("Starts and role changes")
        assert sum("Ready to accept connections" in line for line in starts) == 2
        roles = pack.values("Lines by role", "role")
        assert roles.keys() >= {("master",), ("replica",), ("child",)}
        assert pack.alerts() == set()

        for _ in range(2):  # each side tells a loss
            eventually(lambda: "state=online" in _replication(port), True)
            assert _ask(port, "CLIENT KILL TYPE replica") == ":1\n"
        held = {"RedisReplicationBroken"}
        eventually(pack.alerts, held)

        shutil.rmtree(tmp_path / "master/data")
        _ask(port, "BGSAVE")
        held |= {"RedisCannotSave"}
        eventually(pack.alerts, held)
        assert ("Failed opening the temp RDB file",) in pack.values("By reason", "reason")

        # Who is refused is told by a replica alone: the server itself writes nothing of it.
        with _connected(port), _connected(port):
            limited = _ask(port, "CONFIG SET maxclients 1", "CLIENT KILL TYPE replica")
            assert limited == "+OK\n:1\n"
            held |= {"RedisClientsRefused"}
            eventually(pack.alerts, held)
