"""Is everything that is wrong with a data folder told, once, and nothing else?"""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from narfi.core.errors import AppError
from storage.block.folders import delete_objects, set_aside
from storage.block.layout import block_prefix
from storage.catalog.base import BlockRow, CatalogError, Loss, Watermark
from storage.journal.segment import HEADER_BYTES, segment_paths
from storage.sorting import merge_batches
from storage.vault import verify as module
from storage.vault.data_dir import UNFINISHED, DataDir, DataDirError
from storage.vault.report import Problem, Report
from storage.vault.survey import Folder, look_at, survey
from storage.vault.verify import verify
from tests.storage.batches import batch_of
from tests.storage.form import FILES, Form
from tests.storage.stored import TENANT, Stored
from tests.storage.vault.folder import change_commit, day, flip, object_path, opened
from tests.upkeep.fresh import compact, worker_of
from upkeep.garbage import GarbageCollector


def made(root: Path) -> BlockRow:
    """Two blocks, a removed one, an intent, an unflushed record: all as it should be."""
    with opened(root) as folder:
        row = folder.flush(day(1), folder.push())
        folder.flush(day(2), folder.push())
        gone = folder.flush(day(3), folder.push())
        folder.stored.catalog.replace([gone.block_id], [])
        folder.push(b"open")
    return row


def checked(root: Path, *, deep: bool = False) -> Report:
    """What is found."""
    return verify(DataDir(root), deep=deep)


def only(root: Path, *, deep: bool = False) -> Problem:
    """The one problem that is found."""
    (problem,) = checked(root, deep=deep).problems
    return problem


@pytest.mark.parametrize("deep", [False, True])
def test_nothing_is_wrong(tmp_path: Path, deep: bool) -> None:
    made(tmp_path)
    report = checked(tmp_path, deep=deep)
    assert report.problems == []
    assert report.checked["blocks"] == 2
    assert report.checked["journal_frames"] >= 1
    assert report.notes == ["1 removed blocks wait to be deleted"]


def test_it_changes_nothing(tmp_path: Path) -> None:
    made(tmp_path)

    def content() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
        }

    before = content()
    checked(tmp_path, deep=True)
    assert content() == before


def test_it_runs_beside_a_server(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.flush(day(1), folder.push())
        folder.push(b"open")
        report = checked(tmp_path, deep=True)
    assert (report.problems, report.checked["blocks"]) == ([], 1)


@pytest.mark.parametrize(("form", "name"), FILES, indirect=["form"])
@pytest.mark.parametrize("at", [0, 60, None])
def test_every_byte_of_an_object_counts_when_it_is_deep(
    tmp_path: Path, form: Form, name: str, at: int | None
) -> None:
    row = made(tmp_path)
    flip(object_path(tmp_path, row, name), at)
    assert checked(tmp_path).problems == [], "sizes are as they were"
    found = only(tmp_path, deep=True)
    assert found.kind == "block"
    assert (found.block, found.tenant, found.rows) == (row.block_id, TENANT, 3)
    assert (found.from_ns, found.to_ns) == (row.min_ts, row.max_ts)
    assert found.where.endswith(f"{row.block_id}/{name}")
    assert "checksum is wrong" in found.what
    assert f"--block {row.block_id}" in found.advice


@pytest.mark.parametrize(("form", "name"), FILES, indirect=["form"])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "has 0 bytes"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "bytes, and had"),
    ],
    ids=["missing", "empty", "longer"],
)
def test_sizes_count_always(
    tmp_path: Path, form: Form, name: str, damage: Callable[[Path], None], told: str
) -> None:
    row = made(tmp_path)
    damage(object_path(tmp_path, row, name))
    found = only(tmp_path)
    assert told in found.what
    assert found.block == row.block_id


