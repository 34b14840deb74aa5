"""Is the end of a journal found without a listing, and does a seal end it for everybody?"""

import threading
from collections.abc import Iterator

import pytest

from narfi.core.tenant import TenantId
from storage.journal.base import FencedError, Record
from storage.journal.numbered import Seal, decode_object, key_of
from storage.journal.numbers import Commit, End, JournalNumbers, seal
from storage.journal.objects import ObjectJournal
from storage.objects.base import ObjectError
from tests.storage.blocks import MemoryObjects
from tests.storage.journal.faulty_objects import Fault, FaultyObjects

ID = "0b1d2f3a-0000-4000-8000-000000000001"


def record(body: bytes) -> Record:
    """Of one tenant."""
    return Record(tenant=TenantId("t"), received_ns=7, codec=1, decided=b"", body=body)


@pytest.fixture
def objects() -> FaultyObjects:
    """An empty store."""
    return FaultyObjects()


@pytest.fixture
def numbers(objects: FaultyObjects) -> Iterator[JournalNumbers]:
    """Its reader."""
    found = JournalNumbers(objects)
    yield found
    found.close()


def bodies(commits: list[Commit]) -> list[bytes]:
    """Of all records."""
    return [one.body for commit in commits for one in commit.records]


def test_reading_ends_at_the_first_missing_number(
    objects: FaultyObjects, numbers: JournalNumbers
) -> None:
    journal = ObjectJournal(objects, ID)
    for k in range(50):
        journal.append(record(b"%d" % k))
    ends: list[End] = []
    found = list(numbers.read(ID, 1, ends.append))
    assert bodies(found) == [b"%d" % k for k in range(50)]
    assert [commit.number for commit in found] == list(range(1, 51))
    assert ends == [End(51, None)]
    assert bodies(list(numbers.read(ID, 48))) == [b"47", b"48", b"49"]
    assert list(numbers.read(ID, 52)) == []


def test_a_damaged_commit_is_told_and_the_others_are_read(
    objects: FaultyObjects, numbers: JournalNumbers
) -> None:
    journal = ObjectJournal(objects, ID)
    for k in range(3):
        journal.append(record(b"%d" % k))
    objects.content[key_of(ID, 2)] = b"other bytes"
    found = list(numbers.read(ID, 1))
    assert bodies(found) == [b"0", b"2"]
    assert [commit.damage is not None for commit in found] == [False, True, False]
    assert key_of(ID, 2) in str(found[1].damage)


class Away(MemoryObjects):
    """Does not answer."""

    def get(self, key: str) -> bytes:
        """Never."""
        raise ObjectError(f"object {key} cannot be read: 503")


def test_an_outage_is_never_the_end() -> None:
    numbers = JournalNumbers(Away())
    with pytest.raises(ObjectError):
        list(numbers.read(ID, 1))
    numbers.close()


def test_a_seal_ends_the_journal_for_its_writer(
    objects: FaultyObjects, numbers: JournalNumbers
) -> None:
    journal = ObjectJournal(objects, ID)
    journal.append(record(b"a"))
    assert bodies(list(seal(objects, numbers, ID, 1, 2))) == [b"a"]
    with pytest.raises(FencedError):
        journal.append(record(b"b"))
    assert decode_object(ID, 2, objects.content[key_of(ID, 2)]) == Seal(2)
    assert bodies(list(seal(objects, numbers, ID, 1, 3))) == [b"a"], "a second adopter"
    assert decode_object(ID, 2, objects.content[key_of(ID, 2)]) == Seal(2)


def test_a_seal_with_a_lost_answer_is_put_once(
    objects: FaultyObjects, numbers: JournalNumbers
) -> None:
    objects.faults.append(Fault.LOST)
    with pytest.raises(ObjectError):
        list(seal(objects, numbers, ID, 1, 2))
    assert list(seal(objects, numbers, ID, 1, 3)) == []
    assert decode_object(ID, 1, objects.content[key_of(ID, 1)]) == Seal(2)


def test_a_put_under_way_is_part_of_the_journal_or_refused(numbers: JournalNumbers) -> None:
    """Each of many races: what was acknowledged is what the one who seals reads."""
    for _ in range(30):
        objects = MemoryObjects()
        own = JournalNumbers(objects)
        journal = ObjectJournal(objects, ID)
        acknowledged: list[bytes] = []

        def write(journal: ObjectJournal = journal, done: list[bytes] = acknowledged) -> None:
            for k in range(100):
                try:
                    journal.append(record(b"%d" % k))
                except FencedError:
                    return
                done.append(b"%d" % k)

        thread = threading.Thread(target=write)
        thread.start()
        found = bodies(list(seal(objects, own, ID, 1, 2)))
        thread.join()
        own.close()
        assert found == acknowledged
