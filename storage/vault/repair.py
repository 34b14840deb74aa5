"""How does an operator decide about blocks that the catalog does not know, or that are damaged?

Each runs while no server does (it holds the journal's lock), and may be done again after any stop.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
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
    data.check_is_there()
    with locked(data.journal), closing(_catalog(data, clock)) as catalog:
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
    data.check_is_there()
    with locked(data.journal):
        with closing(CatalogReader(data.catalog)) as reader:
            row = reader.block(block_id)
        if row is None:
            raise RepairError(f"no visible block has the id {block_id}")
        objects = data.objects()
        folder = block_prefix(row.tenant, row.min_ts, row.block_id)
        if _is_sound(objects, folder, row):
            raise RepairError(f"block {block_id} is whole: nothing of it has to be given up")
        with closing(_catalog(data, clock)) as catalog:
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
    data.check_is_there()
    with locked(data.journal), closing(_catalog(data, clock)) as catalog:
        losses = catalog.losses()
        catalog.understand_losses()
        return losses


def _catalog(data: DataDir, clock: Clock) -> SqlCatalog:
    """The catalog that is there, upgraded; none is made."""
    CatalogReader(data.catalog).close()
    return SqlCatalog(f"sqlite:///{data.catalog.resolve()}", clock)
