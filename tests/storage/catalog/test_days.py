"""Are the sums over small blocks of a day those that anybody would count, on every engine?"""

from collections import defaultdict
from dataclasses import replace
from itertools import accumulate

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, SmallBlocks, SmallDay
from storage.catalog.sql import SqlCatalog
from tests.reference.budget import examples
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import row

DAY = 100
TIMES = st.one_of(
    st.integers(-3 * DAY, 3 * DAY), st.sampled_from([-(2**63), 1 - 2**63, 2**63 - 1, -DAY, DAY])
)
BLOCKS = st.lists(
    st.tuples(st.sampled_from(["t", "u"]), TIMES, st.integers(0, 30), st.integers(0, 5)),
    max_size=30,
)
Drawn = list[tuple[str, int, int, int]]


def rows_of(drawn: Drawn) -> list[BlockRow]:
    """Blocks as drawn; each was made later than the one before."""
    return [
        replace(
            row(f"b{number}", low, low, TenantId(tenant)),
            line_bytes=line_bytes,
            rows=rows,
            created_ns=number,
        )
        for number, (tenant, low, line_bytes, rows) in enumerate(drawn)
    ]


def counted(rows: list[BlockRow], small: SmallBlocks) -> list[SmallDay]:
    """The sums, from the words of `SmallDay`."""
    days: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for one in rows:
        size = one.line_bytes + small.row_bytes * one.rows
        if size < small.below:
            days[one.tenant, one.min_ts // small.day_ns].append((size, one.created_ns))
    found = []
    for (tenant, day), members in sorted(days.items()):
        sizes = sorted(size for size, _ in members)
        doubles = [
            total >= 2 * largest for total, largest in zip(accumulate(sizes), sizes, strict=True)
        ]
        if len(members) > 1:
            found.append(
                SmallDay(
                    tenant=TenantId(tenant),
                    day=day,
                    blocks=len(members),
                    size=sum(sizes),
                    newest_ns=max(created for _, created in members),
                    doubles=any(doubles[1:]),
                )
            )
    return found


def check(catalog: SqlCatalog, rows: list[BlockRow], small: SmallBlocks) -> None:
    """Ask, and leave the catalog empty."""
    catalog.adopt(rows, [], [])
    try:
        assert list(catalog.small_days(small)) == counted(rows, small)
    finally:
        catalog.replace([one.block_id for one in rows], [])
        catalog.forget([one.block_id for one in rows])


def test_sums_of_days_are_those_of_their_small_blocks(opened: Opener) -> None:
    catalog = opened()

    @settings(
        max_examples=examples(25),
        deadline=None,
        suppress_health_check=[HealthCheck.nested_given],
    )
    @given(BLOCKS, st.integers(1, 40), st.integers(0, 3))
    def run(drawn: Drawn, below: int, row_bytes: int) -> None:
        check(catalog, rows_of(drawn), SmallBlocks(below=below, row_bytes=row_bytes, day_ns=DAY))

    run()


def test_a_day_begins_at_its_first_nanosecond(opened: Opener) -> None:
    lows = [-DAY - 1, -DAY, -1, 0, DAY - 1, DAY]
    drawn = [("t", low, 1, 0) for low in lows for _ in range(2)]
    small = SmallBlocks(below=10, row_bytes=1, day_ns=DAY)
    catalog = opened()
    catalog.adopt(rows_of(drawn), [], [])
    found = catalog.small_days(small)
    assert [(one.day, one.blocks) for one in found] == [(-2, 2), (-1, 4), (0, 4), (1, 2)]
