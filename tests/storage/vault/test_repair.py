"""Do adopted blocks become visible, and given up ones go, whatever stops the repair?"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from narfi.core.errors import AppError
from storage.block.folders import LOST_FOUND, set_aside
from storage.block.layout import block_prefix
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow, CatalogError, Loss
from storage.journal.base import JournalError
from storage.known import check_blocks_are_known
from storage.objects.faulty import Faults
from storage.vault.data_dir import DataDir, DataDirError
from storage.vault.repair import GIVEN_UP, RepairError, adopt, forget_losses, give_up
from tests.storage.form import ORDINARY, Form
from tests.storage.stored import TENANT, Stored
from tests.storage.vault.folder import (
    day,
    entries_in,
    flip,
    object_path,
    opened,
    sorted_entries,
    unchangeable,
)


def unknown_block(stored: Stored, number: int, *, aside: bool) -> BlockRow:
    """A whole block that the catalog does not name."""
    row = stored.add(day(number))
    stored.catalog.replace([row.block_id], [])
    stored.catalog.forget([row.block_id])
    if aside:
        set_aside(stored.objects, block_prefix(TENANT, row.min_ts, row.block_id))
    return row


@pytest.mark.parametrize("aside", [False, True])
def test_unknown_whole_blocks_become_visible(tmp_path: Path, aside: bool) -> None:
    with opened(tmp_path) as folder:
        folder.flush(day(1), folder.push())
        row = unknown_block(folder.stored, 2, aside=aside)
        clock = folder.stored.clock
    done = adopt(DataDir(tmp_path), clock)
    assert list(done.rows) == [row]
    assert done.left == []
    assert entries_in(tmp_path) == sorted_entries(day(1), day(2))
    stored = Stored(tmp_path)
    check_blocks_are_known(stored.catalog, stored.objects)
    assert not any(stored.objects.list(f"{LOST_FOUND}/"))
    assert list(adopt(DataDir(tmp_path), clock).rows) == []


def test_entries_that_are_there_twice_are_no_reason_to_refuse(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.flush(day(1), folder.push())
        unknown_block(folder.stored, 1, aside=True)
        clock = folder.stored.clock
    assert len(adopt(DataDir(tmp_path), clock).rows) == 1
    assert entries_in(tmp_path) == sorted_entries(day(1))


def test_what_is_left_is_told_with_its_reason(tmp_path: Path, form: Form) -> None:
    with opened(tmp_path) as folder:
        stored = folder.stored
        old = folder.flush(day(1), folder.push())
        with stored.store.opened([old]) as (source,):
            kept = Kept(source, np.array([False, True, True]))
            smaller = stored.store.rewrite([kept], TENANT, old.cut_id, 0)
        assert smaller is not None
        stored.store.replace([old.block_id], [smaller])
        stored.catalog.forget([old.block_id])  # made of it: deleted entries would come back
        damaged = unknown_block(stored, 2, aside=True)
        stored.objects.put(f"{LOST_FOUND}/blocks/t/1970-01-01/half/{form.entries}", b"half")
        clock = stored.clock
    home = block_prefix(TENANT, damaged.min_ts, damaged.block_id)
    flip(tmp_path / "objects" / LOST_FOUND / home / form.entries)
    done = adopt(DataDir(tmp_path), clock)
    assert list(done.rows) == []
    told = {one.folder.rpartition("/")[2]: one.why for one in done.left}
    assert told[old.block_id] == f"block {smaller.block_id} was made of it"
    assert "its checksum is wrong" in told[damaged.block_id]
    assert told["half"] == "is missing"
    assert entries_in(tmp_path) == sorted_entries(day(1)[1:])


@pytest.mark.slow
@pytest.mark.parametrize("dead", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_an_adoption_that_stopped_anywhere_is_finished_by_the_next(
    tmp_path: Path, dead: bool, after: bool
) -> None:
    template = tmp_path / "template"
    with opened(template) as folder:
        folder.flush(day(1), folder.push())
        unknown_block(folder.stored, 2, aside=True)
        clock = folder.stored.clock
    moved = len(ORDINARY.objects)
    for at in range(moved):
        root = tmp_path / str(at)
        shutil.copytree(template, root)
        with pytest.raises(AppError):
            adopt(unchangeable(root, Faults(at, after=after, dead=dead)), clock)
        assert entries_in(root) == sorted_entries(day(1))
        adopt(DataDir(root), clock)
        assert entries_in(root) == sorted_entries(day(1), day(2)), f"step {at}"


def test_a_damaged_block_is_given_up_and_remembered_as_a_loss(tmp_path: Path, form: Form) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        clock = folder.stored.clock
    flip(object_path(tmp_path, row, form.entries))
    assert give_up(DataDir(tmp_path), clock, row.block_id) == row
    assert entries_in(tmp_path) == sorted_entries(day(2))
    stored = Stored(tmp_path)
    check_blocks_are_known(stored.catalog, stored.objects)
    (loss,) = stored.catalog.losses()
    assert (loss.reason, loss.from_ns, loss.to_ns) == (GIVEN_UP, row.min_ts, row.max_ts)
    assert any(stored.objects.list(f"{LOST_FOUND}/blocks/")), "nothing of it was deleted"
    with pytest.raises(RepairError, match="no visible block has the id"):
        give_up(DataDir(tmp_path), clock, row.block_id)


def test_a_block_whose_folder_is_gone_can_be_given_up(tmp_path: Path, form: Form) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        clock = folder.stored.clock
    shutil.rmtree(object_path(tmp_path, row, form.entries).parent)
    give_up(DataDir(tmp_path), clock, row.block_id)
    assert entries_in(tmp_path) == []


def test_a_whole_block_is_not_given_up(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        row = folder.flush(day(1), folder.push())
        clock = folder.stored.clock
    with pytest.raises(RepairError, match="is whole"):
        give_up(DataDir(tmp_path), clock, row.block_id)
    assert entries_in(tmp_path) == sorted_entries(day(1))


def test_losses_that_are_understood_are_not_told_again(tmp_path: Path) -> None:
    loss = Loss(
        journal_id="j", first_position=2, last_position=3, from_ns=1, to_ns=2, reason="r", told_ns=4
    )
    with opened(tmp_path) as folder:
        assert folder.stored.catalog.note_loss(loss)
        clock = folder.stored.clock
    assert list(forget_losses(DataDir(tmp_path), clock)) == [loss]
    assert list(forget_losses(DataDir(tmp_path), clock)) == []
    catalog = Stored(tmp_path).catalog
    assert catalog.losses() == []
    assert not catalog.note_loss(loss), "the next start finds the same hole in the journal"


def test_repairs_are_refused_while_a_server_runs_or_where_none_was(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as folder:
        for repair in (adopt, forget_losses):
            with pytest.raises(JournalError, match="another process uses the journal"):
                repair(folder.data, folder.stored.clock)
        with pytest.raises(JournalError, match="another process uses the journal"):
            give_up(folder.data, folder.stored.clock, "b")
        clock = folder.stored.clock
    (tmp_path / "data" / "catalog.db").unlink()
    with pytest.raises(CatalogError, match="there is no catalog"):
        adopt(DataDir(tmp_path / "data"), clock)
    with pytest.raises(DataDirError, match="is not the data folder of a server"):
        adopt(DataDir(tmp_path), clock)
    with pytest.raises(DataDirError, match="there is no data folder"):
        adopt(DataDir(tmp_path / "absent"), clock)
