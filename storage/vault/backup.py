"""How does a backup become whole, while a server writes, merges and deletes?

In this order: the journal's files are opened, the catalog is copied, then the journal is read, and
the objects of all blocks of that catalog are put that the target does not hold yet. Whatever was
acknowledged before is then in the journal's copy or in a block of the catalog's copy. When an
object is gone because its block was replaced meanwhile, all begins again; what was put stays.

Invariants: see `record.py`; and what lies under `objects/` is as its manifest says: a damaged
object goes elsewhere and never takes the place of a sound copy of it.
"""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import google_crc32c

from narfi.core.clock import NS_PER_S, Clock
from narfi.core.errors import AppError
from storage.block.layout import block_prefix, commit_of, is_commit
from storage.block.manifest import Manifest, parse_manifest
from storage.catalog.base import BlockRow
from storage.catalog.copy import copy_catalog
from storage.catalog.snapshot import CatalogReader
from storage.journal.pin import PinnedJournal
from storage.known import forgotten_blocks, unknown_blocks
from storage.objects.base import ObjectError, ObjectMissingError, ObjectStore
from storage.vault.data_dir import CATALOG, JOURNAL, DataDir
from storage.vault.last_backup import note_backup
from storage.vault.record import (
    DAMAGED,
    MARKER,
    MARKER_TEXT,
    OBJECTS,
    RECORD,
    SNAPSHOTS,
    BackupError,
    Record,
    Stored,
    encode_record,
    read_record,
)
from storage.vault.verify_journal import forgotten_by

MAX_ATTEMPTS = 20
"""Blocks stay for `compactor.orphan_grace` after they were replaced, so the second nearly always
ends well; each goes on where the one before stopped."""


class _ReplacedError(Exception):
    """A block of the catalog's copy is not visible any more, and its objects are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """What was done."""

    record: Record
    put_files: int
    put_bytes: int
    pruned: int
    prune_error: str | None  # why files of older backups could not be deleted


@dataclass(slots=True, kw_only=True)
class _Work:
    """One backup on its way."""

    data: DataDir
    target: ObjectStore
    clock: Clock
    progress: Callable[[str], None]
    previous: Record | None
    folder: str = ""  # of the files of this backup alone
    put_files: int = 0
    put_bytes: int = 0
    files: dict[str, Stored] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    held: set[str] = field(default_factory=set)  # objects that the target has

    def put(self, key: str, content: bytes) -> None:
        """Store a file of the backup, unless it is there; it counts from now on."""
        found = Stored(len(content), google_crc32c.value(content))
        if not (key in self.held and self.target.size(key) == found.size):
            self.target.put(key, content)
            self.put_files += 1
            self.put_bytes += found.size
        self.files[key] = found

    def put_damaged(self, key: str, content: bytes) -> None:
        """Store an object that is not as it was written: better than nothing."""
        self.damaged.append(key)
        self.put(f"{self.folder}{DAMAGED}{key}", content)

    def kept(self, key: str) -> bool:
        """Whether the backup before has the object; then it counts."""
        if self.previous is None or key not in self.held:
            return False
        stored = self.previous.files.get(key)
        if stored is not None:
            self.files[key] = stored
        return stored is not None


def backup(
    data: DataDir,
    target: ObjectStore,
    clock: Clock,
    progress: Callable[[str], None] = lambda _: None,
) -> BackedUp:
    """Make a whole backup; raises `AppError`, and the one before is then as it was."""
    data.check_is_there()
    _check_blocks_are_known(data)
    _claim(target)
    previous = read_record(target)
    work = _Work(data=data, target=target, clock=clock, progress=progress, previous=previous)
    for _ in range(MAX_ATTEMPTS):
        try:
            record = _attempt(work)
        except _ReplacedError:
            continue
        done = _finish(work, record)
        note_backup(data, record)
        return done
    raise BackupError("blocks were replaced faster than they could be copied")


def _check_blocks_are_known(data: DataDir) -> None:
    """A backup of such a catalog would lack blocks, and delete them from the place."""
    forgotten = forgotten_by(data)  # before the catalog: what it says then is newer
    with closing(CatalogReader(data.catalog)) as catalog:
        objects = data.objects()
        unknown = [
            *forgotten_blocks(catalog, objects, *forgotten),
            *unknown_blocks(catalog, objects),
        ]
    if unknown:
        raise BackupError(
            f"the catalog does not know {len(unknown)} of the stored blocks, so a backup would "
            "lack them: narfi verify tells what to do"
        )


def _claim(target: ObjectStore) -> None:
    """Only an empty place becomes a backup: files of others are never pruned."""
    try:
        target.get(MARKER)
    except ObjectMissingError:
        if next(target.list(""), None) is not None:
            raise BackupError("the place for the backup is not empty and holds none") from None
        target.put(MARKER, MARKER_TEXT)


def _attempt(work: _Work) -> Record:
    work.files, work.damaged = {}, []
    began_ns = work.clock.now_ns()
    snapshot = _snapshot_name(began_ns)
    work.folder = f"{SNAPSHOTS}{snapshot}/"
    with (
        tempfile.TemporaryDirectory(prefix="narfi-backup-") as folder,
        _one_moment(work.data, Path(folder) / CATALOG) as journal,
        closing(CatalogReader(Path(folder) / CATALOG)) as catalog,
    ):
        journal_id = journal.journal_id
        _check_same_origin(work.previous, journal_id, catalog)
        for name, content in journal.files():
            work.progress(f"copying the journal: {name}")
            work.put(f"{work.folder}{JOURNAL}/{name}", content)
        journal.close()
        blocks, entries = _put_blocks(work, catalog)
        work.put(work.folder + CATALOG, (Path(folder) / CATALOG).read_bytes())
    return Record(
        snapshot=snapshot,
        began_ns=began_ns,
        finished_ns=work.clock.now_ns(),
        journal_id=None if journal_id is None else journal_id.decode("utf-8", "replace").strip(),
        blocks=blocks,
        entries=entries,
        files=work.files,
        damaged=work.damaged,
    )


def _snapshot_name(now_ns: int) -> str:
    """Sorts by time; two of one second differ."""
    moment = datetime.fromtimestamp(now_ns // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{moment}-{uuid.uuid4().hex[:8]}"


@contextmanager
def _one_moment(data: DataDir, copy: Path) -> Iterator[PinnedJournal]:
    """The journal held open, and the catalog copied, so that together they miss nothing."""
    for _ in range(MAX_ATTEMPTS):
        journal = PinnedJournal(data.journal)
        try:
            copy_catalog(data.catalog, copy)
            if journal.follow():
                yield journal
                return
        finally:
            journal.close()
        copy.unlink()
    raise BackupError("the journal's segments were deleted faster than they could be read")


def _check_same_origin(
    previous: Record | None, journal_id: bytes | None, catalog: CatalogReader
) -> None:
    """Refuse to prune the backup of another server."""
    if previous is None or previous.journal_id is None or journal_id is None:
        return
    known = {journal_id.decode("utf-8", "replace").strip(), *catalog.watermarks()}
    if previous.journal_id not in known:
        raise BackupError(
            "the place holds the backup of another server "
            f"(its journal is {previous.journal_id}): use another, empty one"
        )


def _put_blocks(work: _Work, catalog: CatalogReader) -> tuple[int, int]:
    """All blocks of the catalog's copy; how many, and their entries."""
    objects = work.data.objects()
    work.held = set(work.target.list(OBJECTS))
    before = _by_folder(work.previous)
    total = catalog.counts().visible
    blocks = entries = 0
    for row in catalog.blocks():
        folder = block_prefix(row.tenant, row.min_ts, row.block_id)
        known = before.get(f"{OBJECTS}{folder}", [])
        if not (known and all(work.kept(key) for key in known)):
            _put_block(work, objects, folder, row)
        blocks, entries = blocks + 1, entries + row.rows
        work.progress(f"copying blocks: {blocks} of {total}")
    return blocks, entries


