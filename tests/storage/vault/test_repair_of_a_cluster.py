"""What can an operator repair where the catalog is in PostgreSQL and the blocks in a bucket?

Both are real servers. The database was restored to a moment before the last blocks.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow
from storage.catalog.only_server import OnlyServer, OtherServerError
from storage.catalog.sql import SqlCatalog
from storage.known import UnknownBlocksError, check_blocks_are_known
from storage.objects.places import objects_at
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from storage.vault.data_dir import DataDir
from storage.vault.repair import GIVEN_UP, RepairError, adopt, forget_losses, give_up
from tests.servers import postgres
from tests.servers.cluster import stores
from tests.storage.batches import batch_of
from tests.storage.stored import NOW, TENANT
from tests.storage.vault.folder import day


@pytest.fixture(name="data", scope="module")
def far_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDir]:
    """Of a cluster whose processes have no data folder that is left."""
    with stores(postgres.needed()) as (blocks, catalogs):
        nowhere = tmp_path_factory.mktemp("far") / "nowhere"
        yield DataDir(nowhere, blocks.fresh(), catalogs.fresh())


CLOCK = ManualClock(NOW)


def written(data: DataDir, catalog: SqlCatalog, number: int, *, known: bool) -> BlockRow:
    """A whole block of a day; the catalog may not know it."""
    services = StoreServices(catalog, data.objects(), CLOCK)
    store = BlockStore(services, 1 << 20)
    row = store.write(merge_batches([batch_of(day(number))]), TENANT, f"cut-{number}")
    store.publish([row], [])
    if not known:
        catalog.replace([row.block_id], [])
        catalog.forget([row.block_id])
    return row


def test_what_can_be_repaired_is(data: DataDir) -> None:
    with pytest.raises(RepairError, match="the catalog is new"):
        adopt(data, CLOCK)
    with closing(SqlCatalog(data.catalog_url, CLOCK)) as catalog:
        kept = written(data, catalog, 1, known=True)
        lost = written(data, catalog, 2, known=False)
        with pytest.raises(UnknownBlocksError):
            check_blocks_are_known(catalog, data.objects())
        done = adopt(data, CLOCK)
        assert (list(done.rows), done.left) == ([lost], [])
        check_blocks_are_known(catalog, data.objects())
        assert list(adopt(data, CLOCK).rows) == []
        both = catalog.visible([kept.block_id, lost.block_id])
        assert {row.block_id for row in both} == {kept.block_id, lost.block_id}

        with pytest.raises(RepairError, match="is whole"):
            give_up(data, CLOCK, kept.block_id)
        folder = block_prefix(TENANT, kept.min_ts, kept.block_id)
        for key in list(objects_at(data.storage_url).list(f"{folder}/")):
            if "index" not in key and "manifest" not in key:
                data.objects().put(key, b"damaged")
        assert give_up(data, CLOCK, kept.block_id) == kept
        assert catalog.visible([kept.block_id]) == []
        (loss,) = catalog.losses()
        assert (loss.reason, loss.from_ns, loss.to_ns) == (GIVEN_UP, kept.min_ts, kept.max_ts)
        assert any(data.objects().list(f"lost+found/{folder}"))
        assert list(forget_losses(data, CLOCK)) == [loss]
        assert catalog.losses() == []
    assert not Path(data.root).exists()


@pytest.mark.parametrize("shared", [False, True])
def test_it_is_refused_while_a_server_runs(
    data: DataDir, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One alone, or one of many."""
    monkeypatch.setattr("storage.vault.database.PATIENCE_S", 0.2)
    with closing(SqlCatalog(data.catalog_url, CLOCK)) as catalog:
        server = OnlyServer(catalog.database, shared=shared)
        with pytest.raises(OtherServerError):
            forget_losses(data, CLOCK)
        server.close()
        forget_losses(data, CLOCK)
