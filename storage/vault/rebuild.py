"""How does a catalog come back that is gone, damaged or too old? Row by row from the manifests.

A block that a whole block replaced does not become visible again; it waits to be deleted as after
any swap. Invariants: a block gives way only to one whose every byte was checked; the old catalog is
kept, and the new one takes its place whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from narfi.core.clock import NS_PER_S, Clock
from narfi.core.tenant import TenantId
from storage.block.check import Fault, faults_of
from storage.block.folders import LOST_FOUND, PREFIX, folders, set_aside
from storage.catalog.base import BlockRow, Watermark
from storage.catalog.sql import SqlCatalog
from storage.disk import SYSTEM_DISK, Disk
from storage.journal.lock import locked
from storage.objects.base import ObjectStore
from storage.vault.data_dir import DataDir
from storage.vault.survey import Folder, survey

NEW = ".new"
WAL, SHM = "-wal", "-shm"

Progress = Callable[[str], None]


@dataclass(slots=True)
class Plan:
    """What becomes of the folders."""

    visible: list[Folder] = field(default_factory=list)
    replaced: list[Folder] = field(default_factory=list)
    aside: list[Folder] = field(default_factory=list)

    def rows(self) -> list[BlockRow]:
        """Of the visible blocks."""
        return rows_of(self.visible)

    def watermarks(self) -> list[Watermark]:
        """Of whole blocks: records of a damaged one are better replayed than missing."""
        newest: dict[tuple[str, TenantId], int] = {}
        for folder in (*self.visible, *self.replaced):
            if folder.manifest is None or folder.faults:
                continue
            for journal_id, position in folder.manifest.journals.items():
                key = journal_id, folder.manifest.row.tenant
                newest[key] = max(position, newest.get(key, 0))
        return [Watermark(*key, position) for key, position in sorted(newest.items())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What was done."""

    visible: int
    entries: int
    tenants: int
    replaced: int
    set_aside: Sequence[str]  # folders, as they are called now
    lost_found: int  # folders that lay there before
    faults: Sequence[Fault]  # of blocks that are visible nevertheless
    kept_as: Path | None  # the old catalog


def rebuild(
    data: DataDir, clock: Clock, progress: Progress = lambda _: None, disk: Disk = SYSTEM_DISK
) -> Rebuilt:
    """Make the catalog anew; raises `JournalError` while a server runs."""
    data.check_is_there()
    with locked(data.journal):
        objects = data.objects()
        waiting = len(folders(objects, f"{LOST_FOUND}/"))
        plan = survey_all(objects, progress)
        _write(data.catalog.with_name(data.catalog.name + NEW), plan, clock, disk)
        kept_as = _swap(data.catalog, clock, disk)
        return done(plan, objects, waiting, kept_as)


def survey_all(objects: ObjectStore, progress: Progress) -> Plan:
    """What becomes of every folder below `blocks/`."""
    found = []
    for folder in survey(objects, PREFIX):
        found.append(folder)
        progress(f"reading manifests: {len(found)} blocks")
    return plan_rows(found, objects)


def done(plan: Plan, objects: ObjectStore, waiting: int, kept_as: Path | None) -> Rebuilt:
    """Set aside what is no block, now that the catalog is there; what was done.

    `waiting`: folders that lay in `lost+found/` before.
    """
    aside = [set_aside(objects, folder.path) for folder in plan.aside]
    rows = plan.rows()
    return Rebuilt(
        visible=len(rows),
        entries=sum(row.rows for row in rows),
        tenants=len({row.tenant for row in rows}),
        replaced=len(plan.replaced),
        set_aside=aside,
        lost_found=waiting,
        faults=[fault for folder in plan.visible for fault in folder.faults],
        kept_as=kept_as,
    )


