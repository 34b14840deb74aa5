"""How does a command have a catalog in PostgreSQL for itself? By the lock that servers hold."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from narfi.core.clock import Clock
from storage.catalog.only_server import OnlyServer
from storage.catalog.sql import SqlCatalog

PATIENCE_S = 5.0
"""For the database to notice that the last server is gone."""


@contextmanager
def alone_on_database(url: str, clock: Clock) -> Iterator[SqlCatalog]:
    """The catalog, upgraded, while no server uses it; raises `OtherServerError`."""
    with (
        closing(SqlCatalog(url, clock)) as catalog,
        closing(OnlyServer(catalog.database, PATIENCE_S)),
    ):
        yield catalog
