"""When is freed memory given back to the system? Only where the process has grown."""

import mmap

from hypothesis import given
from hypothesis import strategies as st

from narfi.core.trim import GROWN_BYTES, Trim, give_back, resident_bytes

MB = 1 << 20


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=12))
def test_it_gives_back_once_for_each_growth(sizes: list[tuple[int, int]]) -> None:
    """Each size: what the process has at a look, and what is left if it gives back then."""
    now = 100 * MB
    left = 0
    given_at: list[int] = []

    def back() -> None:
        nonlocal now
        given_at.append(now)
        now = left

    trim = Trim(lambda: now, back)
    least = now
    for size, rest in sizes:
        now, left = size * MB, min(size, rest) * MB
        before, seen = len(given_at), now
        assert trim.run() == 0
        grown = seen >= least + GROWN_BYTES
        assert len(given_at) - before == grown
        least = now if grown else min(least, seen)


@given(st.lists(st.integers(0, 100), max_size=12))
def test_it_gives_back_what_requests_freed(sizes: list[int]) -> None:
    """The process looks as large as ever: what was freed lies in its heap."""
    freed, looks = 0, 0

    def back() -> None:
        nonlocal looks
        looks += 1

    trim, waiting, expected, due = Trim(lambda: 300 * MB, back, lambda: freed), 0, 0, 0
    for size in sizes:
        freed += size * MB
        waiting += size * MB
        expected, due = expected + due, 0
        if waiting >= GROWN_BYTES:
            waiting, due = 0, 1  # a look later, when all of it is free
        trim.run()
        assert looks == expected


def test_small_values_that_were_freed_go_back() -> None:
    give_back()  # what tests before it freed would be taken again
    before = resident_bytes()
    held = [b"x" * 200_000 for _ in range(1000)]
    top = [bytes(1000) for _ in range(1000)]  # they lie above the others, and keep the heap long
    grown = resident_bytes()
    assert grown - before > 150 * MB
    del held
    give_back()
    assert resident_bytes() < grown - 150 * MB
    assert len(top) == 1000


def test_it_knows_how_large_the_process_is() -> None:
    before = resident_bytes()
    with mmap.mmap(-1, 64 * MB) as room:
        room.write(bytes(64 * MB))
        assert resident_bytes() - before >= 60 * MB
