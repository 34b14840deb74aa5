"""Is a backup whole and consistent, whatever happens meanwhile, and the one before until then?"""

import copy
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import pyarrow as pa
import pytest

from narfi.core.errors import AppError
from storage.block.folders import delete_objects
from storage.block.layout import block_prefix
from storage.catalog.copy import copy_catalog
from storage.journal.segment import segment_paths
from storage.objects.base import ObjectStore
from storage.objects.faulty import Faults
from storage.vault import backup as vault
from storage.vault.backup import BackedUp, backup
from storage.vault.data_dir import DataDir
from storage.vault.places import open_source, open_target
from storage.vault.record import RECORD, BackupError, Record, read_record
from storage.vault.restore import restore
from tests.storage.batches import Entry
from tests.storage.blocks import MemoryObjects
from tests.storage.form import OBJECTS, Form
from tests.storage.stored import TENANT, Stored
from tests.storage.vault.faulty import FaultyStore
from tests.storage.vault.folder import (
    Folder,
    day,
    entries_in,
    flip,
    object_path,
    opened,
    records_in,
    sorted_entries,
    unreadable,
)
from tests.upkeep.fresh import compact, worker_of
from upkeep.garbage import GarbageCollector


def back_up(folder: Folder, target: ObjectStore) -> BackedUp:
    """Of a folder that is in use."""
    return backup(folder.data, target, folder.stored.clock)


def restored(target: ObjectStore, root: Path) -> Path:
    """The newest backup as a data folder."""
    restore(target, DataDir(root))
    return root


def check_is_whole(target: MemoryObjects) -> Record:
    """What `backup.json` names is there, every byte."""
    record = read_record(target)
    assert record is not None
    for key, stored in record.files.items():
        content = target.content[key]
        assert (len(content), google_crc32c.value(content)) == (stored.size, stored.crc32c)
    return record


def test_a_backup_has_blocks_and_what_is_only_in_the_journal(tmp_path: Path) -> None:
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        folder.push(b"not in a block")
        done = back_up(folder, target)
        journal_id = folder.journal.journal_id
    assert (done.record.blocks, done.record.entries) == (1, 3)
    assert done.record.damaged == []
    check_is_whole(target)
    root = restored(target, tmp_path / "again")
    assert entries_in(root) == sorted_entries(day(1))
    records, lost = records_in(root)
    assert [record.body for record in records if record.position > 1] == [b"not in a block"]
    assert lost == 0
    assert (root / "journal" / "id").read_text().strip() == journal_id


def test_the_next_one_copies_what_is_new_and_deletes_what_nobody_needs(tmp_path: Path) -> None:
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        first = back_up(folder, target)
        second = back_up(folder, target)
        assert {k for k in second.record.files if k.startswith("objects/")} == {
            k for k in first.record.files if k.startswith("objects/")
        }
        assert second.put_files == 3 + len(segment_paths(folder.data.journal))
        gone = folder.stored.rows()[0]
        folder.stored.catalog.replace([gone.block_id], [])
        folder.flush(day(2), folder.push())
        third = back_up(folder, target)
        assert third.pruned > 0
    check_is_whole(target)
    assert set(target.content) == {*third.record.files, RECORD, "narfi-backup.txt"}
    assert entries_in(restored(target, tmp_path / "again")) == sorted_entries(day(2))


def test_a_restored_folder_can_be_backed_up_to_the_same_place(tmp_path: Path) -> None:
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        back_up(folder, target)
    with opened(restored(target, tmp_path / "again")) as folder:
        folder.flush(day(2), folder.push())
        back_up(folder, target)
    assert entries_in(restored(target, tmp_path / "third")) == sorted_entries(day(1), day(2))


class Meanwhile(MemoryObjects):
    """A target during whose first put something else happens."""

    def __init__(self, happens: Callable[[], object], when: str) -> None:
        super().__init__()
        self._happens, self._when = happens, when
        self.happened = 0

    def put(self, key: str, data: bytes | pa.Buffer, *, settled: bool = True) -> None:
        """Keep it, after what happens."""
        if self._when in key and not self.happened:
            self.happened += 1
            self._happens()
        super().put(key, data, settled=settled)


@pytest.mark.parametrize("when", ["/journal/", "objects/"])
def test_blocks_that_are_merged_and_deleted_meanwhile(tmp_path: Path, when: str) -> None:
    with opened(tmp_path / "data") as folder:
        stored = folder.stored
        for number in range(4):
            folder.flush(day(1, f"app {number}"), folder.push())

        def upkeep() -> None:
            compact(stored.catalog, stored.store)
            GarbageCollector(stored.services, 0, worker_of(stored.catalog, stored.store)).collect()

        target = Meanwhile(upkeep, when)
        done = back_up(folder, target)
        assert target.happened
        assert (done.record.blocks, done.record.damaged) == (1, [])
    check_is_whole(target)
    wanted = sorted_entries(*(day(1, f"app {number}") for number in range(4)))
    assert entries_in(restored(target, tmp_path / "again")) == wanted


