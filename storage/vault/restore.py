"""How does a backup become a data folder again? Every file checked, the catalog last.

Invariant: a server never serves from a folder that a restore did not finish: a file says so from
before the first object until behind the catalog.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from storage.block.folders import LOST_FOUND
from storage.block.layout import block_prefix, is_commit
from storage.catalog.base import BlockRow
from storage.catalog.snapshot import CatalogReader
from storage.catalog.sql import SqlCatalog
from storage.disk import SYSTEM_DISK, Disk
from storage.objects.base import ObjectError, ObjectStore
from storage.objects.filesystem import TEMPORARY, LocalObjects
from storage.vault.data_dir import CATALOG, JOURNAL, UNFINISHED, DataDir, DataDirError
from storage.vault.record import DAMAGED, OBJECTS, BackupError, Record, read_record
from storage.vault.restored_places import RestoredPlaces


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    record: Record
    left_out: tuple[str, ...]  # damaged files of the backup, by their reasons


def restore(
    source: ObjectStore,
    data: DataDir,
    disk: Disk = SYSTEM_DISK,
    *,
    progress: Callable[[str], None] = lambda _: None,
    partial: bool = False,
) -> Restored:
    """Make a data folder of the newest backup; into an empty folder, or one that did not finish.

    Blocks go to the store, and the catalog to the database, that the folder's settings name.
    `partial`: objects that are damaged in the backup are left out; else they are an error.
    """
    record = _record(source)
    root = data.root
    again = (root / UNFINISHED).exists()
    if not again and root.exists() and not all(map(_is_nothing, root.iterdir())):
        raise DataDirError(f"{root} is not empty: restore into a folder that is, or a new one")
    target = _target(data, disk)
    places = RestoredPlaces(data, target)
    if not again:
        places.check_are_empty()
    target.discard_unfinished()
    target.put(UNFINISHED, f"from the backup {record.snapshot}\n".encode())
    left_out: list[str] = []
    files = list(_in_order(record))
    if again:
        for prefix in (OBJECTS, f"{JOURNAL}/"):
            places.remove_others(prefix, {goal for _, goal in files})
    for number, (key, goal) in enumerate(files):
        progress(f"restoring: {number + 1} of {len(files)} files")
        try:
            places.put(goal, _checked(source, record, key))
        except BackupError as error:
            if not (partial and key.startswith(OBJECTS)):
                raise
            left_out.append(error.message)
    target.delete(UNFINISHED)
    _sync(data.root, disk)
    return Restored(record, tuple(left_out))


def _is_nothing(path: Path) -> bool:
    """Whether a folder with it counts as empty: made by a file system, or by a restore's start."""
    return path.name == LOST_FOUND or path.name.startswith(TEMPORARY)


def restore_block(
    source: ObjectStore, data: DataDir, block_id: str, disk: Disk = SYSTEM_DISK
) -> int:
    """Put a damaged block's objects back, whole, while a server runs or not; how many."""
    record = _record(source)
    row = _row(data, block_id)
    if row is None:
        raise BackupError(f"no visible block has the id {block_id}")
    folder = block_prefix(row.tenant, row.min_ts, row.block_id)
    keys = [key for key in record.files if key.startswith(f"{OBJECTS}{folder}/")]
    keys.sort(key=is_commit)
    if not keys or not is_commit(keys[-1]):
        raise BackupError(f"the backup of {record.snapshot} does not hold block {block_id}")
    if bad := [key for key in record.damaged if key.startswith(f"{folder}/")]:
        raise BackupError(f"{bad[0]} was damaged already when the backup was made")
    places = RestoredPlaces(data, _target(data, disk))
    contents = [(key, _checked(source, record, key)) for key in keys]
    for key, content in contents:
        places.put(key, content)
    return len(contents)


def _row(data: DataDir, block_id: str) -> BlockRow | None:
    """Of a visible block."""
    if data.catalog_url:
        with closing(SqlCatalog(data.catalog_url)) as database:
            return next(iter(database.visible([block_id])), None)
    with closing(CatalogReader(data.catalog)) as catalog:
        return catalog.block(block_id)


def _sync(root: Path, disk: Disk) -> None:
    """Finished, after a power failure too: a second restore would take what was pushed since."""
    try:
        disk.sync_folder(root)
    except OSError as error:
        message = f"all is restored, and {root} cannot be synced: {error.strerror}; sync that disk"
        raise ObjectError(message) from error


def _record(source: ObjectStore) -> Record:
    record = read_record(source)
    if record is None:
        raise BackupError("there is no whole backup")
    return record


def _target(data: DataDir, disk: Disk) -> LocalObjects:
    """The data folder as a store of files: its puts are atomic and durable."""
    try:
        return LocalObjects(data.root, disk)
    except OSError as error:
        raise ObjectError(f"{data.root} cannot be used: {error.strerror}") from error


def _in_order(record: Record) -> Iterator[tuple[str, str]]:
    """(file of the backup, file of the data folder): objects, journal, catalog."""
    own = record.folder()
    damaged, journal = own + DAMAGED, []
    for key in sorted(record.files):
        if key.startswith(OBJECTS):
            yield key, key
        elif key.startswith(damaged):
            yield key, OBJECTS + key.removeprefix(damaged)
        elif key.startswith(own) and key != own + CATALOG:
            journal.append(key)
    for key in journal:
        yield key, key.removeprefix(own)
    if own + CATALOG not in record.files:
        raise BackupError("the backup holds no catalog")
    yield own + CATALOG, CATALOG


def _checked(source: ObjectStore, record: Record, key: str) -> bytes:
    """A file of the backup; raises `BackupError` when it is not as it was put."""
    try:
        content = source.get(key)
    except ObjectError as error:
        raise BackupError(f"{key} of the backup cannot be read: {error.message}") from error
    stored = record.files[key]
    if len(content) != stored.size or google_crc32c.value(content) != stored.crc32c:
        raise BackupError(f"{key} of the backup is damaged: its size or checksum is wrong")
    return content