def test_an_object_that_is_a_folder(tmp_path: Path, form: Form) -> None:
    row = made(tmp_path)
    path = object_path(tmp_path, row, form.entries)
    path.unlink()
    path.mkdir()
    assert only(tmp_path, deep=True).block == row.block_id


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b"{"), "is damaged"),
        (lambda path: change_commit(path, rows=4), "does not agree with the catalog's row"),
        (lambda path: change_commit(path, max_ts=1), "does not agree with the catalog's row"),
        (lambda path: change_commit(path, tenant="u"), "belongs to a block of another folder"),
    ],
    ids=["missing", "torn", "rows", "time", "tenant"],
)
def test_a_manifest_that_does_not_agree(
    tmp_path: Path, form: Form, damage: Callable[[Path], None], told: str
) -> None:
    row = made(tmp_path)
    damage(object_path(tmp_path, row, form.commit))
    found = only(tmp_path)
    assert told in found.what
    assert (found.kind, found.block) == ("block", row.block_id)


def test_a_folder_that_is_gone_and_one_that_holds_more(tmp_path: Path, form: Form) -> None:
    row = made(tmp_path)
    object_path(tmp_path, row, "notes.txt").write_text("whose?")
    found = only(tmp_path)
    assert (found.what, found.block) == ("is not named by the block's manifest", row.block_id)
    shutil.rmtree(object_path(tmp_path, row, form.commit).parent)
    assert only(tmp_path).what == "is missing"


def test_what_nobody_knows(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        stored = folder.stored
        for number in (1, 2):
            row = stored.add(day(number))
            stored.catalog.replace([row.block_id], [])
            stored.catalog.forget([row.block_id])
        set_aside(stored.objects, block_prefix(TENANT, row.min_ts, row.block_id))
        stored.objects.put("blocks/t/1970-01-01/half/lines.parquet", b"half")
    found = {(p.kind, p.what): p for p in checked(tmp_path).problems}
    assert set(found) == {
        ("folder", "the catalog does not know a whole block"),
        ("folder", "the catalog does not know a folder"),
        ("lost+found", "a folder that the catalog did not know was set aside"),
    }
    whole = found["folder", "the catalog does not know a whole block"]
    assert "--adopt" in whole.advice
    assert whole.rows == 3


def test_blocks_that_are_being_written_are_no_problem(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.stored.store.write(merge_batches([batch_of(day(1))]), TENANT, "cut")
    report = checked(tmp_path)
    assert report.problems == []
    assert "1 blocks are being written" in report.notes[0]


def test_a_hole_in_the_journal_is_told_until_it_is_understood(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        for _ in range(3):
            folder.push()
        journal_id = folder.journal.journal_id
    flip(segment_paths(tmp_path / "journal")[1], HEADER_BYTES + 10)
    found = only(tmp_path)
    assert (found.kind, found.where) == ("journal", "journal/")
    assert found.what == "records 2 to 2 are missing: bytes of the journal are damaged"
    with opened(tmp_path) as folder:
        folder.stored.catalog.note_loss(
            Loss(
                journal_id=journal_id,
                first_position=2,
                last_position=2,
                from_ns=5,
                to_ns=6,
                reason="damaged",
                told_ns=7,
            )
        )
        told = only(tmp_path)
        assert (told.kind, told.from_ns, told.to_ns) == ("loss", 5, 6)
        folder.stored.catalog.understand_losses()
        assert checked(tmp_path).problems == []


def test_a_watermark_beyond_the_journal(tmp_path: Path) -> None:
    with opened(tmp_path) as folder:
        folder.push()
        mark = Watermark(folder.journal.journal_id, TENANT, 9)
        folder.stored.catalog.publish([], [mark])
    assert only(tmp_path).what == "the catalog knows records up to 9, and the journal ends with 1"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "id").unlink(), "the journal's file id cannot be read"),
        (lambda folder: (folder / "id").write_text("another"), "belongs to journal"),
        (shutil.rmtree, "the journal is gone"),
        (lambda folder: segment_paths(folder)[-1].unlink(), "are missing"),
        (lambda folder: segment_paths(folder)[-1].write_bytes(b""), "are missing"),
    ],
    ids=["no id", "another id", "no folder", "no segment", "empty segment"],
)
def test_a_journal_that_is_not_whole(
    tmp_path: Path, damage: Callable[[Path], None], told: str
) -> None:
    made(tmp_path)
    damage(tmp_path / "journal")
    found = only(tmp_path)
    assert found.kind == "journal"
    assert told in found.what