@pytest.mark.parametrize("when", ["/journal/", "objects/", "catalog.db"])
def test_a_flush_that_deletes_segments_meanwhile(tmp_path: Path, when: str) -> None:
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        position = folder.push(b"second")
        folder.push(b"third")

        def flush() -> None:
            folder.flush(day(2), position)

        target = Meanwhile(flush, when)
        back_up(folder, target)
        assert target.happened
    root = restored(target, tmp_path / "again")
    records, lost = records_in(root)
    assert lost == 0
    assert {b"second", b"third"} <= {record.body for record in records}
    assert entries_in(root) == sorted_entries(day(1))


def test_pushes_and_flushes_between_journal_and_catalog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog's copy is then ahead of the journal as it was opened first: no false alarm."""
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        times = 0

        def busy(source: Path, goal: Path) -> None:
            nonlocal times
            times += 1
            if times == 1:
                folder.flush(day(2), folder.push())  # every older segment goes
            folder.push(b"late")
            copy_catalog(source, goal)

        monkeypatch.setattr(vault, "copy_catalog", busy)
        back_up(folder, target)
        watermark = folder.stored.catalog.watermarks(folder.journal.journal_id)[TENANT]
    assert times == 2, "segments came and went, so it began again"
    root = restored(target, tmp_path / "again")
    records, lost = records_in(root)
    assert lost == 0
    assert max(record.position for record in records) >= watermark
    assert entries_in(root) == sorted_entries(day(1), day(2))


def test_a_block_that_is_always_replaced_is_an_error_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(_: object) -> Record:
        raise vault._ReplacedError

    monkeypatch.setattr(vault, "_attempt", replaced)
    with (
        opened(tmp_path) as folder,
        pytest.raises(BackupError, match="replaced faster than they could be copied"),
    ):
        back_up(folder, MemoryObjects())


@pytest.mark.parametrize(("form", "name"), OBJECTS, indirect=["form"])
@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_object_never_takes_the_place_of_a_sound_copy(
    tmp_path: Path, form: Form, name: str, damage: str
) -> None:
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        row = folder.flush(day(1), folder.push())
        back_up(folder, target)
        path = object_path(folder.data.root, row, name)
        if damage == "flipped":
            flip(path, 0)
        else:
            path.unlink()
        assert back_up(folder, target).record.damaged == []
    assert entries_in(restored(target, tmp_path / "again")) == sorted_entries(day(1))


@pytest.mark.parametrize(("form", "name"), OBJECTS, indirect=["form"])
@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_a_damaged_object_without_a_sound_copy_is_told(
    tmp_path: Path, form: Form, name: str, damage: str
) -> None:
    target = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        folder.flush(day(2), folder.push())
        row = folder.flush(day(1), folder.push())
        path = object_path(folder.data.root, row, name)
        content = path.read_bytes()
        if damage == "flipped":
            flip(path, 0)
        else:
            path.unlink()
        for _ in range(2):
            record = back_up(folder, target).record
            assert f"{block_prefix(TENANT, row.min_ts, row.block_id)}/{name}" in record.damaged
            check_is_whole(target)
        root = restored(target, tmp_path / "again")
        there = object_path(root, row, name)
        assert there.exists() == (damage == "flipped")
        path.write_bytes(content)  # put back by hand: the next backup is whole
        assert back_up(folder, target).record.damaged == []
    assert entries_in(restored(target, tmp_path / "third")) == sorted_entries(day(1), day(2))


def test_a_damaged_catalog_never_takes_the_place_of_a_sound_one(tmp_path: Path) -> None:
    target = MemoryObjects()
    with opened(tmp_path) as folder:
        folder.flush(day(1), folder.push())
        back_up(folder, target)
    content = bytearray((tmp_path / "catalog.db").read_bytes())
    content[4096 : 4096 * 6] = bytes(4096 * 5)
    (tmp_path / "catalog.db").write_bytes(content)
    before = dict(target.content)
    with pytest.raises(AppError, match="catalog"):
        backup(DataDir(tmp_path), target, Stored(tmp_path / "x").clock)
    assert target.content == before


@pytest.mark.parametrize("state", ["missing", "empty"])
def test_a_catalog_that_lost_its_rows_never_takes_the_place_of_a_whole_backup(
    tmp_path: Path, state: str
) -> None:
    """A timer goes on after the catalog went, and a start that was refused made an empty one."""
    target = MemoryObjects()
    with opened(tmp_path) as folder:
        folder.flush(day(1), folder.push())
        back_up(folder, target)
        clock = folder.stored.clock
    for path in tmp_path.glob("catalog.db*"):
        path.unlink()
    if state == "empty":
        Stored(tmp_path).close()
    before = dict(target.content)
    with pytest.raises(AppError, match=r"there is no catalog|does not know 1 of the stored blocks"):
        backup(DataDir(tmp_path), target, clock)
    assert target.content == before


