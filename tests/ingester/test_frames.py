"""Is what an ingester acknowledged read from its journal, whatever it flushes meanwhile?"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingester.frames import JournalFrames
from ingester.records import CODEC_ARROW
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from storage.batch_bytes import encode_batch
from storage.catalog.base import Watermark
from storage.catalog.leases import Leases
from storage.journal.base import Record
from storage.journal.numbered import key_of
from storage.journal.numbers import JournalNumbers
from storage.journal.objects import ObjectJournal
from tests.storage.batches import batch_of, entries_of
from tests.storage.blocks import MemoryObjects
from tests.storage.stored import Stored

ID = "0b1d2f3a-0000-4000-8000-000000000001"
TENANT, OTHER = TenantId("t"), TenantId("u")


class Watched(MemoryObjects):
    """Calls `on_get` before an object is read."""

    def __init__(self) -> None:
        super().__init__()
        self.on_get: Callable[[str], None] = lambda _: None
        self.gets: list[str] = []

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.gets.append(key)
        self.on_get(key)
        return super().get(key)


class World:
    """A journal with a push of each tenant in turn."""

    def __init__(self, folder: Path) -> None:
        self.stored, self.objects = Stored(folder), Watched()
        self.leases = Leases(self.stored.catalog.database)
        self.fence = self.leases.begin(ID, "h", "a", 60_000)
        self.journal = ObjectJournal(self.objects, ID)
        self.numbers = JournalNumbers(self.objects)
        self.frames = JournalFrames(
            self.leases, self.stored.catalog, self.numbers, lambda _: Limits()
        )
        for number in range(6):
            self.push(number)

    def push(self, number: int) -> int:
        """An entry."""
        body = encode_batch(batch_of([("a", number, b"line %d" % number, {})]))
        tenant = (TENANT, OTHER)[number % 2]
        record = Record(tenant=tenant, received_ns=0, codec=CODEC_ARROW, decided=b"", body=body)
        return self.journal.append(record)

    def publish(self, number: int, tenant: TenantId = TENANT) -> None:
        """The tenant's entries up to this number are in blocks."""
        self.stored.catalog.publish([], [Watermark(ID, tenant, (number + 1) << 16)], self.fence)

    def forget(self, number: int) -> None:
        """Delete objects up to this number of a push."""
        assert self.leases.renew(self.fence, 60_000, number + 1)
        for one in range(1, number + 2):
            self.objects.delete(key_of(ID, one))

    def read(self, tenant: TenantId = TENANT) -> list[int]:
        """Times of the entries that are found."""
        found = self.frames.behind(ID, tenant)
        assert not found.damaged
        return [ts for batch in found.batches for _, ts, _, _ in entries_of(batch)]

    def close(self) -> None:
        """Let go."""
        self.numbers.close()
        self.stored.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Six pushes."""
    found = World(tmp_path)
    yield found
    found.close()


def test_records_behind_the_watermark_of_the_tenant(world: World) -> None:
    assert world.read() == [0, 2, 4]
    assert world.read(OTHER) == [1, 3, 5]
    world.publish(2)
    assert world.read() == [4]
    assert world.read(OTHER) == [1, 3, 5]
    world.publish(3, OTHER)
    world.forget(2)
    assert world.read() == [4]
    assert world.read(OTHER) == [5]
    world.push(6)
    assert world.read() == [4, 6]


def test_what_was_read_is_not_fetched_again(world: World) -> None:
    world.read()
    world.objects.gets.clear()
    world.push(6)
    assert world.read() == [0, 2, 4, 6]
    assert world.objects.gets == [key_of(ID, 7), key_of(ID, 8), key_of(ID, 9)]


@pytest.mark.parametrize("at", [1, 2, 3, 7])
def test_the_writer_flushes_and_deletes_while_it_is_read(world: World, at: int) -> None:
    """Whatever is missing then is in blocks, and what comes behind it is found."""
    done: list[str] = []

    def meanwhile(key: str) -> None:
        if key == key_of(ID, at) and not done:
            done.append(key)
            world.publish(2)
            world.publish(3, OTHER)
            world.push(6)
            world.forget(3)

    world.objects.on_get = meanwhile
    found = world.read()
    assert done
    assert set(found) >= {4, 6}
    assert set(found) <= {0, 2, 4, 6}


def test_the_journal_is_retired_while_it_is_read(world: World) -> None:
    def meanwhile(_key: str) -> None:
        world.leases.retire(world.fence)
        world.objects.content.clear()

    world.objects.on_get = meanwhile
    assert world.read() == []
    assert world.read() == []
    assert world.frames.behind("unknown", TENANT).batches == ()


def test_a_damaged_commit_is_told(world: World) -> None:
    world.objects.content[key_of(ID, 3)] = b"other"
    found = world.frames.behind(ID, TENANT)
    assert len(found.batches) == 2
    assert key_of(ID, 3) in found.damaged[0]
    assert found.damaged == world.frames.behind(ID, TENANT).damaged, "it is not forgotten"
