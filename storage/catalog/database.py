"""How are statements run on the catalog's database? Transactions, retries, our errors; two engines.

SQLite: WAL, synced at every commit. PostgreSQL: connections are looked at before they are used, and
a transaction that lost its connection, a deadlock, a race of serialisation or one for the same new
row is run again. A commit whose outcome is unknown is run again too: every transaction of the
catalog may be done twice.
"""

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from storage.catalog.base import CatalogError, NewerCatalogError
from storage.catalog.metrics import CATALOG_RETRIES, counted
from storage.catalog.newest import make_newest
from storage.catalog.tables import SCHEMA

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"
TRIES = 3
"""Of a transaction that failed for a reason that goes away."""
PAUSE_S = 0.05
MIGRATION_LOCK = 0x6E61726669  # "narfi"
"""Key of the advisory lock under which the schema is changed."""
MIGRATION_PATIENCE = "15min"
"""For the lock and for one statement of a migration; a large table takes its time."""
FAILURES = (sa.exc.SQLAlchemyError, UnicodeDecodeError)
"""What a database raises; the second one when damaged text is told."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
WAYS_OUT = "put back a backup (narfi restore), or narfi repair --rebuild-catalog"
_AGAIN = ("40001", "40P01", "23505")
"""SQLSTATE: serialization failure, deadlock detected, unique violation.

The last: two transactions insert one row at once; run again, the loser finds the winner's.
"""
_POSTGRESQL: dict[str, Any] = {
    "pool_pre_ping": True,
    "pool_size": 10,
    "connect_args": {
        "connect_timeout": 10,
        "options": "-c statement_timeout=60s -c lock_timeout=10s "
        "-c idle_in_transaction_session_timeout=60s "
        # so that the locks of a machine that is gone go soon
        "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
    },
}


class Database:
    """The connections of one process; thread-safe (a connection per use, pooled)."""

    def __init__(self, url: str) -> None:
        sqlite = url.startswith("sqlite")
        self.engine = connections(url)
        if sqlite:
            sa.event.listen(self.engine, "connect", _configure_sqlite)
        try:
            fault = self._fault() if sqlite else None
            if fault is None:
                self._upgrade()
        except FAILURES as error:
            self.engine.dispose()
            message = f"the catalog {self._where()} cannot be opened: {told(error)}"
            raise CatalogError(message) from error
        except BaseException:
            self.engine.dispose()
            raise
        if fault is not None:
            self.engine.dispose()
            raise CatalogError(f"the catalog {self._where()} is damaged ({fault}); {WAYS_OUT}")

    def _where(self) -> str:
        return self.engine.url.render_as_string(hide_password=True)

    def _fault(self) -> str | None:
        """What is wrong with a database file; a look at every page (40 ms for 100,000 blocks)."""
        with self.engine.connect() as connection:
            (found, *_) = connection.exec_driver_sql("PRAGMA quick_check(1)").scalars()
        return None if found == "ok" else " ".join(str(found).split())

    def _upgrade(self) -> None:
        """Bring the schema up to date; one that is costs a look, and a new one no migrations."""
        if self._schema() == SCHEMA:
            return
        import alembic.command  # a start that changes nothing need not wait for it
        import alembic.config
        import alembic.util

        config = alembic.config.Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self.engine.begin() as connection:
            self._begin(connection)
            if self.engine.dialect.name != "sqlite":
                for name in ("lock_timeout", "statement_timeout"):
                    connection.exec_driver_sql(f"set local {name} = '{MIGRATION_PATIENCE}'")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            if make_newest(connection):
                return
            config.attributes["connection"] = connection
            try:
                alembic.command.upgrade(config, "head")
            except alembic.util.CommandError as error:
                raise NewerCatalogError(newer_text(self._where())) from error

    def _schema(self) -> str | None:
        """The revision of the schema; None in a new database."""
        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.execute(
                sa.text("select version_num from alembic_version")
            ).scalar()
            return found

    def _begin(self, connection: sa.Connection) -> None:
        """SQLite takes its lock at the beginning: a transaction never fails for a late one."""
        if self.engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    def write(self, do: Callable[[sa.Connection], T]) -> T:
        """Run `do` in a transaction, again when a try failed for a reason that goes away."""
        with counted("write"):
            return self._written(do)

    def _written(self, do: Callable[[sa.Connection], T]) -> T:
        for left in reversed(range(TRIES)):
            try:
                with self.engine.begin() as connection:
                    self._begin(connection)
                    return do(connection)
            except FAILURES as error:
                if not left or not _passes(error):
                    message = f"the catalog cannot be written: {told(error)}"
                    raise CatalogError(message) from error
            CATALOG_RETRIES.inc()
            time.sleep(PAUSE_S * random.uniform(0.5, 1.5))
        raise AssertionError("the last try returns or raises")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for reading."""
        try:
            with counted("read"), self.engine.connect() as connection:
                yield connection
        except FAILURES as error:
            raise CatalogError(f"the catalog cannot be read: {told(error)}") from error

    def close(self) -> None:
        """Release connections."""
        self.engine.dispose()


def connections(url: str) -> sa.Engine:
    """To a database, which is not opened yet; raises `CatalogError` as `_engine`."""
    return _engine(url, {} if url.startswith("sqlite") else _POSTGRESQL)


def newer_text(where: str) -> str:
    """What is told of a catalog that only a newer version can use."""
    return (
        f"the catalog {where} was written by a newer version of the program: this one knows "
        f"schemas up to {SCHEMA}; start the newer version, or put back a backup made before it"
    )


def _engine(url: str, options: dict[str, Any]) -> sa.Engine:
    """Raises `CatalogError` for a URL that is none, and for a driver that is not there."""
    for name in ("postgresql://", "postgres://"):
        if url.startswith(name):
            url = f"postgresql+psycopg://{url.removeprefix(name)}"
    try:
        return sa.create_engine(url, **options)
    except sa.exc.ArgumentError as error:  # says nothing of the URL: there is a password in it
        raise CatalogError("catalog.url is not the URL of a database") from error
    except ImportError as error:
        message = f"the catalog needs {error.name}: pip install 'narfi[cluster]'"
        raise CatalogError(message) from error


def _passes(error: Exception) -> bool:
    """Whether the same transaction may succeed in a moment."""
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    return error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _AGAIN


def told(error: Exception) -> str:
    """The driver's own words: one line, without statement and parameters."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
    told = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    damaged = getattr(cause, "sqlite_errorcode", None) in DAMAGED or isinstance(cause, UnicodeError)
    return f"{told}; {WAYS_OUT}" if damaged else told


def insert(connection: sa.Connection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    """An insert that can say what is done on a conflict; imports what its database has already."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.close()
