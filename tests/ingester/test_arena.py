"""Is an arena's memory given out again only when nobody looks at it?"""

import gc

from ingester.arena import KEPT, ArenaPool
from narfi.core.columns import Spans
from narfi.core.trim import resident_bytes


def test_lines_are_copied_in_one_behind_the_other() -> None:
    arena = ArenaPool(16).arena(1)
    body = Spans.of([b"one", None, b"two"])
    first, second = arena.take(body), arena.take(Spans.of([b"three"]))
    assert first.to_list() == [b"one", None, b"two"]
    assert second.to_list() == [b"three"]
    assert first.data is second.data
    assert arena.fits(5)
    assert not arena.fits(6)


def test_memory_goes_back_when_the_last_view_is_gone() -> None:
    pool = ArenaPool(4096)
    arena = pool.arena(1)
    view = arena.take(Spans.of([b"kept"]))
    del arena
    gc.collect()
    assert pool._free == []
    assert view.to_list() == [b"kept"]
    del view
    gc.collect()
    assert len(pool._free) == 1
    again = pool.arena(1)
    assert pool._free == []
    assert again.fits(4096)


def test_no_more_is_kept_than_is_needed() -> None:
    pool = ArenaPool(4096)
    many = [pool.arena(1) for _ in range(KEPT + 3)]
    many.clear()
    gc.collect()
    assert len(pool._free) == KEPT


def test_free_memory_goes_to_the_system_when_no_part_wants_it() -> None:
    pool = ArenaPool(4096)
    first, second = pool.arena(1), pool.arena(1)
    del second
    gc.collect()
    assert pool.give_back_idle() == 0, "arenas were wanted a moment ago"
    assert len(pool._free) == 1
    assert pool.give_back_idle() == 1
    assert pool._free == []
    assert pool.give_back_idle() == 0
    assert pool.arena(1).fits(4096)
    assert first.fits(4096)


def test_what_was_only_read_takes_no_memory() -> None:
    size = 64 << 20
    arena = ArenaPool(size).arena(1)
    lines = arena.take(Spans.of([b"one"]))
    before = resident_bytes()
    assert int(lines.data.sum()) == sum(b"one")
    assert resident_bytes() - before < size // 4


def test_a_push_larger_than_an_arena_gets_one_of_its_own() -> None:
    arena = ArenaPool(16).arena(100)
    assert arena.fits(100)
    assert arena.take(Spans.of([b"x" * 100])).to_list() == [b"x" * 100]
