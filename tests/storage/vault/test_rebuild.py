"""Does a catalog come back from manifests, with what is right to be visible and nothing else?"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from storage.block.folders import LOST_FOUND, delete_objects
from storage.block.layout import block_prefix
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow
from storage.journal.base import JournalError
from storage.known import check_blocks_are_known
from storage.objects.faulty import Faults
from storage.vault.data_dir import DataDir
from storage.vault.rebuild import rebuild
from tests.storage.form import Form
from tests.storage.stored import TENANT, Stored
from tests.storage.vault.faulty import FaultyDisk
from tests.storage.vault.folder import (
    day,
    entries_in,
    flip,
    object_path,
    opened,
    sorted_entries,
    unchangeable,
)
from tests.upkeep.fresh import compact


def lose_catalog(root: Path) -> None:
    """As a replaced disk, or an operator, does."""
    for path in root.glob("catalog.db*"):
        path.unlink()


def rebuilt(root: Path) -> Stored:
    """Rebuild, and open as a server does."""
    rebuild(DataDir(root), Stored(root).clock)
    stored = Stored(root)
    check_blocks_are_known(stored.catalog, stored.objects)
    return stored


def delete_first_row(stored: Stored, row: BlockRow) -> BlockRow:
    """As a delete request does."""
    with stored.store.opened([row]) as (source,):
        kept = Kept(source, np.array([False, True, True]))
        smaller = stored.store.rewrite([kept], TENANT, row.cut_id, row.level)
    assert smaller is not None
    stored.store.replace([row.block_id], [smaller])
    return smaller


def test_rows_and_watermarks_come_back(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        for number in (1, 2):
            folder.flush(day(number), folder.push())
        before, journal_id = folder.stored.rows(), folder.journal.journal_id
    lose_catalog(tmp_path)
    stored = rebuilt(tmp_path)
    assert stored.rows() == before
    assert stored.catalog.watermarks(journal_id) == {TENANT: 2}
    assert entries_in(tmp_path) == sorted_entries(day(1), day(2))


def test_a_block_that_was_replaced_stays_hidden_and_is_deleted_later(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        old = folder.flush(day(1), folder.push())
        smaller = delete_first_row(folder.stored, old)
        journal_id = folder.journal.journal_id
    lose_catalog(tmp_path)
    stored = rebuilt(tmp_path)
    assert [row.block_id for row in stored.rows()] == [smaller.block_id]
    assert [gone.block_id for gone in stored.catalog.removed(9)] == [old.block_id]
    assert stored.catalog.watermarks(journal_id) == {TENANT: 1}
    assert stored.entries() == sorted_entries(day(1)[1:])


def test_replaced_at_second_hand_is_replaced(tmp_path: Path) -> None:
    """First made smaller, then merged: the one in the middle is gone from the disk, or not."""
    with opened(tmp_path) as folder:
        stored = folder.stored
        old = folder.flush(day(1), folder.push())
        middle = delete_first_row(stored, old)
        for number in range(3):
            stored.add(day(1, f"app {number}"))
        assert compact(stored.catalog, stored.store) == 3
        (merged,) = stored.rows()
    lose_catalog(tmp_path)
    stored = rebuilt(tmp_path)
    assert [row.block_id for row in stored.rows()] == [merged.block_id]
    assert {old.block_id, middle.block_id} < {g.block_id for g in stored.catalog.removed(9)}


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_block_does_not_take_the_place_of_what_it_was_made_of(
    tmp_path: Path, form: Form, damage: str
) -> None:
    with opened(tmp_path) as folder:
        old = folder.flush(day(1), folder.push())
        smaller = delete_first_row(folder.stored, old)
    path = object_path(tmp_path, smaller, form.entries)
    if damage == "flipped":
        flip(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    lose_catalog(tmp_path)
    stored = rebuilt(tmp_path)
    assert [row.block_id for row in stored.rows()] == [old.block_id]
    assert stored.entries() == sorted_entries(day(1)), "better what was deleted than nothing"
    folder_of = block_prefix(TENANT, smaller.min_ts, smaller.block_id)
    assert any(stored.objects.list(f"{LOST_FOUND}/{folder_of}/"))


def test_a_damaged_block_without_ancestors_is_visible_and_told(tmp_path: Path, form: Form) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        journal_id = folder.journal.journal_id
    object_path(tmp_path, row, form.entries).unlink()
    lose_catalog(tmp_path)
    done = rebuild(DataDir(tmp_path), Stored(tmp_path).clock)
    assert done.visible == 1
    assert [fault.key.rpartition("/")[2] for fault in done.faults] == [form.entries]
    assert Stored(tmp_path).catalog.watermarks(journal_id) == {}, "its records are replayed"


def test_folders_that_are_no_blocks_are_set_aside(tmp_path: Path, form: Form) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        torn = folder.flush(day(2), folder.push())
        folder.stored.objects.put(f"blocks/t/1970-01-01/half/{form.entries}", b"half")
        home = block_prefix(TENANT, row.min_ts, row.block_id)
        content = folder.stored.objects.get(f"{home}/{form.commit}")
        folder.stored.objects.put(f"blocks/t/1970-01-01/liar/{form.commit}", content)
    object_path(tmp_path, torn, form.commit).write_bytes(b"{")
    lose_catalog(tmp_path)
    done = rebuild(DataDir(tmp_path), Stored(tmp_path).clock)
    assert done.visible == 1
    names = {path.rpartition("/")[2] for path in done.set_aside}
    assert names == {"half", "liar", torn.block_id}
    stored = Stored(tmp_path)
    assert stored.folders() == {row.block_id}
    half = f"{LOST_FOUND}/blocks/t/1970-01-01/half/{form.entries}"
    assert stored.objects.get(half) == b"half"


def test_blocks_of_manifests_that_say_nothing_of_records(tmp_path: Path) -> None:
    """From before: every record that is still there is replayed, and queries give it once."""
    with opened(tmp_path) as folder:
        folder.stored.add(day(1))
        journal_id = folder.journal.journal_id
    lose_catalog(tmp_path)
    stored = rebuilt(tmp_path)
    assert stored.catalog.watermarks(journal_id) == {}
    assert stored.entries() == sorted_entries(day(1))


def test_the_old_catalog_is_kept_with_its_log(tmp_path: Path) -> None:
    killed, kept = tmp_path / "killed", tmp_path / "kept"
    with opened(tmp_path / "serving") as folder:
        folder.flush(day(1), folder.push())
        clock = folder.stored.clock
        shutil.copytree(folder.data.root, killed)  # as a kill -9 leaves it
    assert (killed / "catalog.db-wal").stat().st_size > 0
    done = rebuild(DataDir(killed), clock)
    assert done.kept_as == killed / "catalog.db.19700411T000000Z"
    kept.mkdir()
    for rest in ("", "-wal"):
        shutil.copy(killed / f"catalog.db.19700411T000000Z{rest}", kept / f"catalog.db{rest}")
    shutil.copytree(killed / "objects", kept / "objects")
    assert entries_in(kept) == entries_in(killed) == sorted_entries(day(1))
    assert rebuild(DataDir(killed), clock).kept_as == killed / "catalog.db.19700411T000000Z-2"


def test_it_is_refused_while_a_server_runs(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        with pytest.raises(JournalError, match="another process uses the journal"):
            rebuild(folder.data, folder.stored.clock)
        assert folder.stored.rows() == [row]


def test_an_empty_catalog_that_a_refused_start_made_gives_way(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.flush(day(1), folder.push())
    lose_catalog(tmp_path)
    Stored(tmp_path).close()
    assert rebuilt(tmp_path).entries() == sorted_entries(day(1))


def prepared(root: Path) -> None:
    """Two blocks, one of them replaced, a folder that is none; the catalog is an older one."""
    with opened(root) as folder:
        old = folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        delete_first_row(folder.stored, old)
        folder.stored.objects.put("blocks/t/1970-01-01/half/a", b"half")
        folder.stored.objects.put("blocks/t/1970-01-01/half/b", b"half")


WANTED = sorted_entries(day(1)[1:], day(2))


@pytest.mark.slow
@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_call_the_old_or_the_new_catalog_is_there(
    tmp_path: Path, dead: bool, after: bool
) -> None:
    template = tmp_path / "template"
    prepared(template)
    counted = Faults()
    shutil.copytree(template, tmp_path / "count")
    rebuild(
        unchangeable(tmp_path / "count", counted),
        Stored(template).clock,
        disk=FaultyDisk(counted),
    )
    assert counted.steps > 10
    for at in range(counted.steps):
        root = tmp_path / str(at)
        shutil.copytree(template, root)
        faults = Faults(at, after=after, dead=dead)
        with pytest.raises((OSError, Exception), match="fails"):
            rebuild(unchangeable(root, faults), Stored(template).clock, disk=FaultyDisk(faults))
        if (root / "catalog.db").exists():
            assert entries_in(root) == WANTED, f"step {at}"
        rebuild(DataDir(root), Stored(template).clock)
        assert entries_in(root) == WANTED, f"step {at}"
        assert any((root / "objects" / LOST_FOUND).rglob("half/a"))
        shutil.rmtree(root)


def test_a_block_whose_objects_are_all_gone_is_no_folder(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        delete_objects(folder.stored.objects, block_prefix(TENANT, row.min_ts, row.block_id))
    lose_catalog(tmp_path)
    assert rebuilt(tmp_path).entries() == sorted_entries(day(2))