def plan_rows(found: Sequence[Folder], objects: ObjectStore) -> Plan:
    """Which blocks become visible, which were replaced, which folders are none."""
    plan = Plan(aside=[folder for folder in found if folder.manifest is None])
    blocks = {folder.block_id: folder for folder in found if folder.manifest is not None}
    successors = {
        block_id: there
        for block_id, folder in blocks.items()
        if (there := [old for old in _replaces(folder) if old in blocks])
    }
    sound = [block_id for block_id in successors if _is_sound(blocks[block_id], objects)]
    replaced = _ancestors(sound, successors)
    for block_id, folder in blocks.items():
        if block_id in replaced:
            plan.replaced.append(folder)
        elif block_id in successors and block_id not in sound and _can_be_spared(folder, blocks):
            plan.aside.append(folder)  # damaged, and what it was made of is all there
        else:
            plan.visible.append(folder)
    return plan


def _replaces(folder: Folder) -> Sequence[str]:
    assert folder.manifest is not None
    return folder.manifest.replaces


def _is_sound(folder: Folder, objects: ObjectStore) -> bool:
    """Whether every byte is as it was written."""
    assert folder.manifest is not None
    if folder.faults:
        return False
    return next(faults_of(objects, folder.path, folder.manifest, deep=True), None) is None


def _ancestors(sound: Sequence[str], successors: dict[str, list[str]]) -> set[str]:
    """Blocks that sound ones were made of, at first or second hand."""
    found: set[str] = set()
    waiting = list(sound)
    while waiting:
        for old in successors.get(waiting.pop(), ()):
            if old not in found:
                found.add(old)
                waiting.append(old)
    return found


def _can_be_spared(folder: Folder, blocks: dict[str, Folder]) -> bool:
    return all(old in blocks and not blocks[old].faults for old in _replaces(folder))


def rows_of(found: Sequence[Folder]) -> list[BlockRow]:
    return [folder.manifest.row for folder in found if folder.manifest is not None]


def _write(path: Path, plan: Plan, clock: Clock, disk: Disk) -> None:
    """A catalog with these rows, durable, in one file."""
    for rest in ("", WAL, SHM):
        disk.unlink(path.with_name(path.name + rest))
    catalog = SqlCatalog(f"sqlite:///{path.resolve()}", clock)
    try:
        catalog.adopt(plan.rows(), rows_of(plan.replaced), plan.watermarks())
    finally:
        catalog.close()  # the last connection writes the log back and deletes it
    assert not _beside(path, WAL).exists(), "the new catalog is one file"
    descriptor = disk.open(path)
    try:
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)


def _swap(catalog: Path, clock: Clock, disk: Disk) -> Path | None:
    """The new catalog takes the place of the old one; where that one lies then.

    The log goes with its database: a copy of it first, the database next. Stopped anywhere, there
    is the old catalog whole, the new one whole, or none (which a server refuses beside blocks).
    """
    log, kept = _beside(catalog, WAL), None
    if catalog.exists():
        kept = _free_name(catalog, clock)
        if log.exists():
            _copy(log, _beside(kept, WAL), disk)
        disk.rename(catalog, kept)
    for rest in (WAL, SHM):
        disk.unlink(_beside(catalog, rest))
    disk.sync_folder(catalog.parent)
    disk.rename(_beside(catalog, NEW), catalog)
    disk.sync_folder(catalog.parent)
    return kept


def _beside(path: Path, rest: str) -> Path:
    return path.with_name(path.name + rest)


def _free_name(catalog: Path, clock: Clock) -> Path:
    """`catalog.db.<time>`, and a number behind it when that is taken."""
    moment = datetime.fromtimestamp(clock.now_ns() // NS_PER_S, UTC).strftime("%Y%m%dT%H%M%SZ")
    found, number = _beside(catalog, f".{moment}"), 1
    while found.exists():
        number += 1
        found = _beside(catalog, f".{moment}-{number}")
    return found


def _copy(source: Path, target: Path, disk: Disk) -> None:
    descriptor = disk.create(target)
    try:
        disk.write(descriptor, [source.read_bytes()])
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
