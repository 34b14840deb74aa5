"""Do held blocks stay those that are visible, in order, whatever comes, goes and is told twice?"""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from storage.catalog.base import BlockRow
from storage.catalog.held_blocks import HeldBlocks
from tests.storage.catalog.rows import row

SINCE = 10
BLOCKS = st.tuples(st.integers(0, 12), st.integers(0, 30), st.integers(0, 9), st.integers(0, 4))
CHANGES = st.tuples(st.lists(BLOCKS, max_size=6), st.frozensets(st.integers(0, 12), max_size=5))


def block(number: int, low: int, length: int, created_ns: int) -> BlockRow:
    """A block; one of a number is always the same."""
    return replace(row(f"b{number:02}", low, low + length), created_ns=created_ns)


def ordered(rows: list[BlockRow]) -> list[BlockRow]:
    """By creation and id."""
    return sorted(rows, key=lambda one: (one.created_ns, one.block_id))


@given(
    st.lists(BLOCKS, max_size=8), st.lists(CHANGES, max_size=6), st.integers(10, 40), st.integers()
)
def test_they_are_the_visible_ones_in_order(
    first: list[tuple[int, int, int, int]],
    changes: list[tuple[list[tuple[int, int, int, int]], frozenset[int]]],
    start: int,
    length: int,
) -> None:
    made: dict[int, BlockRow] = {}
    visible = {made.setdefault(one[0], block(*one)).block_id: made[one[0]] for one in first}
    held = HeldBlocks(ordered([one for one in visible.values() if one.max_ts >= SINCE]), SINCE)
    gone: set[str] = set()
    for came, went in changes:
        fresh = [made.setdefault(one[0], block(*one)) for one in came]
        fresh = [one for one in fresh if one.block_id not in gone]
        out = frozenset(f"b{number:02}" for number in went)
        visible |= {one.block_id: one for one in fresh}
        visible = {name: one for name, one in visible.items() if name not in out}
        gone |= out
        held.change(fresh, out)
        there = [one for one in visible.values() if one.max_ts >= SINCE]
        assert held.within(SINCE, 2**63) == ordered(there)
        assert len(held) == len(there)
        end = start + abs(length) % 20
        mine = [one for one in there if one.max_ts >= start and one.min_ts < end]
        assert held.within(start, end) == ordered(mine)
