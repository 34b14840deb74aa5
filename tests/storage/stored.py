"""A block store in a folder, whose steps can fail."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from narfi.core.clock import Clock, ManualClock
from narfi.core.tenant import TenantId
from storage.block.identity import Layout
from storage.block.pins import Pins
from storage.catalog.base import BlockRow, Intent
from storage.catalog.jobs import Jobs
from storage.catalog.sql import SqlCatalog
from storage.objects.faulty import Faults, FaultyObjects
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from tests.storage.batches import Entry, batch_of, entries_of

TENANT = TenantId("t")
HOUR = 3600 * 10**9
DAY = 24 * HOUR
NOW = 100 * DAY
LAYOUT = Layout()
"""Of blocks that are written; the fixture `form` sets another one."""


class FaultyCatalog(SqlCatalog):
    """A catalog whose transactions are steps of `Faults`."""

    def __init__(self, url: str, clock: Clock, faults: Faults) -> None:
        super().__init__(url, clock)
        self._faults = faults

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """Commit, or fail."""
        self._faults.step("replace", lambda: super(FaultyCatalog, self).replace(removed, added))

    def intend(self, intent: Intent) -> None:
        """Commit, or fail."""
        self._faults.step("intend", lambda: super(FaultyCatalog, self).intend(intent))

    def abandon(self, block_ids: Sequence[str]) -> None:
        """Commit, or fail."""
        self._faults.step("abandon", lambda: super(FaultyCatalog, self).abandon(block_ids))

    def forget(self, block_ids: Sequence[str]) -> None:
        """Commit, or fail."""
        self._faults.step("forget", lambda: super(FaultyCatalog, self).forget(block_ids))


class Stored:
    """Catalog, objects and block store of a folder; the clock says day 100."""

    def __init__(
        self, folder: Path, faults: Faults | None = None, pins: Pins | None = None
    ) -> None:
        faults = faults or Faults()
        self.folder = folder
        self.clock = ManualClock(NOW)
        self.catalog = FaultyCatalog(f"sqlite:///{folder}/catalog.db", self.clock, faults)
        self.objects = FaultyObjects(LocalObjects(folder / "objects"), faults)
        self.services = StoreServices(self.catalog, self.objects, self.clock, pins or Pins())
        self.store = BlockStore(self.services, 1 << 20, layout=LAYOUT)
        self.jobs = Jobs(self.catalog.database, self.clock)

    def add(self, entries: Sequence[Entry], tenant: TenantId = TENANT) -> BlockRow:
        """A visible block."""
        run = merge_batches([batch_of(entries)])
        row = self.store.write(run, tenant, f"cut-{entries[0]}"[:64])
        self.store.publish([row], [])
        return row

    def rows(self, tenant: TenantId = TENANT) -> Sequence[BlockRow]:
        """All visible blocks."""
        return self.catalog.blocks(tenant, -(2**63), 2**63 - 1)

    def entries(self, tenant: TenantId = TENANT) -> list[Entry]:
        """Everything visible."""
        found: list[Entry] = []
        with self.store.reading() as blocks:
            for source in blocks.sources(tenant, -(2**63), 2**63 - 1):
                rows = np.arange(int(source.table.rows.sum()))
                found += entries_of(source.fetch(rows, Columns()))
        return sorted(found, key=repr)

    def folders(self) -> set[str]:
        """Ids of the blocks of which an object lies there."""
        return {key.split("/")[-2] for key in self.objects.list("blocks/")}

    def object_bytes(self, block_id: str = "") -> int:
        """What the objects of a block, or all, take on a disk with pages of 4 KiB."""
        files = (self.folder / "objects").rglob(f"{block_id}/*" if block_id else "*")
        return sum(-(-path.stat().st_size // 4096) * 4096 for path in files if path.is_file())

    def close(self) -> None:
        """Release the catalog."""
        self.catalog.close()
