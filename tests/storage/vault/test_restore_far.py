"""Does a backup of one server come back into a bucket and a database? Both are real servers."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from narfi.core.clock import ManualClock
from narfi.core.errors import AppError
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow
from storage.catalog.saved import SavedSearch, SavedSearches
from storage.catalog.sql import SqlCatalog
from storage.known import check_blocks_are_known
from storage.objects.base import ObjectStore
from storage.objects.faulty import Faults
from storage.scan import Columns
from storage.store import BlockStore, StoreServices
from storage.vault.backup import backup
from storage.vault.data_dir import UNFINISHED, DataDir, DataDirError
from storage.vault.restore import restore, restore_block
from tests.servers import postgres, s3
from tests.servers.cluster import stores
from tests.storage.batches import Entry, entries_of
from tests.storage.blocks import MemoryObjects
from tests.storage.stored import NOW, TENANT
from tests.storage.vault.faulty import FaultyStore
from tests.storage.vault.folder import day, opened, records_in, sorted_entries

EVER = (-(2**63), 2**63 - 1)
SAVED = SavedSearch(tenant=TENANT, name="mine", body="{}", updated_ns=NOW, updated_by="me")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[s3.S3, postgres.Postgres]]:
    """A server for objects and one for catalogs."""
    with stores(postgres.needed()) as found:
        yield found


@pytest.fixture(params=["bucket", "database", "both"])
def data(
    request: pytest.FixtureRequest, tmp_path: Path, servers: tuple[s3.S3, postgres.Postgres]
) -> DataDir:
    """Where it shall come back: all of it empty."""
    blocks, catalogs = servers
    return DataDir(
        tmp_path / "restored",
        "" if request.param == "database" else blocks.fresh(),
        "" if request.param == "bucket" else catalogs.fresh(),
    )


def made(root: Path) -> tuple[MemoryObjects, BlockRow]:
    """A backup of two blocks, an unflushed record and a saved search; the first block."""
    target = MemoryObjects()
    with opened(root) as folder:
        row = folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        folder.push(b"open")
        SavedSearches(folder.stored.catalog.database).put(SAVED, most=9)
        backup(folder.data, target, folder.stored.clock)
    return target, row


def catalog_of(data: DataDir) -> SqlCatalog:
    """Wherever it is."""
    return SqlCatalog(data.catalog_url or f"sqlite:///{data.catalog}")


def check_is_there(data: DataDir) -> None:
    """All of it, and nothing that the catalog does not know."""
    found: list[Entry] = []
    with closing(catalog_of(data)) as catalog:
        check_blocks_are_known(catalog, data.objects())
        services = StoreServices(catalog, data.objects(), ManualClock(NOW))
        with BlockStore(services, 1 << 20).reading() as blocks:
            for source in blocks.sources(TENANT, *EVER):
                rows = np.arange(int(source.table.rows.sum()))
                found += entries_of(source.fetch(rows, Columns()))
        assert list(SavedSearches(catalog.database).of(TENANT)) == [SAVED]
    assert sorted(found, key=repr) == sorted_entries(day(1), day(2))
    records, lost = records_in(data.root)
    assert (b"open" in {record.body for record in records}, lost) == (True, 0)
    assert not (data.root / UNFINISHED).exists()


def test_it_comes_back_and_a_second_one_is_refused(data: DataDir, tmp_path: Path) -> None:
    source, _ = made(tmp_path / "data")
    restore(source, data)
    check_is_there(data)
    other = DataDir(tmp_path / "other", data.storage_url, data.catalog_url)
    with pytest.raises(DataDirError, match="not empty"):
        restore(source, other)
    check_is_there(data)


def test_stopped_anywhere_it_can_be_run_again(data: DataDir, tmp_path: Path) -> None:
    source, _ = made(tmp_path / "data")
    reads = len(source.content) - 1  # all files that the record names, and the record
    for at in (1, reads // 2, reads - 1):
        with pytest.raises(AppError):
            restore(FaultyStore(source, Faults(at)), data)
        assert (data.root / UNFINISHED).exists()
    objects: ObjectStore = data.objects()
    objects.put("blocks/t/1970-01-01/strange/lines", b"of another backup")
    restore(source, data)
    check_is_there(data)


def test_one_damaged_block_is_put_back(data: DataDir, tmp_path: Path) -> None:
    source, row = made(tmp_path / "data")
    restore(source, data)
    objects = data.objects()
    folder = block_prefix(TENANT, row.min_ts, row.block_id)
    keys = list(objects.list(f"{folder}/"))
    for key in keys:
        objects.put(key, b"damaged")
    assert restore_block(source, data, row.block_id) == len(keys)
    check_is_there(data)
