"""Does `narfi migrate` bring a real PostgreSQL database up to date, however many do it at once?"""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from storage.catalog.sql import SqlCatalog
from storage.catalog.tables import SCHEMA
from tests.servers import postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def catalogs() -> Iterator[postgres.Postgres]:
    """A server."""
    with postgres.running(postgres.needed()) as found:
        yield found


def migrate(url: str) -> subprocess.Popen[str]:
    """The command, begun."""
    environment = {**os.environ, "NARFI_CATALOG__URL": url}
    command = [sys.executable, "-m", "narfi.cli", "migrate"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


def setting(catalogs: postgres.Postgres) -> str:
    """An empty database as `catalog.url` names it."""
    return catalogs.fresh().replace("postgresql+psycopg://", "postgresql://")


def test_several_at_once_and_once_more(catalogs: postgres.Postgres) -> None:
    url = setting(catalogs)
    for _ in range(2):
        running = [migrate(url) for _ in range(3)]
        ended = [(process.communicate(), process.returncode) for process in running]
        assert ended == [((f"the catalog has schema {SCHEMA}\n", ""), 0)] * 3
    catalog = SqlCatalog(url)  # what a server finds
    assert catalog.tenants() == []
    catalog.close()


def test_a_newer_catalog_is_refused(catalogs: postgres.Postgres) -> None:
    url = setting(catalogs)
    assert migrate(url).wait() == 0
    catalog = SqlCatalog(url)
    with catalog.database.engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    catalog.close()
    refused = migrate(url)
    assert "was written by a newer version" in refused.communicate()[1]
    assert refused.returncode == 4


def test_without_a_database() -> None:
    done = migrate("")
    assert "catalog.url is not set" in done.communicate()[1]
    assert done.returncode == 1