def _by_folder(previous: Record | None) -> dict[str, list[str]]:
    """The objects of each folder that the backup before holds whole."""
    found: dict[str, list[str]] = {}
    if previous is None:
        return found
    spoilt = {(OBJECTS + key).rpartition("/")[0] for key in previous.damaged}
    for key in previous.files:
        folder = key.rpartition("/")[0]
        if key.startswith(OBJECTS) and folder not in spoilt:
            found.setdefault(folder, []).append(key)
    return found


def _put_block(work: _Work, objects: ObjectStore, folder: str, row: BlockRow) -> None:
    """The objects that the manifest names, and the manifest."""
    manifest = _manifest(work, objects, folder, row)
    if manifest is None:  # nothing says how the others should be
        for key in objects.list(f"{folder}/"):
            if not is_commit(key) and (content := _content(work, objects, key, row)):
                work.put_damaged(key, content)
        return
    for name, size in manifest.objects.items():
        key = f"{folder}/{name}"
        if work.kept(OBJECTS + key):
            continue
        content = _content(work, objects, key, row)
        if content is None:
            continue
        checksum = manifest.crc32c.get(name)
        if len(content) != size or checksum not in (None, google_crc32c.value(content)):
            work.put_damaged(key, content)
        else:
            work.put(OBJECTS + key, content)


def _manifest(work: _Work, objects: ObjectStore, folder: str, row: BlockRow) -> Manifest | None:
    """The manifest that agrees with the row: the one in the backup before, or the one there."""
    key = f"{folder}/{commit_of(row.format_version)}"
    if work.kept(OBJECTS + key):
        return parse_manifest(key, work.target.get(OBJECTS + key))
    content = _content(work, objects, key, row)
    if content is None:
        return None
    try:
        manifest = parse_manifest(key, content)
    except ObjectError:
        manifest = None
    if manifest is None or manifest.row != row:
        work.put_damaged(key, content)
        return None
    work.put(OBJECTS + key, content)
    return manifest


def _content(work: _Work, objects: ObjectStore, key: str, row: BlockRow) -> bytes | None:
    """An object of a visible block; None when it is missing or cannot be read, which is noted."""
    try:
        return objects.get(key)
    except ObjectError:
        with closing(CatalogReader(work.data.catalog)) as live:
            if live.block(row.block_id) is None:
                raise _ReplacedError from None
        work.damaged.append(key)
        return None


def _finish(work: _Work, record: Record) -> BackedUp:
    """Make the backup the one that counts, then delete what only older ones needed."""
    target = work.target
    gone = record.files.keys() - set(target.list(OBJECTS)) - set(target.list(SNAPSHOTS))
    if gone or read_record(target) != work.previous:
        raise BackupError("another backup to the same place is under way: run one at a time")
    target.put(RECORD, encode_record(record))
    pruned, error = 0, None
    try:
        for prefix in (SNAPSHOTS, OBJECTS):
            for key in list(target.list(prefix)):
                if key not in record.files:
                    target.delete(key)
                    pruned += 1
    except AppError as failure:
        error = failure.message
    return BackedUp(
        record=record,
        put_files=work.put_files,
        put_bytes=work.put_bytes,
        pruned=pruned,
        prune_error=error,
    )