def test_a_stray_file_and_a_missing_mark_are_notes(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "journal" / "notes.journal").write_text("mine")
    (tmp_path / "journal" / "mark").unlink()
    report = checked(tmp_path)
    assert report.problems == []
    assert "notes.journal in the journal is no segment and is left alone" in report.notes
    assert "the journal has no readable mark: the next start makes one" in report.notes


def test_a_damaged_database(tmp_path: Path) -> None:
    made(tmp_path)
    path = tmp_path / "catalog.db"
    content = bytearray(path.read_bytes())
    content[len(content) // 4096 * 4096 - 4096 :] = b"\xff" * 4096
    path.write_bytes(content)
    try:
        assert {p.kind for p in checked(tmp_path, deep=True).problems} >= {"catalog"}
    except CatalogError as error:
        assert "cannot be read" in error.message  # noqa: PT017 - either is told


def test_what_cannot_be_checked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataDirError, match="there is no data folder"):
        checked(tmp_path / "absent")
    with pytest.raises(DataDirError, match="is not the data folder"):
        checked(tmp_path)
    made(tmp_path)
    (tmp_path / UNFINISHED).touch()
    with pytest.raises(DataDirError, match="did not finish"):
        checked(tmp_path)
    (tmp_path / UNFINISHED).unlink()
    with sqlite3.connect(tmp_path / "catalog.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(CatalogError, match="has schema 9999"):
        checked(tmp_path)
    (tmp_path / "catalog.db").write_bytes(b"no database at all")
    with pytest.raises(AppError, match="cannot be read"):
        checked(tmp_path)
    (tmp_path / "catalog.db").unlink()
    with pytest.raises(CatalogError, match="there is no catalog"):
        checked(tmp_path)


def test_blocks_that_are_merged_and_deleted_meanwhile_are_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as folder:
        stored = folder.stored
        for number in range(4):
            folder.flush(day(1, f"app {number}"), folder.push())
        looked = 0

        def slow(objects: object, path: str, *commit: str) -> Folder:
            nonlocal looked
            looked += 1
            if looked == 2:
                compact(stored.catalog, stored.store)
                GarbageCollector(
                    stored.services, 0, worker_of(stored.catalog, stored.store)
                ).collect()
            return look_at(stored.objects, path, *commit)

        monkeypatch.setattr(module, "look_at", slow)
        assert checked(tmp_path).problems == []
        assert looked > 2


def test_a_block_of_format_1_is_read_page_by_page(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    version = Path(__file__).parents[2] / "format_versions/block-1"
    shutil.copytree(version / "blocks", tmp_path / "objects/blocks")
    (found,) = survey(stored.objects, "blocks/")
    assert found.manifest is not None
    stored.catalog.adopt([found.manifest.row], [], [])
    stored.close()
    assert checked(tmp_path, deep=True).problems == []
    flip(object_path(tmp_path, found.manifest.row, "lines.parquet"), 200)
    assert only(tmp_path, deep=True).block == "stored"


def test_a_report_for_programs(tmp_path: Path, form: Form) -> None:
    row = made(tmp_path)
    delete_objects(Stored(tmp_path).objects, block_prefix(TENANT, row.min_ts, row.block_id))
    report = json.loads(json.dumps(checked(tmp_path).to_json()))
    assert (report["ok"], report["deep"]) == (False, False)
    assert report["checked"]["blocks"] == 2
    (problem,) = report["problems"]
    assert problem == {
        "kind": "block",
        "what": "is missing",
        "advice": problem["advice"],
        "where": f"objects/{block_prefix(TENANT, row.min_ts, row.block_id)}/{form.commit}",
        "block": row.block_id,
        "tenant": TENANT,
        "from_ns": row.min_ts,
        "to_ns": row.max_ts,
        "rows": 3,
    }
