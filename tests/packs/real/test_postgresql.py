"""Does the postgresql pack tell what a real PostgreSQL does, and what is wrong with it?"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.packs.real.watching import Watched, eventually
from tests.servers.postgres import Postgres, binaries, running

SETTINGS = {
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_duration_statement": "200ms",
    "log_lock_waits": "on",
    "log_checkpoints": "on",
    "log_connections": "on",
    "deadlock_timeout": "100ms",
    "max_wal_size": "32MB",
    "min_wal_size": "32MB",
}
ACCESS = "host all narfi 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
DEADLOCKS = 3


def _session(
    server: Postgres, user: str = "shop", password: str = "open sesame", dbname: str = "shop"
) -> psycopg.Connection:
    where = f"host=127.0.0.1 port={server.port} connect_timeout=60"
    return psycopg.connect(where, user=user, password=password, dbname=dbname)


def _refused(
    server: Postgres, user: str = "shop", password: str = "open sesame", dbname: str = "shop"
) -> None:
    with pytest.raises(psycopg.OperationalError):
        _session(server, user, password, dbname)


def _set_up(server: Postgres) -> None:
    (server.log.parent / "data/pg_hba.conf").write_text(ACCESS)
    for name, value in SETTINGS.items():
        server.execute(f"alter system set {name} = '{value}'")
    server.execute("select pg_reload_conf()")
    server.execute("create role shop login password 'open sesame'")
    server.execute("create database shop owner shop")


def _work(server: Postgres) -> None:
    with _session(server) as session:
        session.execute("create table orders (id int primary key, paid bool)")
        session.execute("insert into orders select n, false from generate_series(1, 50) n")
        session.commit()
        session.execute("select pg_sleep(1.2)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            session.execute("select *\nfrom nowhere")
    server.execute("checkpoint")
    _refused(server, password="mistyped")


def _deadlock(server: Postgres) -> None:
    """Two sessions, each of which wants what the other has; one of them is ended."""
    first_locks = threading.Barrier(2)
    ended = []

    def pay(first: int, second: int) -> None:
        with _session(server) as session:
            session.execute("update orders set paid = true where id = %s", [first])
            first_locks.wait(60)
            try:
                session.execute("update orders set paid = true where id = %s", [second])
            except psycopg.errors.DeadlockDetected:
                session.rollback()
                ended.append(first)

    both = [threading.Thread(target=pay, args=ids) for ids in ((1, 2), (2, 1))]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(ended) == 1


def _fill_wal(server: Postgres) -> None:
    for _ in range(8):
        server.execute("select pg_switch_wal() from pg_logical_emit_message(true, 'a', 'b')")
        time.sleep(0.2)


def test_postgresql(watch: Callable[[str], Watched], tmp_path: Path) -> None:
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL")
    pack = watch("postgresql")
    with running(folder) as server, pack.following(tmp_path, {"main": server.log}):
        _set_up(server)
        _work(server)
        eventually(
            lambda: pack.values("Failed sign-ins", "user", "database"), {("shop", "shop"): 1}
        )
        missing = ('relation "nowhere" does not exist', "shop")
        errors = pack.values("Errors by text", "err", "database")
        assert errors[missing] == 1
        slow = pack.lines("Slow statements")  # on a busy machine others are slow too
        assert sum("pg_sleep(1.2)" in line for line in slow) == 1
        slowest = pack.values("Slowest statement", "database")
        assert 1200 <= slowest[("shop",)] < 60_000
        assert any("immediate force wait" in line for line in pack.lines("Checkpoints"))
        assert any("ERROR:  relation" in line for line in pack.lines("Errors"))
        assert pack.count(' |= "STATEMENT:  select *" |= "from nowhere"') == 1  # two lines of it
        assert pack.answers()["Deadlocks and waits"] == 0
        assert pack.alerts() == set()

        for _ in range(6):
            _refused(server, password="guessed")
        eventually(
            lambda: pack.values("Failed sign-ins", "user", "database"), {("shop", "shop"): 7}
        )
        held = {"PostgresWrongPasswords"}
        assert pack.alerts() == held

        for _ in range(DEADLOCKS):
            _deadlock(server)
        held |= {"PostgresDeadlocks"}
        eventually(pack.alerts, held)
        waits = pack.lines("Deadlocks and waits")
        assert sum("ERROR:  deadlock detected" in line for line in waits) == DEADLOCKS

        _refused(server, user="narfi", dbname="nowhere")
        held |= {"PostgresFatal"}
        eventually(pack.alerts, held)

        _fill_wal(server)
        held |= {"PostgresCheckpointsTooOften"}
        eventually(pack.alerts, held)