def test_a_place_that_is_something_else_is_refused(tmp_path: Path) -> None:
    foreign = MemoryObjects()
    foreign.put("objects/blocks/t/day/b/lines.parquet", b"of another server")
    with opened(tmp_path / "data") as folder:
        with pytest.raises(BackupError, match="is not empty and holds none"):
            back_up(folder, foreign)
        with pytest.raises(BackupError, match="lies in the data folder"):
            open_target(str(tmp_path / "data" / "backup"), folder.data)
        target = MemoryObjects()
        folder.flush(day(1), folder.push())
        back_up(folder, target)
    before = dict(target.content)
    with opened(tmp_path / "other") as other, pytest.raises(BackupError, match="another server"):
        back_up(other, target)
    assert target.content == before
    assert set(foreign.content) == {"objects/blocks/t/day/b/lines.parquet"}


def test_two_at_once_are_noticed(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        other = MemoryObjects()
        target = Meanwhile(lambda: back_up(folder, other), "objects/")
        other.content = target.content
        with pytest.raises(BackupError, match="run one at a time"):
            back_up(folder, target)
    assert read_record(target) is not None


def test_a_folder_of_this_machine(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        where = (tmp_path / "a b").as_uri()
        assert "%20" in where
        back_up(folder, open_target(where, folder.data))
    root = restored(open_source(str(tmp_path / "a b")), tmp_path / "again")
    assert entries_in(root) == sorted_entries(day(1))
    with pytest.raises(BackupError, match="there is no folder"):
        open_source(str(tmp_path / "absent"))


CASES = [(False, False), (True, False), (False, True), (True, True)]


@pytest.mark.slow
@pytest.mark.parametrize(("after", "dead"), CASES)
def test_stopped_at_any_call_of_the_target_a_whole_backup_is_there(
    tmp_path: Path, after: bool, dead: bool
) -> None:
    """The one before, or the new one: every file of it is there and whole."""
    base = MemoryObjects()
    with opened(tmp_path / "data") as folder:
        stored = folder.stored
        folder.flush(day(1, "gone"), folder.push())
        back_up(folder, base)
        old = read_record(base)
        assert old is not None
        (gone,) = stored.rows()
        stored.catalog.replace([gone.block_id], [])
        delete_objects(stored.objects, block_prefix(TENANT, gone.min_ts, gone.block_id))
        folder.flush(day(2), folder.push())
        folder.push(b"open")
        counted = Faults()
        back_up(folder, FaultyStore(copy.deepcopy(base), counted))
        assert counted.steps > 15
        news = 0
        for at in range(counted.steps):
            target = copy.deepcopy(base)
            faulty = FaultyStore(target, Faults(at, after=after, dead=dead))
            try:
                back_up(folder, faulty)
            except AppError:
                pass
            else:
                assert read_record(target) != old, "it said that it is done"
            found = check_is_whole(target)
            if found != old:
                news += 1
                assert (found.blocks, found.entries) == (1, 3)
            back_up(folder, target)
            assert check_is_whole(target).blocks == 1
        assert 0 < news < counted.steps
        assert entries_in(restored(target, tmp_path / "again")) == wanted()


@pytest.mark.slow
def test_an_object_that_cannot_be_read_is_told_and_copied_the_next_time(
    tmp_path: Path, form: Form
) -> None:
    """Every read of the source fails in turn: an error, or a backup that names what it lacks."""
    with opened(tmp_path / "data") as folder:
        folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        counted = Faults()
        data = unreadable(folder.data.root, counted)
        backup(data, MemoryObjects(), folder.stored.clock)
        assert counted.steps > 5
        for at in range(counted.steps):
            target = MemoryObjects()
            data = unreadable(folder.data.root, Faults(at))
            try:
                done = backup(data, target, folder.stored.clock)
            except AppError:
                assert read_record(target) is None
            else:
                names = {key.rpartition("/")[2] for key in done.record.damaged}
                # without a manifest, nothing says how the others should be
                assert names in (*({name} for name in form.files), set(form.objects))
                assert len(done.record.damaged) == len(names), "of one block"
                check_is_whole(target)
            assert back_up(folder, target).record.damaged == []
            assert check_is_whole(target).entries == 6
        assert entries_in(restored(target, tmp_path / "again")) == sorted_entries(day(1), day(2))


def wanted() -> list[Entry]:
    """What the newest backup above holds."""
    return sorted_entries(day(2))
