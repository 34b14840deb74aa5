"""Which reads of a far store does the disk spare, and does a query ever get wrong bytes of it?"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from storage.block.identity import Layout
from storage.objects.cached import CachedObjects
from storage.objects.disk_cache import DiskCache
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore
from tests.storage.stored import DAY, TENANT, Stored

LARGE = 1 << 30


class Counted(LocalObjects):
    """A far store: it tells what it is asked for, and its files are not mapped."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[str] = []

    def get(self, key: str) -> bytes:
        """The whole object."""
        self.asked.append(key)
        return super().get(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of each range."""
        self.asked += [f"{key} {start}+{length}" for start, length in ranges]
        return super().get_ranges(key, ranges)

    def since(self) -> list[str]:
        """What was asked for since this was asked last."""
        found, self.asked = self.asked, []
        return found


@pytest.fixture(name="far")
def far_store(tmp_path: Path) -> Counted:
    """With one object."""
    found = Counted(tmp_path / "far")
    found.put("a/b", bytes(range(200)))
    return found


def test_a_whole_object_is_asked_for_once(far: Counted, tmp_path: Path) -> None:
    for _ in range(2):  # processes, one after another
        objects = CachedObjects(far, DiskCache(tmp_path / "cache", LARGE))
        for _ in range(3):
            assert objects.get("a/b") == bytes(range(200))
    assert far.since() == ["a/b"]


def test_a_range_is_kept_when_it_is_read_for_the_second_time(far: Counted, tmp_path: Path) -> None:
    objects = CachedObjects(far, DiskCache(tmp_path / "cache", LARGE))
    both = [(3, 4), (100, 2)]
    want = [bytes(range(3, 7)), bytes((100, 101))]
    assert objects.get_ranges("a/b", both) == want
    assert objects.get_ranges("a/b", both[1:]) == want[1:]
    assert far.since() == ["a/b 3+4", "a/b 100+2", "a/b 100+2"]
    assert objects.get_ranges("a/b", both) == want
    assert far.since() == ["a/b 3+4"], "only what is not kept"
    assert objects.get_ranges("a/b", both) == want
    with objects.open("a/b", 200) as file:
        for _ in range(3):
            file.seek(150)
            assert file.read(10) == bytes(range(150, 160))
    assert len(far.since()) == 1, "its window"
    assert CachedObjects(far, DiskCache(tmp_path / "cache", LARGE)).get_ranges("a/b", both) == want
    assert far.since() == []


def test_what_is_distrusted_is_read_past_the_cache(far: Counted, tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", LARGE)
    cache.put("a/b", b"wrong")
    cache.put("a/b?0+1", b"w")
    objects = CachedObjects(far, cache)
    assert objects.get("a/b") == b"wrong"
    objects.distrust("a/other")
    assert objects.get("a/b") == bytes(range(200))
    assert objects.get_ranges("a/b", [(0, 1)]) == [b"\0"]


def test_a_query_that_meets_wrong_bytes_of_the_cache_gets_right_ones_of_the_store(
    tmp_path: Path,
) -> None:
    """Bytes that came wrong over the network were kept, with the checksum that they have."""
    stored = Stored(tmp_path)
    row = stored.add([("app", DAY + n, b"line %d" % n, {}) for n in range(20)])
    before = stored.entries()
    cache = DiskCache(tmp_path / "cache", LARGE)
    for key in stored.objects.list("blocks/"):
        right = stored.objects.get(key)
        cache.put(key, bytes([right[0] ^ 1]) + right[1:-1] + bytes([right[-1] ^ 1]))
    through = CachedObjects(stored.objects, cache)
    stored.store = BlockStore(stored.services, 1 << 20, layout=Layout(), read_through=through)
    assert stored.entries() == before
    assert not stored.store.quarantine.blocks(), "the block is whole"
    assert [one.block_id for one in stored.rows(TENANT)] == [row.block_id]
    stored.close()


def test_queries_of_a_second_process_ask_for_nothing_that_is_kept(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    stored.add([("app", DAY + n, b"line %d" % n, {}) for n in range(20)])
    before, far = stored.entries(), Counted(tmp_path / "objects")
    for wanted in (1, 0):
        through = CachedObjects(far, DiskCache(tmp_path / "cache", LARGE))
        stored.store = BlockStore(stored.services, 1 << 20, read_through=through)
        assert stored.entries() == before
        assert len([one for one in far.since() if "index" in one]) == wanted
    stored.close()
