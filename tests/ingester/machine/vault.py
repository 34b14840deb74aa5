"""What does an operator do to the data folder? Backups, restores, older catalogs, rebuilt ones."""

import random
import shutil
from contextlib import closing
from pathlib import Path

from ingester.records import decode_record_body
from ingester.streams import StreamResolver
from narfi.core.limits import Limits
from storage.block.reader import BlockSource, open_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.catalog.copy import copy_catalog
from storage.catalog.snapshot import CatalogReader
from storage.journal.file import ID, MARK
from storage.journal.mark import read_mark
from storage.journal.replay import Replay
from storage.journal.segment import SEGMENT_HEADER, segment_paths
from storage.known import UnknownBlocksError, unknown_blocks
from storage.objects.base import ObjectStore
from storage.objects.filesystem import LocalObjects
from storage.vault.backup import backup
from storage.vault.data_dir import OBJECTS, UNFINISHED, DataDir
from storage.vault.rebuild import rebuild
from storage.vault.record import read_record
from storage.vault.restore import restore
from storage.vault.survey import survey
from tests.ingester.machine.model import Model
from tests.ingester.machine.process import (
    Life,
)
from tests.ingester.machine.world import COUNTS, DONE, NO_FAULT, Fault, World, lines_of
from tests.storage.batches import entries_of
from tests.storage.catalog.rows import every_block
from tests.storage.vault.data_dirs import WrappedDataDir


class Vault(World):
    """A machine with a place for backups."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.backups: dict[str, Model] = {}
        self.kept: Path | None = None
        self.anew = False  # the catalog is an older one, or was made anew

    def place(self) -> LocalObjects:
        """Of backups."""
        return LocalObjects(self.root / "backup", self.disk)

    def data(self) -> DataDir:
        """The folder, on this machine's disk."""
        return WrappedDataDir.of(
            self.folder, lambda _: LocalObjects(self.folder / OBJECTS, self.disk)
        )

    def back_up(self, fault: Fault) -> None:
        """A backup beside the running server; what is acknowledged now is in it."""
        before = self.model.copy()
        data, target = self.data(), self.place()
        self.during("backup", fault, lambda: backup(data, target, self.clock))
        place = self.place()
        place.discard_unfinished()
        record = read_record(place)
        if record is not None:
            self.backups.setdefault(record.snapshot, before)

    def restore(self, fault: Fault) -> None:
        """The newest whole backup, into an empty folder."""
        record = read_record(self.place())
        if record is None:
            return
        self.stop()
        shutil.rmtree(self.folder)
        self.lives += 1
        self.folder = self.root / f"data {self.lives}"
        self.kept = None
        source, data = self.place(), self.data()
        if self.during("restore", fault, lambda: restore(source, data, self.disk)) not in DONE:
            self._restore_again(source, data)
        self.model = self.backups[record.snapshot].copy()

    def _restore_again(self, source: ObjectStore, data: DataDir) -> None:
        """As an operator does: into the same folder, or into an empty one when nothing is there."""
        names = {path.name for path in self.folder.glob("[!.]*")}
        if UNFINISHED not in names:
            if names:
                assert names >= {"catalog.db", "journal"}, f"not marked as unfinished: {names}"
                return  # only the last sync failed
            shutil.rmtree(self.folder, ignore_errors=True)
        self.during("restore", NO_FAULT, lambda: restore(source, data, self.disk))

    def keep_catalog(self) -> None:
        """The operator copies the catalog somewhere."""
        self.kept = self.root / "kept.db"
        self.kept.unlink(missing_ok=True)
        copy_catalog(self.folder / "catalog.db", self.kept)

    def put_back_catalog(self, *, rebuild_it: bool) -> None:
        """And puts it back some time later: refused when blocks were made since."""
        assert self.kept is not None
        visible = {row.block_id for row in every_block(self.running().catalog)}
        self.stop()
        right = (self.folder / "catalog.db").read_bytes()
        with closing(CatalogReader(self.kept)) as old:
            unknown = unknown_blocks(old, self.data().objects())
            differs = {row.block_id for row in old.blocks()} != visible
        if differs and not unknown:  # blocks went since, and none came: nothing shows it
            COUNTS["older catalog", "not put back"] += 1
            return
        shutil.copyfile(self.kept, self.folder / "catalog.db")
        self.anew = True
        if not unknown:  # its watermarks may be older than removals, too
            COUNTS["older catalog", "nothing changed"] += 1
            self.model.may_return(self._in_the_journal())
            return
        try:
            Life(self.folder, self.clock, self.disk, self.switch)
        except UnknownBlocksError:
            COUNTS["older catalog", "refused"] += 1
        else:
            raise AssertionError("a catalog that is older than the blocks was taken")
        if rebuild_it:
            self.rebuild(NO_FAULT)
        else:
            (self.folder / "catalog.db").write_bytes(right)

    def rebuild(self, fault: Fault) -> None:
        """The catalog is made anew from the blocks; the server is stopped."""
        assert self.process is None
        self.anew = True
        self.model.may_return(self._lying() | self._in_the_journal())
        parts = (self.data(), self.clock, lambda _: None, self.disk)
        if self.during("rebuild", fault, lambda: rebuild(*parts)) not in DONE:
            self.during("rebuild", NO_FAULT, lambda: rebuild(*parts))
        self.kept = None

    def _lying(self) -> set[bytes]:
        """Lines in whole folders, whether or not the catalog says that they were removed."""
        objects = self.data().objects()
        found: set[bytes] = set()
        for folder in survey(objects, "blocks/"):
            if folder.manifest is not None and not folder.faults:
                found |= lines_of(source_of(folder.manifest.row, objects))
        return found

    def _in_the_journal(self) -> set[bytes]:
        """Lines in records, refused ones too, that a start may replay."""
        journal = self.folder / "journal"
        paths, journal_id = segment_paths(journal), (journal / ID).read_text().strip()
        records = Replay(paths, journal_id, read_mark(journal / MARK), lambda _: None).records()
        batches = [decode_record_body(record, Limits(), StreamResolver()) for record in records]
        return {line for batch in batches for _, _, line, _ in entries_of(batch)}

    def damage_the_journal(self, chance: random.Random) -> None:
        """A byte of a segment changes, or the segment is cut, while nobody runs."""
        self.stop()
        paths = [
            path
            for path in segment_paths(self.folder / "journal")
            if path.stat().st_size > SEGMENT_HEADER.size
        ]
        if paths:
            COUNTS["damage", "done"] += 1
            path = chance.choice(paths)
            content = bytearray(path.read_bytes())
            at = chance.randrange(SEGMENT_HEADER.size, len(content))
            content[at] ^= 1 << chance.randrange(8)
            path.write_bytes(content if chance.random() < 0.7 else content[:at])
        self.start()


def source_of(row: BlockRow, objects: ObjectStore) -> BlockSource:
    """A block that may not be visible."""
    return open_block(row, objects, ByteCache(0), ByteCache(0))
