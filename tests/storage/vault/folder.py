"""A data folder as a server leaves it: journal, catalog, blocks; and what is in it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.block.format3.index_object import BLOBS, decode_index, encode_index
from storage.block.layout import MANIFEST, block_prefix
from storage.catalog.base import BlockRow, Watermark
from storage.journal.base import Record, StoredRecord
from storage.journal.file import FileJournal
from storage.objects.faulty import Faults, FaultyObjects
from storage.sorting import merge_batches
from storage.vault.data_dir import DataDir
from tests.storage.batches import Entry, batch_of
from tests.storage.stored import TENANT, Stored
from tests.storage.vault.data_dirs import WrappedDataDir
from tests.storage.vault.faulty import FaultyStore


class Folder:
    """Catalog, objects and journal in a folder; a record's body names the entries of its block."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.data = DataDir(root)
        self.stored = Stored(root)
        self.journal = FileJournal(root / "journal", 1)  # a segment a commit
        for _ in self.journal.replay(lambda damage: None):
            pass

    def push(self, body: bytes = b"body") -> int:
        """A durable record; its position."""
        record = Record(tenant=TENANT, received_ns=1, codec=0, decided=b"", body=body)
        return self.journal.append(record)

    def flush(self, entries: list[Entry], position: int) -> BlockRow:
        """A block of the records up to this position, and its watermark."""
        run = merge_batches([batch_of(entries)])
        journals = {self.journal.journal_id: position}
        row = self.stored.store.write(run, TENANT, f"cut-{position}", journals=journals)
        mark = Watermark(self.journal.journal_id, TENANT, position)
        self.stored.store.publish([row], [mark])
        self.journal.truncate(position)
        return row

    def close(self) -> None:
        """As a server ends."""
        self.journal.close()
        self.stored.close()


@contextmanager
def opened(root: Path) -> Iterator[Folder]:
    """A folder in use."""
    folder = Folder(root)
    try:
        yield folder
    finally:
        folder.close()


def day(number: int, app: str = "a") -> list[Entry]:
    """Entries of one small block of a day."""
    first = number * 86_400 * 10**9
    return [(app, first + k, b"line %d" % k, {"k": str(k)}) for k in range(3)]


def entries_in(root: Path) -> list[Entry]:
    """Everything visible in blocks, each entry once as queries give it."""
    stored = Stored(root)
    try:
        return sorted({repr(entry): entry for entry in stored.entries()}.values(), key=repr)
    finally:
        stored.close()


def records_in(root: Path) -> tuple[list[StoredRecord], int]:
    """(records that a start would replay, positions that it would tell as missing)."""
    lost = 0

    def count(damage: object) -> None:
        nonlocal lost
        lost += 1

    journal = FileJournal(root / "journal")
    try:
        return list(journal.replay(count)), lost
    finally:
        journal.close()


def sorted_entries(*groups: list[Entry]) -> list[Entry]:
    """As `entries_in` gives them."""
    return sorted((entry for group in groups for entry in group), key=repr)


def object_path(root: Path, row: BlockRow, name: str) -> Path:
    """A file of a block."""
    return root / "objects" / block_prefix(row.tenant, row.min_ts, row.block_id) / name


def flip(path: Path, at: int | None = None) -> None:
    """Change a byte, in the middle if not told where."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 1
    path.write_bytes(content)


def change_commit(path: Path, **values: object) -> None:
    """Other values in the manifest, or in the head of an index that is whole else."""
    if path.name == MANIFEST:
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        return
    head, blobs = decode_index(str(path), path.read_bytes())
    del head[BLOBS]
    path.write_bytes(encode_index(head | values, list(blobs.items())))


def unreadable(root: Path, faults: Faults) -> DataDir:
    """The folder, every look at whose objects is a step that can fail."""
    return WrappedDataDir.of(root, lambda plain: FaultyStore(plain, faults))  # type: ignore[arg-type, return-value]


def unchangeable(root: Path, faults: Faults) -> DataDir:
    """The folder, every change of whose objects is a step that can fail."""
    return WrappedDataDir.of(root, lambda plain: FaultyObjects(plain, faults))  # type: ignore[arg-type, return-value]
