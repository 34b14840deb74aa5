"""Is there one server for each database, and does the next one come in when it is gone?"""

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.catalog.base import CatalogError
from storage.catalog.only_server import OnlyServer, OtherServerError
from storage.catalog.sql import SqlCatalog
from tests.servers.postgres import Postgres
from tests.storage.catalog.conftest import Opener

GONE_S = 60


def end_connections(catalog: SqlCatalog) -> None:
    """As a failover of the database does; all but the one that asks. They are gone then."""
    others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
    with catalog.database.reading() as connection:
        connection.execute(sa.text(f"select pg_terminate_backend(pid) {others}"))
        until_s = time.monotonic() + GONE_S
        while connection.execute(sa.text(f"select count(*) {others}")).scalar_one():
            assert time.monotonic() < until_s
            time.sleep(0.01)
            connection.execute(sa.text("select pg_stat_clear_snapshot()"))


def test_a_second_server_is_refused_until_the_first_is_gone(postgres_server: Postgres) -> None:
    opened = Opener(postgres_server.fresh())
    first = OnlyServer(opened().database)
    with pytest.raises(OtherServerError, match="another server uses this catalog"):
        OnlyServer(opened().database, 0)
    first.hold()
    timer = threading.Timer(0.5, first.close)
    timer.start()
    OnlyServer(opened().database, 60).close()
    timer.join()
    opened.close()


def test_a_lock_that_was_lost_is_taken_again_or_told(postgres_server: Postgres) -> None:
    opened = Opener(postgres_server.fresh())
    administrator = opened()
    first = OnlyServer(opened().database)
    end_connections(administrator)
    first.hold()
    end_connections(administrator)
    second = OnlyServer(opened().database, 60)
    with pytest.raises(OtherServerError):
        first.hold()
    second.close()
    first.hold()
    opened.close()


def test_an_outage_is_an_error_of_the_catalog(postgres_server: Postgres) -> None:
    opened = Opener(postgres_server.fresh())
    first, name = OnlyServer(opened().database), opened.url.rpartition("/")[2]
    postgres_server.execute(f'alter database "{name}" allow_connections false')
    postgres_server.execute(
        f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    )
    with pytest.raises(CatalogError) as found:
        first.hold()
    assert not isinstance(found.value, OtherServerError)
    postgres_server.execute(f'alter database "{name}" allow_connections true')
    first.hold()
    first.close()
    opened.close()


def test_a_catalog_in_a_folder_needs_no_lock(tmp_path: Path) -> None:
    opened = Opener(f"sqlite:///{tmp_path}/catalog.db")
    for _ in range(2):
        OnlyServer(opened().database, 0).hold()
    opened.close()
