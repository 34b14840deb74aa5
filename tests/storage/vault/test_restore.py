"""Is a restored folder what was backed up, and is one that was not finished never served?"""

import shutil
from pathlib import Path

import pytest

from narfi.core.errors import AppError
from narfi.core.settings import load_settings
from narfi.server.wiring import build
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow
from storage.objects.faulty import Faults
from storage.vault.backup import backup
from storage.vault.data_dir import UNFINISHED, DataDir, DataDirError
from storage.vault.record import RECORD, BackupError
from storage.vault.restore import restore, restore_block
from storage.vault.verify import verify
from tests.faults.crash_disk import Always, CrashDisk
from tests.storage.blocks import MemoryObjects
from tests.storage.form import OBJECTS, Form
from tests.storage.stored import TENANT
from tests.storage.vault.faulty import FaultyDisk, FaultyStore
from tests.storage.vault.folder import (
    day,
    entries_in,
    flip,
    object_path,
    opened,
    records_in,
    sorted_entries,
)


def made(root: Path) -> tuple[MemoryObjects, BlockRow]:
    """A backup of two blocks and an unflushed record; the first block."""
    target = MemoryObjects()
    with opened(root) as folder:
        row = folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        folder.push(b"open")
        backup(folder.data, target, folder.stored.clock)
    return target, row


def check_is_there(root: Path) -> None:
    """All of it, and nothing wrong."""
    assert verify(DataDir(root), deep=True).problems == []
    assert entries_in(root) == sorted_entries(day(1), day(2))
    records, lost = records_in(root)
    assert (b"open" in {record.body for record in records}, lost) == (True, 0)


def test_only_an_empty_folder_is_written(tmp_path: Path) -> None:
    source, _ = made(tmp_path / "data")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    with pytest.raises(DataDirError, match="is not empty"):
        restore(source, DataDir(full))
    assert [path.name for path in full.iterdir()] == ["mine"]
    empty = tmp_path / "empty"
    (empty / "lost+found").mkdir(parents=True)  # as a new file system has it
    restore(source, DataDir(empty))
    check_is_there(empty)


def test_a_place_without_a_whole_backup(tmp_path: Path) -> None:
    source, _ = made(tmp_path / "data")
    whole = dict(source.content)
    del source.content[RECORD]
    with pytest.raises(BackupError, match="there is no whole backup"):
        restore(source, DataDir(tmp_path / "a"))
    for content in (b"", b"{", b"[]", b'{"format_version": 1}', whole[RECORD][:-9]):
        source.content[RECORD] = content
        with pytest.raises(BackupError, match=r"backup\.json of the backup is damaged"):
            restore(source, DataDir(tmp_path / "a"))
    source.content[RECORD] = b'{"format_version": 9}'
    with pytest.raises(BackupError, match="format 9; this version reads 1"):
        restore(source, DataDir(tmp_path / "a"))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_every_file_is_checked(tmp_path: Path, form: Form, damage: str) -> None:
    source, _ = made(tmp_path / "data")
    whole = dict(source.content)
    keys = [key for key in whole if "/" in key]
    of_blocks = sorted(key.rpartition("/")[2] for key in keys if key.startswith("objects/"))
    assert of_blocks == sorted([*form.objects, *form.objects])
    assert len(keys) > len(of_blocks)
    for number, key in enumerate(keys):
        source.content = dict(whole)
        if damage == "missing":
            del source.content[key]
        elif damage == "cut":
            source.content[key] = whole[key][:-1]
        else:
            source.content[key] = whole[key][:-1] + bytes([whole[key][-1] ^ 1])
        root = tmp_path / str(number)
        with pytest.raises(BackupError, match=key):
            restore(source, DataDir(root))
        assert not (root / "catalog.db").exists()
        with pytest.raises(DataDirError, match="did not finish: run it again"):
            build(load_settings(None, {}, {"data_dir": str(root)}))
        source.content = whole
        restore(source, DataDir(root))
        assert entries_in(root) == sorted_entries(day(1), day(2))
        shutil.rmtree(root)


def test_damaged_objects_can_be_left_out(tmp_path: Path, form: Form) -> None:
    source, row = made(tmp_path / "data")
    key = f"objects/{block_prefix(TENANT, row.min_ts, row.block_id)}/{form.entries}"
    source.content[key] = b"else"
    done = restore(source, DataDir(tmp_path / "a"), partial=True)
    assert done.left_out == (f"{key} of the backup is damaged: its size or checksum is wrong",)
    (problem,) = verify(DataDir(tmp_path / "a")).problems
    assert (problem.block, problem.what) == (row.block_id, "is missing")
    catalog = next(key for key in source.content if key.endswith("catalog.db"))
    source.content[catalog] = b"else"
    with pytest.raises(BackupError, match=r"catalog\.db of the backup is damaged"):
        restore(source, DataDir(tmp_path / "b"), partial=True)


