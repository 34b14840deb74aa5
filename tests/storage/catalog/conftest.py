"""The catalog on every engine: each test of behaviour runs on SQLite and on a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from narfi.core.clock import Clock, ManualClock
from storage.catalog.sql import SqlCatalog
from tests.servers import postgres


class Opener:
    """Opens one catalog, as often as a test wants: each is a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._open: list[SqlCatalog] = []

    def __call__(self, clock: Clock | None = None) -> SqlCatalog:
        """Another connection pool on the same database."""
        found = SqlCatalog(self.url, clock)
        self._open.append(found)
        return found

    def close(self) -> None:
        """All that were opened."""
        for catalog in self._open:
            catalog.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One server for all tests; each has a database of its own."""
    with postgres.running(postgres.needed()) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """An empty database."""
    if request.param == "sqlite":
        opener = Opener(f"sqlite:///{tmp_path}/catalog.db")
    else:
        opener = Opener(request.getfixturevalue("postgres_server").fresh())
    yield opener
    opener.close()


@pytest.fixture
def clock() -> ManualClock:
    """A clock at 100 ns."""
    return ManualClock(100)
