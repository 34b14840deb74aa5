"""Do several compactors do each merge once, and what one that dies leaves? On both engines."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from narfi.core.clock import ManualClock
from storage.catalog.base import BlockRow
from storage.catalog.jobs import Jobs
from storage.catalog.sql import SqlCatalog
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreServices
from tests.servers import postgres
from tests.storage.batches import Entry
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import MIN_BLOCKS, RULES
from upkeep.compaction import Compaction
from upkeep.worker import HELD_NS, Worker

DAYS = 10
COMPACTORS = 4


class DiedError(BaseException):
    """As kill -9: nothing more is done."""


class _Store(BlockStore):
    """Tells of swaps."""

    swapped: Callable[..., None]

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """As `BlockStore.replace`."""
        self.swapped(removed, after=False)
        super().replace(removed, added)
        self.swapped(removed, after=True)


class Compactor:
    """One process of several; `dies`: at its second swap, before or after it."""

    def __init__(self, url: str, folder: Path, clock: ManualClock, dies: str = "") -> None:
        self.catalog = SqlCatalog(url, clock)
        services = StoreServices(self.catalog, LocalObjects(folder / "objects"), clock)
        self.store, self._dies = _Store(services, 1 << 20), dies
        self.store.swapped = self._swapped
        worker = Worker(Jobs(self.catalog.database, clock), self.catalog, clock, self.store.owner)
        self.compaction = Compaction(
            catalog=self.catalog, store=self.store, clock=clock, worker=worker, rules=RULES
        )
        self.merged: list[tuple[str, ...]] = []
        self._begun = 0

    def _swapped(self, removed: Sequence[str], *, after: bool) -> None:
        self._begun += not after
        if after:
            self.merged.append(tuple(sorted(removed)))
        if self._begun == 2 and self._dies == ("after" if after else "before"):
            raise DiedError

    def run(self) -> None:
        """Rounds until there is nothing to do."""
        while self.compaction.run():
            pass


class Several:
    """Days of small blocks, and compactors over them."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder, self.clock = url, folder, ManualClock(NOW)
        self._all: list[Compactor] = []
        self._stored = Stored(folder)
        self._stored.catalog.close()
        self._stored.catalog = catalog = SqlCatalog(url, self.clock)  # type: ignore[assignment]
        services = StoreServices(catalog, self._stored.objects, self.clock)
        self._stored.store = BlockStore(services, 1 << 20)
        for number in range(DAYS):
            for block in range(MIN_BLOCKS):
                first = (number + 1) * DAY + block * 100
                self._stored.add([("a", first + k, b"line %d" % k, {}) for k in range(3)])

    def compactor(self, dies: str = "") -> Compactor:
        """Another process."""
        found = Compactor(self._url, self._folder, self.clock, dies)
        self._all.append(found)
        return found

    def entries(self) -> list[Entry]:
        """Everything visible."""
        return self._stored.entries()

    def blocks(self) -> Counter[int]:
        """How many days have so many blocks."""
        days = Counter(row.min_ts // DAY for row in self._stored.rows(TENANT))
        return Counter(days.values())

    def close(self) -> None:
        """Let connections go."""
        for one in self._all:
            one.catalog.close()
        self._stored.close()


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """Of all tests here."""
    with postgres.running(postgres.needed()) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def several(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Several]:
    """Ten days of four blocks."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/shared.db"
    else:
        url = request.getfixturevalue("server").fresh()
    found = Several(url, tmp_path)
    yield found
    found.close()


def test_each_merge_is_done_once(several: Several) -> None:
    before = several.entries()
    all_of_them = [several.compactor() for _ in range(COMPACTORS)]
    together = threading.Barrier(COMPACTORS)

    def work(one: Compactor) -> None:
        together.wait()
        one.run()

    threads = [threading.Thread(target=work, args=(one,)) for one in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    several.compactor().run()  # who was too late at a day leaves it to the next round
    merged = Counter(blocks for one in all_of_them for blocks in one.merged)
    assert set(merged.values()) == {1}
    assert several.blocks() == {1: DAYS}
    assert several.entries() == before


@pytest.mark.parametrize("dies", ["before", "after"])
def test_what_a_dead_one_held_is_done_by_another_when_its_time_is_over(
    several: Several, dies: str
) -> None:
    before = several.entries()
    dead = several.compactor(dies)
    with pytest.raises(DiedError):
        dead.run()
    assert several.entries() == before
    other = several.compactor()
    other.run()
    left = 1 if dies == "before" else 0
    assert several.blocks() == Counter({1: DAYS - left, MIN_BLOCKS: left}) + Counter()
    assert several.entries() == before
    several.clock.advance(HELD_NS)
    other.run()
    assert several.blocks() == {1: DAYS}
    assert several.entries() == before
    merged = Counter([*dead.merged, *other.merged])
    assert set(merged.values()) == {1}
    assert len(merged) == DAYS
