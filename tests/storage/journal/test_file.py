"""Is a record on disk when its caller goes on, and is it replayed whole or not at all?"""

import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from narfi.core.tenant import TenantId
from storage.journal.base import JournalError, Record, StoredRecord
from storage.journal.file import FileJournal
from storage.journal.stored_record import decode_record, encode_record
from tests.faults.crash_disk import Always, CrashDisk

TENANT = TenantId("t")


def append(journal: FileJournal, body: bytes) -> int:
    """One record."""
    return journal.append(Record(tenant=TENANT, received_ns=7, codec=1, decided=b"1", body=body))


def bodies(folder: Path) -> list[bytes]:
    """What a new process would replay; nothing may be missing."""
    journal = FileJournal(folder)
    try:
        return replayed(journal)
    finally:
        journal.close()


def replayed(journal: FileJournal) -> list[bytes]:
    """The bodies of all records; nothing may be missing."""
    return [record.body for record in journal.replay(lambda damage: pytest.fail(str(damage)))]


def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    positions = [append(journal, b"%d" % k) for k in range(5)]
    journal.close()
    assert positions == [1, 2, 3, 4, 5]
    assert bodies(tmp_path) == [b"0", b"1", b"2", b"3", b"4"]


def test_positions_go_on_after_a_restart(tmp_path: Path) -> None:
    first = FileJournal(tmp_path)
    append(first, b"a")
    first.close()
    second = FileJournal(tmp_path)
    assert append(second, b"b") == 2
    assert second.journal_id == first.journal_id
    second.close()
    assert bodies(tmp_path) == [b"a", b"b"]


def test_concurrent_callers_share_commits_and_keep_order(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    durable: list[int] = []
    journal.when_durable(durable.extend)
    threads = [threading.Thread(target=append, args=(journal, b"%d" % k)) for k in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert durable == list(range(1, 41))
    assert journal.counters.commits <= 40
    journal.close()
    assert sorted(bodies(tmp_path), key=int) == [b"%d" % k for k in range(40)]


def test_a_deleted_segment_stays_away_after_a_power_failure(tmp_path: Path) -> None:
    """Beside a catalog that was made anew, deleted entries would be replayed from it."""
    disk = CrashDisk()
    journal = FileJournal(tmp_path, segment_bytes=64, disk=disk)  # a segment per record
    for k in range(4):
        append(journal, b"%d" % k)
    journal.truncate(2)
    journal.close()
    disk.power_off(Always())
    assert bodies(tmp_path) == [b"2", b"3"]


def test_truncate_deletes_only_whole_segments_below(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, segment_bytes=64)  # a segment per record
    for k in range(4):
        append(journal, b"%d" % k)
    journal.truncate(2)
    assert replayed(journal) == [b"2", b"3"]
    journal.close()


def test_a_failed_commit_is_refused_and_never_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path)
    append(journal, b"before")

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(JournalError, match="No space left on device"):
            append(journal, b"refused")
    append(journal, b"after")
    journal.close()
    assert bodies(tmp_path) == [b"before", b"after"]


@pytest.mark.parametrize("rooms", [0, 1])
def test_a_full_disk_is_asked_to_make_room_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rooms: int
) -> None:
    journal = FileJournal(tmp_path)
    append(journal, b"a")
    room: list[int] = []
    asked: list[int] = []
    sync = os.fdatasync

    def full(descriptor: int) -> None:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    def make_room() -> None:
        asked.append(1)
        room.extend([1] * rooms)

    journal.when_full(make_room)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        if rooms:
            append(journal, b"b")
        else:
            with pytest.raises(JournalError, match="No space left"):
                append(journal, b"b")
    assert asked == [1]
    append(journal, b"c")
    journal.close()
    assert bodies(tmp_path) == ([b"a", b"b", b"c"] if rooms else [b"a", b"c"])


def test_a_disk_that_stays_full_is_told_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(os, "fdatasync", full)
        for _ in range(20):
            with pytest.raises(JournalError, match="No space left"):
                append(journal, b"b")
    journal.close()
    assert [one["event"] for one in logs] == ["journal commit failed"]


def test_records_of_an_abandoned_segment_are_not_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path)
    append(journal, b"before")

    def fail(*_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        patch.setattr(os, "ftruncate", fail)  # the written record stays in the file
        with pytest.raises(JournalError):
            append(journal, b"refused")
    append(journal, b"after")
    journal.close()
    assert bodies(tmp_path) == [b"before", b"after"]


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    with pytest.raises(JournalError, match="another process uses the journal"):
        FileJournal(tmp_path)
    journal.close()


def test_a_foreign_segment_is_refused(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "a")
    append(journal, b"x")
    journal.close()
    segment = next((tmp_path / "a").glob("*.journal"))
    FileJournal(tmp_path / "b").close()
    (tmp_path / "b" / segment.name).write_bytes(segment.read_bytes())
    with pytest.raises(JournalError, match="belongs to journal"):
        FileJournal(tmp_path / "b")


POSITIONS = st.integers(0, 2**63)


@given(POSITIONS, POSITIONS, st.text(max_size=20), st.integers(0, 2**62), st.binary(), st.binary())
def test_records_are_decoded_as_encoded(
    position: int, commit: int, tenant: str, ns: int, decided: bytes, body: bytes
) -> None:
    record = StoredRecord(
        position=position,
        commit=commit,
        tenant=TenantId(tenant),
        received_ns=ns,
        codec=3,
        decided=decided,
        body=body,
    )
    data = b"".join(encode_record(record, "journal a"))
    assert decode_record(memoryview(data), 0, "journal a") == (record, len(data))
    assert decode_record(memoryview(data), 0, "journal b") is None


@given(st.binary(max_size=200))
def test_any_bytes_are_no_record_or_one(data: bytes) -> None:
    decode_record(memoryview(data), 0, "journal a")
