"""Is a push of an object journal acknowledged only when it is there, whatever the store does?"""

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.journal.base import FencedError, JournalAwayError, Record
from storage.journal.numbered import encode_seal, first_position, key_of
from storage.journal.objects import ObjectJournal
from storage.objects.places import objects_at
from tests.servers.fault_proxy import Fault as Cut
from tests.servers.fault_proxy import FaultProxy, Kind
from tests.servers.s3 import S3
from tests.storage.journal.faulty_objects import Fault, FaultyObjects

JOURNAL_ID = "0b1d2f3a-0000-4000-8000-000000000001"


def record(body: bytes) -> Record:
    """Of one tenant."""
    return Record(tenant=TenantId("t"), received_ns=7, codec=1, decided=b"", body=body)


def bodies(journal: ObjectJournal) -> list[bytes]:
    """What would be replayed; nothing may be missing."""
    return [one.body for one in journal.replay(lambda damage: pytest.fail(str(damage)))]


def test_positions_are_number_and_place() -> None:
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID)
    assert [journal.append(record(b"a")), journal.append(record(b"b"))] == [1 << 16, 2 << 16]
    assert sorted(objects.content) == [
        f"journal/{JOURNAL_ID}/00000000000000000001",
        f"journal/{JOURNAL_ID}/00000000000000000002",
    ]


@given(st.lists(st.lists(st.sampled_from(Fault), max_size=4), max_size=12))
def test_acknowledged_records_are_there_once_and_in_order(faults: list[list[Fault]]) -> None:
    """A try at each push; those that were refused may turn out to be there, at most once."""
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID, deadline_s=0.0)
    acknowledged: list[bytes] = []
    pushed: list[bytes] = []
    for number, wanted in enumerate(faults):
        body = b"%d" % number
        objects.faults.extend(wanted[:1])
        pushed.append(body)
        try:
            journal.append(record(body))
        except JournalAwayError:
            continue
        acknowledged.append(body)
    found = bodies(journal)
    assert len(found) == len(set(found))
    assert found == [body for body in pushed if body in set(found)], "in the order of pushes"
    assert set(acknowledged) <= set(found)
    assert [int(key[-20:]) for key in sorted(objects.content)] == list(
        range(1, len(objects.content) + 1)
    ), "no gap"


def test_no_later_number_is_used_while_one_is_unknown() -> None:
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID, deadline_s=0.0)
    objects.faults.extend([Fault.REFUSED] * 3)
    for body in (b"a", b"b", b"c"):
        with pytest.raises(JournalAwayError, match="within 0s"):
            journal.append(record(body))
    assert set(objects.creations) == {key_of(JOURNAL_ID, 1)}
    assert journal.append(record(b"d")) == first_position(2)
    assert bodies(journal) == [b"a", b"d"], "the first one was refused, and turned out to be there"


def test_a_lost_answer_is_found_out_by_the_same_bytes() -> None:
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID)
    objects.faults.extend([Fault.LOST, Fault.REFUSED])
    assert journal.append(record(b"a")) == first_position(1)
    assert objects.creations == [key_of(JOURNAL_ID, 1)] * 3
    assert bodies(journal) == [b"a"]


@pytest.mark.parametrize("other", [encode_seal(JOURNAL_ID, 2), b"bytes of another writer"])
def test_who_finds_other_bytes_acknowledges_nothing_more(other: bytes) -> None:
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID)
    journal.append(record(b"a"))
    objects.create(key_of(JOURNAL_ID, 2), other)
    for _ in range(2):
        with pytest.raises(FencedError, match="taken over"):
            journal.append(record(b"b"))
    assert journal.is_fenced
    assert len(objects.content) == 2


def test_every_member_of_a_commit_gets_the_error() -> None:
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID, interval_s=0.2, deadline_s=0.0)
    journal.append(record(b"first"))
    objects.faults.extend([Fault.REFUSED] * 9)
    errors: list[str] = []

    def push(number: int) -> None:
        try:
            journal.append(record(b"%d" % number))
        except JournalAwayError as error:
            errors.append(error.message)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 6
    assert all("SlowDown" in error for error in errors)


def test_pushes_of_an_interval_share_an_object() -> None:
    objects = FaultyObjects()
    journal = ObjectJournal(objects, JOURNAL_ID, interval_s=0.5)
    journal.append(record(b"first"))
    threads = [
        threading.Thread(target=journal.append, args=(record(b"%d" % number),))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies(journal)) == 21
    assert len(objects.creations) <= 3


def test_many_bytes_end_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.journal.objects.MOST_BYTES", 100)
    journal = ObjectJournal(FaultyObjects(), JOURNAL_ID, interval_s=1000.0)
    journal.append(record(b"first"))
    threads = [threading.Thread(target=journal.append, args=(record(b"x" * 60),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while journal.counters.records < 2:
        time.sleep(0.01)
    journal.close()
    for thread in threads:
        thread.join()
    assert [len(body) for body in bodies(journal)] == [5, 60, 60]
    assert journal.counters.commits == 3, "a commit takes no more than that"


def test_nothing_is_acknowledged_while_the_lease_forbids_it() -> None:
    allowed = [True, False, False, True, True]

    def may_acknowledge() -> None:
        if not allowed.pop(0):
            raise JournalAwayError("the lease was not renewed")

    journal = ObjectJournal(FaultyObjects(), JOURNAL_ID, may_acknowledge=may_acknowledge)
    durable: list[int] = []
    journal.when_durable(durable.extend)
    for body in (b"put and refused", b"not put"):
        with pytest.raises(JournalAwayError, match="lease"):
            journal.append(record(body))
    assert journal.append(record(b"c")) == first_position(2)
    assert bodies(journal) == [b"put and refused", b"c"]
    assert durable == [first_position(2)]


def test_what_may_be_forgotten_is_whole_commits() -> None:
    forgotten: list[int] = []
    journal = ObjectJournal(FaultyObjects(), JOURNAL_ID, forget=forgotten.append)
    for _ in range(3):
        journal.append(record(b"a"))
    journal.truncate(first_position(2) - 1)
    journal.truncate(first_position(2))
    journal.truncate(first_position(3))
    assert forgotten == [1, 1, 3]


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        (Cut(Kind.LOSE, "PUT", "journal/", times=1), True),
        (Cut(Kind.DROP, "PUT", "journal/", times=1), True),
        (Cut(Kind.CUT, "PUT", "journal/", times=1), True),
        (Cut(Kind.REFUSE, "PUT", "journal/", times=1), True),
        (Cut(Kind.SLOW, "PUT", "journal/", times=1, seconds=2.5), True),
        (Cut(Kind.DROP, times=10**9), False),
        (Cut(Kind.REFUSE, times=10**9), False),
    ],
)
def test_over_a_real_server(s3_server: S3, proxy: FaultProxy, fault: Cut, there: bool) -> None:
    url = s3_server.fresh()
    journal = ObjectJournal(objects_at(S3(proxy.port).reaching(url), hasty=True), JOURNAL_ID)
    patient = ObjectJournal(objects_at(url), JOURNAL_ID)
    journal.append(record(b"a"))
    proxy.tell(fault)
    push: Callable[[], int] = lambda: journal.append(record(b"b"))  # noqa: E731
    if there:
        assert push() == first_position(2)
    else:
        with pytest.raises(JournalAwayError, match="within 5s"):
            push()
        proxy.tell()
    assert journal.append(record(b"c")) == first_position(3)
    assert bodies(patient) == [b"a", b"b", b"c"]
