"""Is what a dead ingester acknowledged in blocks exactly once, whoever dies meanwhile?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingester.adoption import Adopter, Holder
from ingester.lease import HeldLeases
from ingester.records import CODEC_ARROW
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from storage.batch_bytes import encode_batch
from storage.catalog.base import BlockRow, Fence, Watermark
from storage.catalog.leases import JournalRow, JournalState, Leases
from storage.catalog.sql import SqlCatalog
from storage.journal.base import FencedError, Record
from storage.journal.numbered import Seal, decode_object, key_of
from storage.journal.numbers import JournalNumbers
from storage.journal.objects import ObjectJournal
from storage.objects.faulty import Faults, FaultyObjects
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreServices
from tests.storage.batches import Entry, batch_of
from tests.storage.stored import Stored

ID = "0b1d2f3a-0000-4000-8000-000000000001"
TENANTS = (TenantId("a"), TenantId("b"))


class SharedFaulty(FaultyObjects):
    """Creations are steps too."""

    def create(self, key: str, data: bytes) -> None:
        """Create, or fail."""
        assert isinstance(self._inner, LocalObjects)
        inner = self._inner
        self._faults.step(f"create {key}", lambda: inner.create(key, data))


class FaultyCatalog(SqlCatalog):
    """Publishing is a step."""

    faults: Faults

    def publish(
        self,
        blocks: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Commit, or fail."""
        self.faults.step(
            "publish", lambda: super(FaultyCatalog, self).publish(blocks, watermarks, fence)
        )


class FaultyLeases(Leases):
    """Renewals and retirements are steps."""

    faults: Faults

    def renew(
        self, fence: Fence, ttl_ms: int, forgotten: int, address: str = "", *, known: int = 0
    ) -> bool:
        """Commit, or fail."""
        return self.faults.step(
            "renew", lambda: super(FaultyLeases, self).renew(fence, 0, forgotten, known=known)
        )

    def retire(self, fence: Fence) -> bool:
        """Commit, or fail."""
        return self.faults.step("retire", lambda: super(FaultyLeases, self).retire(fence))


class World:
    """A bucket and a catalog, and what was acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.stored = Stored(folder)
        self.objects = LocalObjects(folder / "objects")
        self.leases = Leases(self.stored.catalog.database)
        self.acknowledged: list[tuple[TenantId, Entry]] = []
        self.journal = ObjectJournal(self.objects, ID)
        self.fence = self.leases.begin(ID, "dead", "127.0.0.1:1", 0)
        self._closing: list[JournalNumbers | SqlCatalog] = []

    def push(self, number: int) -> int:
        """Two entries; the position."""
        tenant = TENANTS[number % 2]
        entries: list[Entry] = [
            (f"app{k}", 1000 * number + k, b"line %d %d" % (number, k), {"k": "v"})
            for k in range(2)
        ]
        record = Record(
            tenant=tenant,
            received_ns=number,
            codec=CODEC_ARROW,
            decided=b"",
            body=encode_batch(batch_of(entries)),
        )
        position = self.journal.append(record)
        self.acknowledged += [(tenant, entry) for entry in entries]
        return position

    def adopter(self, faults: Faults | None = None) -> Adopter:
        """A process that takes over; everything that it does is a step of the faults."""
        faults = faults or Faults()
        catalog = FaultyCatalog(f"sqlite:///{self.stored.folder}/catalog.db", self.stored.clock)
        catalog.faults = faults
        objects = SharedFaulty(self.objects, faults)
        leases = FaultyLeases(catalog.database)
        leases.faults = faults
        numbers = JournalNumbers(objects)
        self._closing += [numbers, catalog]
        return Adopter(
            leases=leases,
            held=HeldLeases(),
            holder=Holder(name="adopter", address="127.0.0.1:2", ttl_s=0.0),
            objects=objects,
            numbers=numbers,
            store=BlockStore(StoreServices(catalog, objects, self.stored.clock), 1 << 20),
            catalog=catalog,
            clock=self.stored.clock,
            limits_of=lambda _: Limits(),
            part_bytes=1 << 16,
        )

    def visible(self) -> Counter[str]:
        """All entries in blocks."""
        return Counter(
            repr((tenant, entry)) for tenant in TENANTS for entry in self.stored.entries(tenant)
        )

    def row(self) -> JournalRow:
        """The dead one's journal."""
        found = self.leases.get(ID)
        assert found is not None
        return found

    def check(self) -> None:
        """Everything is in blocks once, and the journal is retired."""
        assert self.visible() == Counter(map(repr, self.acknowledged))
        assert self.row().state is JournalState.RETIRED
        assert self.stored.catalog.losses() == []

    def close(self) -> None:
        """Let files and threads go."""
        for one in self._closing:
            one.close()
        self.stored.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An ingester that pushed six times."""
    found = World(tmp_path)
    for number in range(6):
        found.push(number)
    yield found
    found.close()


def test_what_was_acknowledged_is_in_blocks_and_the_seal_stays(world: World) -> None:
    assert world.adopter().run() == 1
    world.check()
    assert list(world.objects.list("journal/")) == [key_of(ID, 7)]
    assert isinstance(decode_object(ID, 7, world.objects.get(key_of(ID, 7))), Seal)
    assert world.adopter().run() == 0
    assert world.adopter().sweep(60_000) == 0
    assert world.adopter().sweep(0) == 1
    assert list(world.objects.list("journal/")) == []
    assert world.leases.get(ID) is None


def test_the_old_writer_is_fenced_in_both_places(world: World) -> None:
    world.adopter().run()
    with pytest.raises(FencedError):
        world.push(6)
    row = BlockRow(
        block_id="late",
        tenant=TENANTS[0],
        cut_id="c",
        min_ts=0,
        max_ts=1,
        rows=1,
        line_bytes=1,
        stored_bytes=1,
        level=0,
        format_version=2,
        created_ns=0,
    )
    with pytest.raises(FencedError):
        world.stored.store.publish([row], [Watermark(ID, TENANTS[0], 1 << 40)], world.fence)
    world.check()


def test_what_is_behind_a_watermark_is_not_put_into_blocks_again(world: World) -> None:
    """The writer had published the first tenant's pushes, and forgotten what both may miss."""
    mine = [entry for tenant, entry in world.acknowledged if tenant == TENANTS[0]]
    row = world.stored.add(mine, TENANTS[0])
    world.stored.catalog.publish([], [Watermark(ID, TENANTS[0], 5 << 16)], world.fence)
    assert row.rows == len(mine)
    assert world.leases.renew(world.fence, 0, 1)
    world.objects.delete(key_of(ID, 1))
    world.adopter().run()
    world.check()
    assert len(world.stored.rows(TENANTS[0])) == 1


