"""Is a data folder whole? Each row against its objects, the journal, and what nobody knows.

Only reads, and may run beside a server: what changes meanwhile is looked at again before it is
called a problem.
"""

from collections.abc import Callable, Sequence
from contextlib import closing

from storage.block.check import NOT_OF_THE_ROW, Fault, faults_of
from storage.block.folders import LOST_FOUND, folders
from storage.block.layout import block_prefix, commit_of
from storage.catalog.base import BlockRow
from storage.catalog.snapshot import CatalogReader
from storage.known import forgotten_blocks, unknown_folders
from storage.objects.base import ObjectStore
from storage.vault.data_dir import CATALOG, DataDir
from storage.vault.report import Problem, Report, of_block
from storage.vault.survey import look_at
from storage.vault.verify_journal import Expected, check_journal, forgotten_by

PROGRESS_EVERY = 16
"""Blocks between two tellings."""
Progress = Callable[[str], None]
"""Told what is being checked."""


def verify(data: DataDir, *, deep: bool = False, progress: Progress = lambda _: None) -> Report:
    """Check everything; raises `AppError` when it cannot be checked."""
    data.check_is_there()
    report = Report(deep)
    forgotten = forgotten_by(data)  # before the catalog: what it says then is newer
    with closing(CatalogReader(data.catalog)) as catalog:
        catalog.check_schema()
        _check_catalog(catalog, report)
        progress("checking the journal")
        check_journal(data, Expected(catalog.watermarks(), catalog.told()), report)
        _check_losses(catalog, report)
        objects = data.objects()
        _check_folders(catalog, objects, forgotten, report)
        _check_blocks(catalog, objects, report, progress)
    return report


def _check_catalog(catalog: CatalogReader, report: Report) -> None:
    for fault in catalog.faults(deep=report.deep):
        report.problems.append(
            Problem(
                kind="catalog",
                what=f"the database is damaged: {fault}",
                advice="put back a backup, or narfi repair --rebuild-catalog",
                where=CATALOG,
            )
        )
    counts = catalog.counts()
    report.checked["blocks"] = counts.visible
    if counts.removed:
        report.notes.append(f"{counts.removed} removed blocks wait to be deleted")
    if counts.intended:
        report.notes.append(
            f"{counts.intended} blocks are being written, or were when a server ended"
        )


def _check_losses(catalog: CatalogReader, report: Report) -> None:
    for loss in catalog.losses():
        report.problems.append(
            Problem(
                kind="loss",
                what=f"acknowledged entries are missing: {loss.reason}",
                advice="send them again if you can; narfi repair --forget-losses when it is read",
                where=loss.journal_id,
                from_ns=loss.from_ns,
                to_ns=loss.to_ns,
            )
        )


def _check_folders(
    catalog: CatalogReader, objects: ObjectStore, forgotten: tuple[str, int], report: Report
) -> None:
    for path in unknown_folders(catalog, objects):
        found = look_at(objects, path)
        if found.manifest is None and not any(objects.list(f"{path}/")):
            continue  # a server moved it meanwhile
        whole = found.manifest is not None
        report.problems.append(
            Problem(
                kind="folder",
                what=f"the catalog does not know {'a whole block' if whole else 'a folder'}",
                advice=(
                    "narfi repair --adopt, or --rebuild-catalog when there are many"
                    if whole
                    else "a running server moves it to lost+found"
                ),
                where=f"objects/{path}",
                block=found.block_id,
                rows=found.manifest.row.rows if found.manifest else None,
            )
        )
    for path in forgotten_blocks(catalog, objects, *forgotten):
        report.problems.append(
            Problem(
                kind="catalog",
                what=f"it is older than a whole block, {path}, whose records the journal forgot",
                advice="put back a backup, or narfi repair --rebuild-catalog",
                where=CATALOG,
            )
        )
    for path in folders(objects, f"{LOST_FOUND}/"):
        report.problems.append(
            Problem(
                kind="lost+found",
                what="a folder that the catalog did not know was set aside",
                advice="narfi repair --adopt makes whole blocks visible; or delete the folder",
                where=f"objects/{path}",
            )
        )


def _check_blocks(
    catalog: CatalogReader, objects: ObjectStore, report: Report, progress: Progress
) -> None:
    total, done, size = report.checked["blocks"], 0, 0
    for row in catalog.blocks():
        for fault in _block_faults(objects, row, deep=report.deep):
            if catalog.block(row.block_id) is None:
                break  # replaced meanwhile, and deleted
            report.problems.append(of_block(row, f"objects/{fault.key}", fault.what))
        done, size = done + 1, size + row.stored_bytes
        if done % PROGRESS_EVERY == 0 or done == total:
            progress(f"checking blocks: {done} of {total}, {size >> 20} MB")
    report.checked["blocks"] = done
    report.checked["bytes"] = size


def _block_faults(objects: ObjectStore, row: BlockRow, *, deep: bool) -> Sequence[Fault]:
    """What is wrong with a visible block."""
    path = block_prefix(row.tenant, row.min_ts, row.block_id)
    commit = commit_of(row.format_version)
    found = look_at(objects, path, commit)
    if found.manifest is None:
        return found.faults
    if found.manifest.row != row:
        return [Fault(f"{path}/{commit}", NOT_OF_THE_ROW)]
    faults = list(faults_of(objects, path, found.manifest, deep=True)) if deep else found.faults
    names = {*found.manifest.objects, commit}
    strange = [key for key in objects.list(f"{path}/") if key.rpartition("/")[2] not in names]
    return [*faults, *(Fault(key, "is not named by the block's manifest") for key in strange)]
