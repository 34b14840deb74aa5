"""Is this the only server on a catalog that others can reach? A lock in the database says so.

Processes of one cluster, whose journals have leases, hold it together.
It is held by a connection of its own and goes with it, so it is looked at from time to time: who
lost the connection takes the lock again. SQLite needs none: it lies in the data folder, which the
journal's lock guards. Two servers could not destroy anything, but each would hide from its answers
what the other one has not flushed.
"""

import time

import sqlalchemy as sa

from storage.catalog.base import CatalogError
from storage.catalog.database import FAILURES, Database, told

SERVING = 0x6E6172666900
"""Key of PostgreSQL's advisory lock."""
PATIENCE_S = 10.0
"""For the database to notice that the server before this one is gone."""
LOOK_AGAIN_S = 0.2


class OtherServerError(CatalogError):
    """Another server uses the catalog."""

    def __init__(self) -> None:
        super().__init__(
            "another server uses this catalog: several work together only when all of them have "
            "ingester.journal: objects"
        )


class OnlyServer:
    """The lock of this process; used by one thread at a time."""

    def __init__(
        self, database: Database, patience_s: float = PATIENCE_S, *, shared: bool = False
    ) -> None:
        """Take it, alone or with others; raises `OtherServerError` after some patience."""
        self._database = database
        self._lock = sa.func.pg_try_advisory_lock_shared if shared else sa.func.pg_try_advisory_lock
        self._connection: sa.Connection | None = None
        deadline = time.monotonic() + patience_s
        while True:
            try:
                self.hold()
            except OtherServerError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_AGAIN_S)
            else:
                return

    def hold(self) -> None:
        """Return while the lock is held; one that was lost is taken again.

        Raises `OtherServerError` when somebody else has it, `CatalogError` in an outage.
        """
        if self._database.engine.dialect.name == "sqlite":
            return
        try:
            if not self._is_held():
                self._take()
        except FAILURES as error:
            self._drop()
            raise CatalogError(f"the catalog cannot be read: {told(error)}") from error

    def _is_held(self) -> bool:
        if self._connection is None:
            return False
        try:
            self._connection.execute(sa.select(1))
        except FAILURES:
            self._drop()
            return False
        return True

    def _take(self) -> None:
        connection = self._database.engine.connect()
        connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            lock = sa.select(self._lock(SERVING))
            mine = bool(connection.execute(lock).scalar_one())
        except FAILURES:
            connection.close()
            raise
        if not mine:
            connection.close()
            raise OtherServerError
        self._connection = connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Give the lock back."""
        self._drop()