def test_a_commit_that_cannot_be_read_is_told_and_the_others_are_kept(world: World) -> None:
    world.objects.put(key_of(ID, 3), b"other bytes")
    del world.acknowledged[4:6]
    world.adopter().run()
    assert world.visible() == Counter(map(repr, world.acknowledged))
    (loss,) = world.stored.catalog.losses()
    assert (loss.first_position >> 16, loss.last_position >> 16) == (3, 3)
    assert key_of(ID, 3) in loss.reason
    assert world.row().state is JournalState.RETIRED


def test_a_journal_that_ends_before_a_watermark_is_told(world: World) -> None:
    world.stored.catalog.publish([], [Watermark(ID, TENANTS[0], 9 << 16)])
    world.adopter().run()
    (loss,) = world.stored.catalog.losses()
    assert (loss.first_position, loss.last_position) == (7 << 16, 9 << 16)


def test_no_listing_is_needed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stale, empty or out of order could not do anything."""

    def list_objects(*_: object) -> Iterator[str]:
        raise AssertionError("nobody lists")

    with monkeypatch.context() as patch:
        patch.setattr(LocalObjects, "list", list_objects)
        assert world.adopter().run() == 1
        world.check()


@pytest.mark.parametrize("minutes", [-10, 10])
def test_an_adopter_whose_clock_is_wrong(world: World, minutes: int) -> None:
    """Leases are a matter of the database's clock: neither too early nor too late."""
    world.stored.clock.advance(minutes * 60 * 10**9)
    live = world.leases.begin("live", "me", "127.0.0.1:3", 60_000)
    assert world.adopter().run() == 1
    world.check()
    assert world.leases.renew(live, 60_000, 0), "nobody has taken it"


@pytest.mark.parametrize("after", [False, True], ids=["not done", "done"])
def test_an_adopter_may_die_at_any_step(tmp_path: Path, *, after: bool) -> None:
    """Every later step of it fails too; the next one finishes the work."""
    step = 0
    while True:
        folder = tmp_path / str(step)
        folder.mkdir()
        world = World(folder)
        for number in range(3):
            world.push(number)
        faults = Faults(step, after=after, dead=True)
        died = False
        try:
            world.adopter(faults).run()
        except AppError:
            died = True
        world.adopter().run()
        world.check()
        world.close()
        if not died and faults.steps <= step:
            break
        step += 1
    assert step > 8
