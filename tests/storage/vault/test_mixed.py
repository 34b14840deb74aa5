"""Are blocks of all formats in one folder backed up, restored, found again, and merged?"""

import shutil
from pathlib import Path

import pytest

from storage.block.identity import Layout
from storage.block.layout import NEWEST_VERSION
from storage.vault.backup import backup
from storage.vault.data_dir import DataDir
from storage.vault.rebuild import rebuild
from storage.vault.restore import restore
from storage.vault.survey import survey
from storage.vault.verify import verify
from tests.storage import stored
from tests.storage.batches import Entry
from tests.storage.blocks import LAYOUTS, MemoryObjects
from tests.storage.stored import Stored
from tests.storage.vault.folder import day, entries_in, opened, sorted_entries
from tests.upkeep.fresh import ANY_TWO, compact

FORMAT_1 = Path(__file__).parents[2] / "format_versions/block-1"
NEWEST = Layout(NEWEST_VERSION)


def written(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """A block of each layout, all of one day; what is in them."""
    wanted = []
    for number, layout in enumerate(LAYOUTS):
        monkeypatch.setattr(stored, "LAYOUT", layout)
        with opened(root) as folder:
            entries = day(1, f"app-{number}")
            row = folder.flush(entries, folder.push())
            assert row.format_version == layout.version
            wanted += entries
    monkeypatch.setattr(stored, "LAYOUT", NEWEST)
    return wanted


def with_format_1(root: Path) -> list[Entry]:
    """Put a block of format 1 beside them; everything that is there."""
    shutil.copytree(FORMAT_1 / "blocks", root / "objects/blocks", dirs_exist_ok=True)
    found = Stored(root)
    (old,) = [f for f in survey(found.objects, "blocks/") if f.block_id == "stored"]
    assert old.manifest is not None
    found.catalog.adopt([old.manifest.row], [], [])
    found.close()
    return entries_in(root)


def test_they_are_backed_up_and_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, target = tmp_path / "data", MemoryObjects()
    written(root, monkeypatch)
    before = with_format_1(root)
    with opened(root) as folder:
        assert {row.format_version for row in folder.stored.rows()} == {1, 2, 3}
        assert backup(folder.data, target, folder.stored.clock).record.damaged == []
    restore(target, DataDir(tmp_path / "again"))
    assert verify(DataDir(tmp_path / "again"), deep=True).problems == []
    assert entries_in(tmp_path / "again") == before


def test_a_catalog_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, monkeypatch)
    before = with_format_1(tmp_path)
    rows = Stored(tmp_path).rows()
    for path in tmp_path.glob("catalog.db*"):
        path.unlink()
    done = rebuild(DataDir(tmp_path), Stored(tmp_path).clock)
    assert (done.visible, list(done.faults)) == (len(rows), [])
    assert set(Stored(tmp_path).rows()) == set(rows)
    assert entries_in(tmp_path) == before


def test_they_are_merged_to_one_of_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = written(tmp_path, monkeypatch)
    with opened(tmp_path) as folder:
        while compact(folder.stored.catalog, folder.stored.store, ANY_TWO):
            continue
        (row,) = folder.stored.rows()
    assert row.format_version == NEWEST_VERSION
    assert entries_in(tmp_path) == sorted_entries(wanted)
    assert verify(DataDir(tmp_path), deep=True).problems == []
