"""How does an operator decide about blocks that the catalog does not know, or that are damaged?

Each runs while no server does, and may be done again after any stop: it holds the journal's lock,
or that of all servers on a catalog in PostgreSQL.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import PurePosixPath

from narfi.core.clock import Clock
from narfi.core.errors import AppError, ErrorKind
from storage.block.check import Fault, faults_of
from storage.block.folders import LOST_FOUND, PREFIX, set_aside
from storage.block.layout import block_prefix, commit_of
from storage.catalog.base import BlockRow, Loss
from storage.catalog.snapshot import CatalogReader
from storage.catalog.sql import SqlCatalog
from storage.journal.lock import locked
from storage.objects.base import ObjectMissingError, ObjectStore
from storage.vault.data_dir import DataDir
from storage.vault.database import alone_on_database
from storage.vault.rebuild import Progress
from storage.vault.survey import Folder, look_at, survey

GIVEN_UP = "a damaged block was given up"


class RepairError(AppError):
    """What was asked for cannot be done; nothing was changed."""

    kind = ErrorKind.INVALID


@dataclass(frozen=True, slots=True)
class Left:
    """A folder that was not adopted, and why."""

    folder: str
    why: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became visible, and what stays where it is."""

    rows: Sequence[BlockRow]
    left: Sequence[Left]


def adopt(data: DataDir, clock: Clock, progress: Progress = lambda _: None) -> Adopted:
    """Whole blocks that the catalog does not know become visible, also those in `lost+found/`.

    Entries that another block has too are found once by queries. A block of which a known block was
    made stays: what was deleted from it would come back.
    """
    with _alone(data, clock) as catalog:
        _check_is_not_new(data, catalog)
        objects = data.objects()
        known: list[Folder] = []
        strange: list[Folder] = []
        for prefix in (PREFIX, f"{LOST_FOUND}/{PREFIX}"):
            for folder in survey(objects, prefix):
                is_known = bool(catalog.known([folder.block_id]))
                (known if is_known and prefix == PREFIX else strange).append(folder)
                progress(f"reading manifests: {len(known) + len(strange)} blocks")
        successors = _successors([*known, *strange])
        rows: list[BlockRow] = []
        left: list[Left] = []
        for folder in strange:
            why = _why_not(folder, successors, objects, catalog)
            if why is None:
                rows.append(_take_in(folder, objects, catalog))
                progress(f"adopting: {len(rows)} blocks")
            else:
                left.append(Left(folder.path, why))
        taken = {row.block_id for row in rows}
        return Adopted(rows, [one for one in left if PurePosixPath(one.folder).name not in taken])


def _successors(found: Sequence[Folder]) -> dict[str, str]:
    """By id of a block, one that was made of it and lies there."""
    return {
        old: folder.block_id
        for folder in found
        if folder.manifest is not None
        for old in folder.manifest.replaces
    }


def _why_not(
    folder: Folder, successors: dict[str, str], objects: ObjectStore, catalog: SqlCatalog
) -> str | None:
    if folder.manifest is None:
        return folder.faults[0].what if folder.faults else "has no manifest"
    if catalog.known([folder.block_id]):
        return "the catalog knows the block"
    if folder.block_id in successors:
        return f"block {successors[folder.block_id]} was made of it"
    faults = _faults_by_name(folder, folder.path, objects)
    if faults:  # unless a move to where it belongs was stopped half-way
        home = _home(folder)
        elsewhere = _faults_by_name(folder, home, objects)
        faults = {name: fault for name, fault in faults.items() if name in elsewhere}
    return next((f"{fault.key} {fault.what}" for fault in faults.values()), None)


def _faults_by_name(folder: Folder, path: str, objects: ObjectStore) -> dict[str, Fault]:
    assert folder.manifest is not None
    found = faults_of(objects, path, folder.manifest, deep=True)
    return {fault.key.removeprefix(f"{path}/"): fault for fault in found}


def _home(folder: Folder) -> str:
    """Where a block's folder belongs."""
    assert folder.manifest is not None
    row = folder.manifest.row
    return block_prefix(row.tenant, row.min_ts, row.block_id)


def _take_in(folder: Folder, objects: ObjectStore, catalog: SqlCatalog) -> BlockRow:
    """Back to `blocks/`, the manifest last; then its row."""
    assert folder.manifest is not None
    row, home = folder.manifest.row, _home(folder)
    if folder.path != home:
        for name in (*folder.manifest.objects, commit_of(row.format_version)):
            try:
                objects.move(f"{folder.path}/{name}", f"{home}/{name}")
            except ObjectMissingError:
                objects.size(f"{home}/{name}")  # moved before a stop; else it is missing
    catalog.adopt([row], [], [])
    return row


def give_up(data: DataDir, clock: Clock, block_id: str) -> BlockRow:
    """A damaged block is hidden, its folder set aside, and what is missing remembered as a loss."""
    with _alone(data, clock) as catalog:
        found = catalog.visible([block_id])
        if not found:
            raise RepairError(f"no visible block has the id {block_id}")
        (row,), objects = found, data.objects()
        folder = block_prefix(row.tenant, row.min_ts, row.block_id)
        if _is_sound(objects, folder, row):
            raise RepairError(f"block {block_id} is whole: nothing of it has to be given up")
        catalog.note_loss(
            Loss(
                journal_id=f"block {block_id}"[:64],
                first_position=0,
                last_position=0,
                from_ns=row.min_ts,
                to_ns=row.max_ts,
                reason=GIVEN_UP,
                told_ns=clock.now_ns(),
            )
        )
        set_aside(objects, folder)
        catalog.replace([block_id], [])
        catalog.forget([block_id])
        return row


def _is_sound(objects: ObjectStore, folder: str, row: BlockRow) -> bool:
    found = look_at(objects, folder)
    if found.manifest is None or found.faults or found.manifest.row != row:
        return False
    return next(faults_of(objects, folder, found.manifest, deep=True), None) is None


def forget_losses(data: DataDir, clock: Clock) -> Sequence[Loss]:
    """The losses that were told are understood; which they were."""
    with _alone(data, clock) as catalog:
        losses = catalog.losses()
        catalog.understand_losses()
        return losses


@contextmanager
def _alone(data: DataDir, clock: Clock) -> Iterator[SqlCatalog]:
    """The catalog that is there, upgraded, while no server uses it."""
    if data.catalog_url:  # the data folder of a process of a cluster may be empty, or nowhere
        with alone_on_database(data.catalog_url, clock) as catalog:
            yield catalog
        return
    data.check_is_there()
    with locked(data.journal):
        CatalogReader(data.catalog).close()  # none is made
        with closing(SqlCatalog(f"sqlite:///{data.catalog.resolve()}", clock)) as catalog:
            yield catalog


def _check_is_not_new(data: DataDir, catalog: SqlCatalog) -> None:
    """A new database knows no journals, whose entries would be missing, and nobody would know."""
    if data.catalog_url and not any(astuple(catalog.counts())):
        raise RepairError("the catalog is new: restore the database, then adopt what it lacks")