def test_a_second_try_takes_nothing_of_another_backup(tmp_path: Path) -> None:
    source, _ = made(tmp_path / "data")
    root = tmp_path / "again"
    for name in ("journal/00000000000000000009.journal", "objects/blocks/t/day/b/lines.parquet"):
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(b"of an older backup")
    (root / UNFINISHED).write_text("from it")
    restore(source, DataDir(root))
    check_is_there(root)


def test_a_finished_restore_is_finished_after_a_power_failure(tmp_path: Path) -> None:
    """Else the server would ask for another restore, which takes what was pushed meanwhile."""
    source, _ = made(tmp_path / "data")
    disk, root = CrashDisk(), tmp_path / "restored"
    restore(source, DataDir(root), disk)
    disk.power_off(Always())
    DataDir(root).check_is_whole()
    check_is_there(root)


@pytest.mark.slow
@pytest.mark.parametrize("dead", [False, True])
def test_stopped_at_any_call_it_is_not_served_and_can_be_run_again(
    tmp_path: Path, dead: bool
) -> None:
    source, _ = made(tmp_path / "data")
    counted = Faults()
    restore(FaultyStore(source, counted), DataDir(tmp_path / "count"), FaultyDisk(counted))
    assert counted.steps > 100
    for at in range(counted.steps):
        root, faults = tmp_path / str(at), Faults(at, dead=dead)
        with pytest.raises(AppError):
            restore(FaultyStore(source, faults), DataDir(root), FaultyDisk(faults))
        if root.exists() and any(root.iterdir()) and not (root / UNFINISHED).exists():
            # only a temporary file of the mark itself, or all of it is there
            names = {path.name[:5] for path in root.iterdir()}
            assert names in ({".tmp-"}, {"objec", "journ", "catal"}), f"step {at}"
        restore_again(source, root)
        assert entries_in(root) == sorted_entries(day(1), day(2)), f"step {at}"
        shutil.rmtree(root)


def restore_again(source: MemoryObjects, root: Path) -> None:
    """As an operator does, in an empty folder where it is asked for."""
    try:
        restore(source, DataDir(root))
    except DataDirError:
        assert not (root / UNFINISHED).exists()
        shutil.rmtree(root)
        restore(source, DataDir(root))


@pytest.mark.parametrize(("form", "name"), OBJECTS, indirect=["form"])
def test_one_damaged_block_is_put_back(tmp_path: Path, form: Form, name: str) -> None:
    source, row = made(tmp_path / "data")
    path = object_path(tmp_path / "data", row, name)
    flip(path, 0)
    assert verify(DataDir(tmp_path / "data"), deep=True).problems
    assert restore_block(source, DataDir(tmp_path / "data"), row.block_id) == len(form.objects)
    check_is_there(tmp_path / "data")


def test_a_block_that_the_backup_does_not_hold_whole(tmp_path: Path, form: Form) -> None:
    source, row = made(tmp_path / "data")
    data = DataDir(tmp_path / "data")
    with pytest.raises(BackupError, match="no visible block has the id nothing"):
        restore_block(source, data, "nothing")
    with opened(tmp_path / "data") as folder:
        newer = folder.flush(day(3), folder.push())
    with pytest.raises(BackupError, match="does not hold block"):
        restore_block(source, data, newer.block_id)
    key = f"objects/{block_prefix(TENANT, row.min_ts, row.block_id)}/{form.entries}"
    source.content[key] = b"else"
    before = object_path(tmp_path / "data", row, form.entries).read_bytes()
    with pytest.raises(BackupError, match="is damaged"):
        restore_block(source, data, row.block_id)
    assert object_path(tmp_path / "data", row, form.entries).read_bytes() == before


def test_what_a_restore_left_that_was_killed_in_its_first_step_is_no_hindrance(
    tmp_path: Path,
) -> None:
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        backup(folder.data, target, folder.stored.clock)
    goal = tmp_path / "again"
    goal.mkdir()
    (goal / ".tmp-0123").write_bytes(b"from the ba")
    restore(target, DataDir(goal))
    assert not (goal / ".tmp-0123").exists()
    assert entries_in(goal) == sorted_entries(day(1))
