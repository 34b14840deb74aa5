"""Is a plan always one that may be carried out, worth its price, and at an end some time?"""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow
from tests.storage.catalog.test_days import counted
from upkeep.merge_policy import (
    DAY_NS,
    DEFAULT_RULES,
    MEMORY_FACTOR,
    MIB,
    STREAM_BYTES,
    Merge,
    MergeRules,
    Partition,
    check_is_valid,
    first_look,
    fitting,
    partition_of,
    plan,
    quiet_from,
    rules_within,
    size_of,
    small_blocks,
)

HOUR = 3600 * 10**9
RULES = DEFAULT_RULES
NOON = DAY_NS // 2


def block(
    name: str, size: int, min_ts: int = 0, *, tenant: str = "t", created_ns: int = 0, rows: int = 0
) -> BlockRow:
    """A block of a level that nobody looks at."""
    return BlockRow(
        block_id=name,
        tenant=TenantId(tenant),
        cut_id="c",
        min_ts=min_ts,
        max_ts=min_ts + 1,
        rows=rows,
        line_bytes=size,
        stored_bytes=size,
        level=0,
        format_version=1,
        created_ns=created_ns,
    )


def alike(count: int, size: int = MIB, first: int = 0) -> list[BlockRow]:
    """Equal blocks of the first day, a minute apart."""
    return [
        block(f"{k:03d}", size, k * 60 * 10**9, created_ns=k) for k in range(first, first + count)
    ]


def names(merges: list[Merge]) -> list[list[str]]:
    """Ids of the blocks of each merge."""
    return [[row.block_id for row in merge.rows] for merge in merges]


sizes = st.one_of(
    st.integers(0, 200),
    st.integers(1, 63 * MIB),
    st.sampled_from([MIB, 8 * MIB, 30 * MIB, 36 * MIB, RULES.mature_bytes, 200 * MIB]),
)
blocks = st.lists(
    st.tuples(
        sizes,
        st.integers(-DAY_NS, 2 * DAY_NS),
        st.sampled_from(["a", "b"]),
        st.integers(0, 3 * DAY_NS),
        st.integers(0, 3_000_000),
    ),
    max_size=90,
).map(
    lambda found: [
        block(f"{k:03d}", size, ts, tenant=tenant, created_ns=created, rows=rows)
        for k, (size, ts, tenant, created, rows) in enumerate(found)
    ]
)
nows = st.integers(0, 4 * DAY_NS)


def merged(merge: Merge, name: str, now_ns: int) -> BlockRow:
    """What a merge makes."""
    rows = merge.rows
    return replace(
        rows[0],
        block_id=name,
        min_ts=min(row.min_ts for row in rows),
        max_ts=max(row.max_ts for row in rows),
        rows=sum(row.rows for row in rows),
        line_bytes=sum(row.line_bytes for row in rows),
        level=max(row.level for row in rows) + 1,
        created_ns=now_ns,
    )


@given(blocks, nows)
@example(alike(8), NOON)
@example([block("large", 50 * MIB), *alike(70, 200_000, 1)], NOON)
def test_a_plan_may_be_carried_out(rows: list[BlockRow], now_ns: int) -> None:
    merges = plan(rows, now_ns)
    check_is_valid(rows, merges)
    assert plan(list(reversed(rows)), now_ns) == merges, "the order of the rows says nothing"


@given(blocks, nows, nows)
@example(alike(8), NOON, NOON)
@example(alike(2), NOON, NOON)
@example([block("a", 5), block("b", 5), block("c", 100)], NOON, 4 * DAY_NS)
@example([block("a", 40 * MIB), block("b", 60 * MIB)], NOON, NOON)
def test_a_first_look_at_sums_comes_before_anything_can_be_merged(
    rows: list[BlockRow], now_ns: int, later_ns: int
) -> None:
    looks = {
        Partition(day.tenant, day.day): first_look(day, now_ns)
        for day in counted(rows, small_blocks(RULES))
    }
    for merge in plan(rows, max(now_ns, later_ns)):
        look = looks[partition_of(merge.rows[0])]
        assert look is not None, "never"
        assert look <= max(now_ns, later_ns), "too late"


def test_a_day_that_is_done_is_not_looked_at() -> None:
    """Each block is larger than all smaller ones together, as merges leave them."""
    done = [block("a", MIB), block("b", 3 * MIB), block("c", 9 * MIB)]
    (day,) = counted(done, small_blocks(RULES))
    assert first_look(day, 4 * DAY_NS) is None
    (day,) = counted(alike(2), small_blocks(RULES))
    assert first_look(day, NOON) == DAY_NS + RULES.quiet_ns, "once the day is quiet"
    assert first_look(day, DAY_NS + RULES.quiet_ns) == 0


@given(blocks, nows)
def test_plans_come_to_an_end_and_leave_few(rows: list[BlockRow], now_ns: int) -> None:
    left = {row.block_id: row for row in rows}
    total = sum(row.line_bytes for row in rows)
    for step in range(len(rows) + 1):
        merges = plan(left.values(), now_ns)
        if not merges:
            break
        for number, merge in enumerate(merges):
            for row in merge.rows:
                del left[row.block_id]
            made = merged(merge, f"m{step}-{number}", now_ns)
            left[made.block_id] = made
    else:
        pytest.fail("a plan without an end")
    assert sum(row.line_bytes for row in left.values()) == total
    check_few_are_left(list(left.values()))


def check_few_are_left(rows: list[BlockRow]) -> None:
    """Of a day: not too many that could be merged, or each is more than all smaller ones."""
    for partition in {partition_of(row) for row in rows}:
        mine = [size_of(row) for row in rows if partition_of(row) == partition]
        small = sorted(size for size in mine if size < RULES.mature_bytes)
        if len(small) > RULES.too_many:
            for k in range(1, len(small)):
                assert sum(small[:k]) < small[k] or sum(small[: k + 1]) == 0


