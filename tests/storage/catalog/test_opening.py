"""Does a catalog open as one sentence says, or refuse with one? On every engine."""

import threading
import time

import pytest
import sqlalchemy as sa

from storage.catalog.base import CatalogError
from storage.catalog.database import MIGRATION_LOCK
from storage.catalog.sql import SqlCatalog
from tests.servers.postgres import Postgres
from tests.storage.catalog.conftest import Opener

SECRET = "s3cret"


def test_a_catalog_of_a_newer_version_is_refused(opened: Opener) -> None:
    catalog = opened()
    with catalog.database.engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(CatalogError, match="was written by a newer version of the program"):
        opened()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"nonsense {SECRET}", "is not the URL of a database"),
        (f"oracle9://me:{SECRET}@127.0.0.1/db", "is not the URL of a database"),
        (f"postgresql://me:{SECRET}@127.0.0.1:1/db", "cannot be opened: connection"),
        (f"postgres://me:{SECRET}@127.0.0.1:1/db", "cannot be opened: connection"),
        (f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/db", "cannot be opened: connection"),
    ],
)
def test_what_cannot_be_opened_is_told_without_the_password(url: str, told: str) -> None:
    with pytest.raises(CatalogError) as found:
        SqlCatalog(url)
    assert told in found.value.message
    assert SECRET not in str(found.value)


def test_a_migration_waits_for_the_one_of_another_process(postgres_server: Postgres) -> None:
    """Longer than a statement may wait for a lock else."""
    opened = Opener(postgres_server.fresh())
    holder = sa.create_engine(opened.url)
    done: list[float] = []

    def open_one() -> None:
        opened()
        done.append(time.monotonic())

    with holder.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        thread = threading.Thread(target=open_one)
        thread.start()
        thread.join(1)
        assert not done
        freed = time.monotonic()
    thread.join(60)
    assert done
    assert done[0] > freed
    holder.dispose()
    opened.close()
