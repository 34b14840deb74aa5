"""Does a holder stop when its lease may be somebody else's, and delete only what it may?"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingester.lease import WENT_BACK, HeldLeases, JournalLease
from narfi.core.errors import AppError
from storage.catalog.base import Watermark
from storage.catalog.leases import Leases
from storage.journal.base import FENCED, FencedError, JournalAwayError
from storage.journal.numbered import key_of
from storage.journal.numbers import JournalNumbers
from tests.storage.blocks import MemoryObjects
from tests.storage.stored import TENANT, Stored


class Time:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """An empty store."""
    made = Stored(tmp_path)
    yield made
    made.close()


@pytest.fixture
def leases(stored: Stored) -> Leases:
    """Of an empty catalog."""
    return Leases(stored.catalog.database)


@pytest.fixture
def objects() -> MemoryObjects:
    """An empty store."""
    return MemoryObjects()


@pytest.fixture
def numbers(objects: MemoryObjects) -> Iterator[JournalNumbers]:
    """Its reader."""
    found = JournalNumbers(objects)
    yield found
    found.close()


def held(leases: Leases, numbers: JournalNumbers, now: Time, ttl_ms: int = 15_000) -> JournalLease:
    """Of a journal that begins."""
    fence = leases.begin("j", "me", "address", ttl_ms)
    return JournalLease(leases=leases, numbers=numbers, fence=fence, ttl_s=15.0, monotonic=now)


def test_nothing_is_acknowledged_when_the_catalog_is_silent_for_a_life(
    leases: Leases, numbers: JournalNumbers
) -> None:
    now = Time()
    lease = held(leases, numbers, now)
    lease.may_acknowledge()
    now.now += 14.9
    lease.may_acknowledge()
    now.now += 0.1
    with pytest.raises(JournalAwayError, match="could not be renewed for 15s"):
        lease.may_acknowledge()
    assert lease.renew(), "nobody wanted it"
    lease.may_acknowledge()


def test_a_renewal_counts_from_its_beginning(leases: Leases, numbers: JournalNumbers) -> None:
    """The answer may have taken long."""
    now = Time()

    class Slow(Leases):
        def renew(
            self, fence: object, ttl_ms: int, forgotten: int, address: str = "", *, known: int = 0
        ) -> bool:
            now.now += 14.0
            return True

    lease = held(leases, numbers, now)
    lease._leases = Slow(leases._database)
    assert lease.renew()
    now.now += 1.0
    with pytest.raises(JournalAwayError):
        lease.may_acknowledge()


def test_who_was_taken_over_hears_it_once_and_stops(
    leases: Leases, numbers: JournalNumbers, stored: Stored
) -> None:
    lease = held(leases, numbers, Time(), ttl_ms=0)
    told: list[str] = []
    lease.when_fenced(told.append)
    assert leases.take("other", "a", 60_000) is not None
    with pytest.raises(FencedError):
        lease.publish([], [Watermark("j", TENANT, 5)], stored.store)
    assert stored.catalog.watermarks("j") == {}
    assert not lease.renew()
    assert not lease.renew()
    assert lease.is_fenced
    assert told == [FENCED]
    with pytest.raises(FencedError):
        lease.may_acknowledge()


def test_a_renewal_tells_that_it_was_taken_over(leases: Leases, numbers: JournalNumbers) -> None:
    lease = held(leases, numbers, Time(), ttl_ms=0)
    leases.take("other", "a", 60_000)
    assert not lease.renew()
    assert lease.is_fenced


@pytest.mark.parametrize("lost", ["row", "what may be deleted"])
def test_a_catalog_that_lost_commits_is_noticed(
    leases: Leases, numbers: JournalNumbers, lost: str
) -> None:
    """As a replica that is promoted and has not all of them: objects are deleted, blocks gone."""
    lease, told = held(leases, numbers, Time()), list[str]()
    lease.when_fenced(told.append)
    lease.forget(3)
    assert lease.renew()
    statement = {
        "row": "delete from journals",
        "what may be deleted": "update journals set forgotten = 2",
    }[lost]
    leases._database.write(lambda connection: connection.exec_driver_sql(statement))
    assert not lease.renew()
    assert told == [WENT_BACK]
    with pytest.raises(FencedError):
        lease.may_acknowledge()


def test_objects_are_deleted_when_the_catalog_knows_that_they_may_be(
    leases: Leases, numbers: JournalNumbers, objects: MemoryObjects
) -> None:
    for number in range(1, 6):
        objects.create(key_of("j", number), b"x")
    lease = held(leases, numbers, Time())
    lease.forget(3)
    lease.forget(2)
    assert lease.delete_forgotten() == 0
    assert len(objects.content) == 5
    assert lease.renew()
    assert leases.open()[0].forgotten == 3
    assert lease.delete_forgotten() == 3
    assert sorted(objects.content) == [key_of("j", 4), key_of("j", 5)]
    assert lease.delete_forgotten() == 0


def test_the_catalog_hears_where_the_holder_can_be_asked(
    leases: Leases, numbers: JournalNumbers
) -> None:
    lease = held(leases, numbers, Time())
    lease.renew()
    assert leases.open()[0].address == "address"
    lease.address = "127.0.0.1:9095"
    lease.renew()
    assert leases.open()[0].address == "127.0.0.1:9095"


def test_one_lease_that_fails_stops_no_other(leases: Leases, numbers: JournalNumbers) -> None:
    now = Time()

    class Broken(JournalLease):
        def renew(self) -> bool:
            raise AppError("no")

    leases.begin("a", "me", "x", 60_000)
    broken = Broken(
        leases=leases, numbers=numbers, fence=leases.open()[0].fence, ttl_s=15.0, monotonic=now
    )
    good, together = held(leases, numbers, now), HeldLeases()
    together.add(broken)
    together.add(good)
    now.now += 15.0
    with pytest.raises(AppError, match="no"):
        together.renew()
    good.may_acknowledge()
    together.remove(broken)
    assert together.renew() == 0
