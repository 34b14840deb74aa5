"""Do pinned files hold every record that was durable, whatever the journal does meanwhile?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from narfi.core.tenant import TenantId
from storage.journal.base import Damage, JournalError, Record
from storage.journal.file import FileJournal
from storage.journal.pin import PinnedJournal
from storage.journal.segment import segment_paths


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    """A journal that begins a segment for each commit."""
    made = FileJournal(tmp_path / "journal", 1)
    yield made
    made.close()


def push(journal: FileJournal) -> int:
    """A durable record."""
    return journal.append(
        Record(tenant=TenantId("t"), received_ns=1, codec=0, decided=b"", body=b"x")
    )


def replayed(pin: PinnedJournal, folder: Path) -> tuple[list[int], list[Damage]]:
    """Positions in a copy of the pinned files, and what is told as missing there."""
    folder.mkdir()
    for name, content in pin.files():
        (folder / name).write_bytes(content)
    told: list[Damage] = []
    copied = FileJournal(folder)
    positions = [record.position for record in copied.replay(told.append)]
    copied.close()
    return positions, told


def test_what_is_deleted_later_stays_readable(journal: FileJournal, tmp_path: Path) -> None:
    for _ in range(3):
        push(journal)
    pin = PinnedJournal(tmp_path / "journal")
    assert pin.follow()
    journal.truncate(3)
    assert len(segment_paths(tmp_path / "journal")) == 1
    assert replayed(pin, tmp_path / "copy") == ([1, 2, 3], [])
    pin.close()


def test_segments_that_were_begun_since_are_taken_in(journal: FileJournal, tmp_path: Path) -> None:
    push(journal)
    pin = PinnedJournal(tmp_path / "journal")
    push(journal)
    push(journal)
    assert pin.follow()
    assert replayed(pin, tmp_path / "copy") == ([1, 2, 3], [])
    pin.close()


def test_segments_that_may_have_come_and_gone_are_noticed(
    journal: FileJournal, tmp_path: Path
) -> None:
    push(journal)
    pin = PinnedJournal(tmp_path / "journal")
    push(journal)
    push(journal)
    journal.truncate(2)
    assert not pin.follow()
    pin.close()


def test_a_journal_that_got_its_first_segment_since(journal: FileJournal, tmp_path: Path) -> None:
    pin = PinnedJournal(tmp_path / "journal")
    assert pin.follow()
    push(journal)
    assert not pin.follow()
    pin.close()


def test_segments_that_are_deleted_while_they_are_opened(
    journal: FileJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        push(journal)
    gone, tries = tmp_path / "journal" / f"{9:020d}.journal", 0

    def listing(folder: Path) -> list[Path]:
        nonlocal tries
        tries += 1
        return [*segment_paths(folder), *([gone] if tries < 3 else [])]

    monkeypatch.setattr("storage.journal.pin.segment_paths", listing)
    pin = PinnedJournal(tmp_path / "journal")
    assert tries == 3
    assert replayed(pin, tmp_path / "copy") == ([1, 2, 3], [])
    pin.close()
    monkeypatch.setattr("storage.journal.pin.segment_paths", lambda folder: [gone])
    with pytest.raises(JournalError, match="faster than they can be opened"):
        PinnedJournal(tmp_path / "journal")


def test_a_damaged_mark_is_left_out_and_a_missing_journal_is_empty(
    journal: FileJournal, tmp_path: Path
) -> None:
    push(journal)
    path = tmp_path / "journal" / "mark"
    path.write_bytes(path.read_bytes()[:-1])
    pin = PinnedJournal(tmp_path / "journal")
    assert [name for name, _ in pin.files()] == ["id", f"{1:020d}.journal"]
    pin.close()
    assert list(PinnedJournal(tmp_path / "absent").files()) == []