@given(blocks, nows)
def test_the_longer_one_waits_the_more_is_worth_it(rows: list[BlockRow], now_ns: int) -> None:
    open_days = {partition_of(merge.rows[0]) for merge in plan(rows, now_ns)}
    closed_days = {partition_of(merge.rows[0]) for merge in plan(rows, 100 * DAY_NS)}
    assert open_days <= closed_days


def test_many_alike_are_merged_and_few_wait_until_the_day_is_quiet() -> None:
    few = alike(RULES.min_blocks - 1)
    assert plan(few, NOON) == []
    assert names(plan(alike(RULES.min_blocks), NOON)) == [[f"{k:03d}" for k in range(8)]]
    quiet = quiet_from(Partition(TenantId("t"), 0), few, RULES)
    assert quiet == DAY_NS + RULES.quiet_ns
    assert plan(few, quiet - 1) == []
    assert names(plan(few, quiet)) == [[row.block_id for row in few]]


def test_an_old_day_is_quiet_when_nothing_came_for_a_while() -> None:
    rows = [replace(row, created_ns=5 * DAY_NS) for row in alike(3)]
    assert plan(rows, 5 * DAY_NS + RULES.quiet_ns - 1) == []
    assert len(plan(rows, 5 * DAY_NS + RULES.quiet_ns)) == 1


def test_a_large_block_is_not_written_again_for_small_ones() -> None:
    rows = [block("large", 40 * MIB), *alike(7, MIB, 1)]
    assert plan(rows, NOON) == []
    assert names(plan(rows, 10 * DAY_NS)) == [[row.block_id for row in rows[1:]]]


def test_mature_blocks_are_left_alone_and_full_ones_are_made_at_once() -> None:
    assert plan(alike(20, RULES.mature_bytes), 10 * DAY_NS) == []
    assert names(plan(alike(4, 30 * MIB), NOON)) == [["000", "001", "002", "003"]]
    assert plan(alike(3, 30 * MIB), NOON) == []
    (merge,) = plan(alike(6, 30 * MIB), NOON)
    assert len(merge.rows) == 5, "no merged block is larger than the largest"


def test_tenants_and_days_are_not_mixed() -> None:
    rows = [
        block(f"{tenant}{day}{k}", MIB, day * DAY_NS + k, tenant=tenant)
        for tenant in "ab"
        for day in (0, 1)
        for k in range(RULES.min_blocks)
    ]
    found = names(plan(rows, 10 * DAY_NS))
    assert [{name[:2] for name in group} for group in found] == [{"a0"}, {"a1"}, {"b0"}, {"b1"}]


def test_too_many_blocks_are_merged_though_their_sizes_differ() -> None:
    rows = [block(f"{k:03d}", int(1000 * 1.35**k), k) for k in range(RULES.too_many)]
    assert plan(rows, NOON) == []
    assert plan([*rows, block("one", 1, NOON)], NOON) != []


def test_short_lines_count_by_their_number() -> None:
    rows = [replace(row, rows=2_000_000) for row in alike(8, 2 * MIB)]
    assert size_of(rows[0]) > 60 * MIB
    assert all(len(merge.rows) == 2 for merge in plan(rows, NOON))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (alike(1), "too few"),
        (alike(2, 100 * MIB), "mature"),
        ([block("a", 10 * MIB), block("b", MIB, created_ns=1)], "not worth it"),
        ([block("a", MIB), block("b", MIB, tenant="u")], "two tenants"),
        ([block("a", MIB), block("b", MIB, DAY_NS)], "two tenants or days"),
        (alike(6, 40 * MIB), "too large"),
        (alike(70, 100), "too many"),
        (list(reversed(alike(3))), "not in the order"),
    ],
)
def test_the_check_refuses(rows: list[BlockRow], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        check_is_valid(rows, [Merge(tuple(rows))])


def test_the_check_refuses_a_block_twice_and_one_that_is_not_there() -> None:
    rows = alike(2)
    with pytest.raises(AssertionError, match="in two merges"):
        check_is_valid(rows, [Merge(tuple(rows)), Merge(tuple(rows))])
    with pytest.raises(AssertionError, match="not there"):
        check_is_valid(rows[:1], [Merge(tuple(rows))])


def test_rules_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(AssertionError, match="never written again"):
        MergeRules(full_bytes=MIB)
    with pytest.raises(AssertionError, match="always fits"):
        MergeRules(max_bytes=100 * MIB)


@given(st.integers(40 * MIB, 4096 * MIB))
def test_less_memory_makes_smaller_blocks(memory: int) -> None:
    rules = rules_within(memory)
    assert MEMORY_FACTOR * rules.max_bytes <= memory
    if memory >= MEMORY_FACTOR * DEFAULT_RULES.max_bytes:
        assert rules == DEFAULT_RULES


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 3)), max_size=9))
def test_blocks_fit_while_their_lines_and_streams_have_room(
    blocks: list[tuple[int, int]],
) -> None:
    rules = MergeRules(max_bytes=800, full_bytes=400, mature_bytes=400)
    sizes, streams = [size for size, _ in blocks], [many for _, many in blocks]
    fits = fitting(sizes, streams, rules)
    totals = [sum(sizes[:k]) + STREAM_BYTES * sum(streams[:k]) for k in range(1, len(blocks) + 1)]
    assert [total <= 1000 for total in totals[:fits]] == [True] * fits
    assert fits == len(blocks) or totals[fits] > 1000
