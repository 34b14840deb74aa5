"""Does a cluster whose database is gone come back from its bucket? Real servers, and processes."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.clock import ManualClock
from storage.catalog.leases import JournalState, Leases
from storage.catalog.only_server import OnlyServer, OtherServerError
from storage.catalog.sql import SqlCatalog
from storage.journal.numbered import key_of
from storage.known import check_blocks_are_known
from storage.objects.filesystem import LocalObjects
from storage.objects.places import objects_at
from storage.vault.data_dir import DataDir
from storage.vault.rebuild_database import NotNewError, forgotten_of, rebuild_database
from tests.servers import postgres
from tests.servers.cluster import Cluster, stores
from tests.servers.s3 import S3
from tests.storage.stored import NOW

CLOCK = ManualClock(NOW)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[S3, postgres.Postgres]]:
    """A server for objects and one for catalogs."""
    with stores(postgres.needed()) as found:
        yield found


@given(st.integers(0, 30), st.sets(st.integers(1, 30)))
def test_what_a_journal_forgot_is_seen_by_what_is_missing(
    tmp_path_factory: pytest.TempPathFactory, forgotten: int, kept: set[int]
) -> None:
    """Of those that may be deleted any may be there still; of those behind them all are."""
    objects = LocalObjects(tmp_path_factory.mktemp("j"))
    last = forgotten + 3
    for number in range(1, last + 1):
        if number > forgotten or number in kept:
            objects.put(key_of("one", number), b"")
    objects.put("journal/strange", b"")
    (found,) = forgotten_of(objects).values()
    assert found <= forgotten
    assert all(number in kept for number in range(found + 1, forgotten + 1))
    assert found == 0 or found not in kept


@pytest.mark.slow
def test_a_cluster_without_its_database_is_whole_again(
    tmp_path: Path, servers: tuple[S3, postgres.Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in blocks, and what is in journals alone; once."""
    cluster = Cluster(tmp_path, *servers, {"COMPACTOR__INTERVAL": "1h"})
    try:
        cluster.start(dict.fromkeys(("one", "two"), "ingester,querier"))
        for _ in range(3):
            assert cluster.push("one") == 204
            assert cluster.push("two") == 204
        for name in ("one", "two"):
            assert cluster.ask(name, "/flush", b"")[0] == 204
        assert cluster.push("one") == 204
        cluster.check("two")
        for name in ("one", "two"):
            cluster.kill(name)
        cluster.processes.clear()
        old = DataDir(tmp_path, cluster.settings["STORAGE__URL"], cluster.settings["CATALOG__URL"])
        with pytest.raises(NotNewError, match="holds a catalog"):
            rebuild_database(old, CLOCK)
        cluster.database = servers[1].fresh().rpartition("/")[2]
        url = f"{old.catalog_url.rpartition('/')[0]}/{cluster.database}"
        new = DataDir(tmp_path, old.storage_url, url)
        with closing(SqlCatalog(url)) as catalog:
            server = OnlyServer(catalog.database, shared=True)
            monkeypatch.setattr("storage.vault.database.PATIENCE_S", 0.2)
            with pytest.raises(OtherServerError):
                rebuild_database(new, CLOCK)
            server.close()
            done = rebuild_database(new, CLOCK)
            assert done.entries == 6 * 20
            assert (done.faults, done.set_aside) == ([], [])
            check_blocks_are_known(catalog, objects_at(new.storage_url))
            journals = Leases(catalog.database).open()
            assert len(journals) == 2
            assert {row.state for row in journals} == {JournalState.ORPHANED}
        cluster.settings["CATALOG__URL"] = url
        cluster.start({"three": "ingester,querier"})
        cluster.check("three")
        cluster.until(lambda: len(cluster.journals("three")) == 1, "nobody takes them over")
        cluster.check("three")
        assert json.loads(cluster.ask("three", "/status")[1])["losses"]["count"] == 0
    finally:
        cluster.stop()
