"""Does every journal behave as the protocol says? In files, in memory, in a real S3 server."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from narfi.core.tenant import TenantId
from storage.journal.base import Journal, JournalError, Record, StoredRecord
from storage.journal.file import FileJournal
from storage.journal.objects import ObjectJournal
from storage.objects.base import SharedObjects
from storage.objects.filesystem import LocalObjects
from storage.objects.places import objects_at
from tests.storage.blocks import MemoryObjects

JOURNAL_ID = "0b1d2f3a-0000-4000-8000-000000000001"
TENANTS = (TenantId("a"), TenantId("tenant with ü"))


def record(number: int) -> Record:
    """One of a kind."""
    return Record(
        tenant=TENANTS[number % 2],
        received_ns=number,
        codec=1 + number % 3,
        decided=b"d" * (number % 5),
        body=b"%d" % number * (1 + number % 7),
    )


def same(stored: StoredRecord, number: int) -> bool:
    """Whether it is what was appended."""
    wanted = record(number)
    return all(getattr(stored, name) == getattr(wanted, name) for name in Record.__slots__)


def replayed(journal: Journal) -> list[StoredRecord]:
    """All records; none may be missing."""
    return list(journal.replay(lambda damage: pytest.fail(str(damage))))


@pytest.fixture(params=["file", "memory", "folder", "bucket"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Journal]:
    """Makes the journal of a process, or a look at it by a later one."""
    if request.param == "file":
        return lambda: FileJournal(tmp_path)
    objects: SharedObjects
    if request.param == "memory":
        objects = MemoryObjects()
    elif request.param == "folder":
        objects = LocalObjects(tmp_path)
    else:
        objects = objects_at(request.getfixturevalue("s3_server").fresh(), hasty=True)
    return lambda: ObjectJournal(objects, JOURNAL_ID)


@pytest.fixture
def journal(made: Callable[[], Journal]) -> Iterator[Journal]:
    """An empty one."""
    found = made()
    yield found
    found.close()


def test_records_come_back_in_order(made: Callable[[], Journal]) -> None:
    journal = made()
    positions = [journal.append(record(number)) for number in range(20)]
    journal.close()
    again = made()
    found = replayed(again)
    again.close()
    assert [one.position for one in found] == positions
    assert positions == sorted(set(positions))
    assert positions[0] > 0
    assert all(same(one, number) for number, one in enumerate(found))
    assert all(one.commit <= one.position for one in found)


def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert journal.last_position() == 0
    assert replayed(journal) == []
    assert len(journal.journal_id) == 36


def test_durable_is_told_before_an_append_returns_and_ascending(journal: Journal) -> None:
    durable: list[int] = []
    journal.when_durable(durable.extend)
    returned: list[int] = []
    lock = threading.Lock()

    def push(number: int) -> None:
        position = journal.append(record(number))
        with lock:
            assert position in durable
            returned.append(position)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(returned) == durable == sorted(durable)
    assert len(durable) == 30
    assert journal.last_position() == durable[-1]
    assert journal.counters.records == 30
    assert 1 <= journal.counters.commits <= 30
    found = replayed(journal)
    assert [one.position for one in found] == durable
    assert sorted(one.received_ns for one in found) == list(range(30))


def test_a_closed_journal_takes_nothing(made: Callable[[], Journal]) -> None:
    journal = made()
    journal.append(record(1))
    journal.close()
    with pytest.raises(JournalError):
        journal.append(record(2))


def test_what_must_stay_stays(journal: Journal) -> None:
    positions = [journal.append(record(number)) for number in range(5)]
    journal.truncate(positions[2])
    assert {one.position for one in replayed(journal)} >= set(positions[3:])
    assert journal.append(record(5)) > positions[-1]
