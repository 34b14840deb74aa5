"""Which blocks are worth merging? Pure: catalog rows in, neighbours of a tenant and day out.

Every merge writes its entries once more, so a merged block must be much larger than each of its
inputs: then an entry is written a bounded number of times, however small the blocks are in which it
comes (`tests/upkeep/test_write_amplification.py`). While blocks of a day still come, those of one
size wait until they are many; when the day is quiet, or has too many blocks, doubling is enough. A
mature block is never written again.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from narfi.core.clock import NS_PER_S
from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, SmallBlocks, SmallDay

DAY_NS = 86_400 * NS_PER_S
MIB = 1024 * 1024
ROW_BYTES = 32
"""A row costs a merge about as much memory as that many bytes of lines."""
STREAM_BYTES = 400
"""A stream does too, with labels of usual length. Who opened a block knows how
many it has, the catalog does not."""
MEMORY_FACTOR = 5
"""A merge holds four times what it merges, and its streams may add a quarter to `max_bytes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRules:
    """When a merge is worth its price. Sizes are those of `size_of`."""

    mature_bytes: int = 64 * MIB  # from there on a block is left alone
    full_bytes: int = 96 * MIB  # a merged block of that size is worth it whatever it is made of
    max_bytes: int = 160 * MIB  # of a merged block, but for its streams (`fitting`)
    max_blocks: int = 64  # that are open at once
    min_blocks: int = 8  # of a merge, while more blocks of the day are expected
    growth: float = 5.0  # such a merged block is that many times as large as its largest input
    least_growth: float = 2.0  # once the day is quiet, or has too many blocks
    too_many: int = 20  # blocks of a day that are not mature
    quiet_ns: int = 2 * 3600 * NS_PER_S  # after the day, and after its newest block

    def __post_init__(self) -> None:
        assert self.full_bytes >= self.mature_bytes, "what is full is never written again"
        assert self.max_bytes >= self.full_bytes + self.mature_bytes, "a full group always fits"
        assert self.least_growth <= self.growth <= self.min_blocks
        assert 2 <= self.min_blocks <= self.too_many <= self.max_blocks


DEFAULT_RULES = MergeRules()


def rules_within(memory_bytes: int) -> MergeRules:
    """The usual rules, or smaller blocks where merges may not take as much memory as these do."""
    most = min(memory_bytes // MEMORY_FACTOR, DEFAULT_RULES.max_bytes)
    full, mature = most * 6 // 10, most * 4 // 10
    return MergeRules(max_bytes=most, full_bytes=full, mature_bytes=mature)


def fitting(sizes: Sequence[int], streams: Sequence[int], rules: MergeRules) -> int:
    """How many blocks, from the first on, a merge has memory for; sizes are those of `size_of`."""
    most, total = rules.max_bytes * 5 // 4, 0
    for number, (size, many) in enumerate(zip(sizes, streams, strict=True)):
        total += size + STREAM_BYTES * many
        if total > most:
            return number
    return len(sizes)


@dataclass(frozen=True, slots=True)
class Merge:
    """Blocks of one tenant and day that become one, in the order in which they were made."""

    rows: tuple[BlockRow, ...]

    @property
    def tenant(self) -> TenantId:
        """Whose they are."""
        return self.rows[0].tenant


@dataclass(frozen=True, slots=True)
class Partition:
    """What is merged only among itself: blocks whose oldest entry is of one day."""

    tenant: TenantId
    day: int  # since the epoch

    @property
    def start_ns(self) -> int:
        """When the day begins."""
        return self.day * DAY_NS

    @property
    def end_ns(self) -> int:
        """When the next day begins."""
        return (self.day + 1) * DAY_NS


def partition_of(row: BlockRow) -> Partition:
    """Where a block belongs."""
    return Partition(row.tenant, row.min_ts // DAY_NS)


def size_of(row: BlockRow) -> int:
    """What a block counts in bytes: its lines, and its rows, of which short lines have many."""
    return row.line_bytes + ROW_BYTES * row.rows


def plan(rows: Iterable[BlockRow], now_ns: int, rules: MergeRules = DEFAULT_RULES) -> list[Merge]:
    """Merges that are worth it now; no block is in two of them."""
    small = sorted(
        (row for row in rows if size_of(row) < rules.mature_bytes),
        key=lambda row: (row.tenant, row.min_ts, row.max_ts, row.block_id),
    )
    merges: list[Merge] = []
    for partition, found in groupby(small, key=partition_of):
        left = list(found)
        closed = now_ns >= quiet_from(partition, left, rules)
        while group := _next(left, rules, closed=closed):
            taken = {row.block_id for row in group}
            left = [row for row in left if row.block_id not in taken]
            group.sort(key=lambda row: (row.created_ns, row.block_id))
            merges.append(Merge(tuple(group)))
    return merges


def quiet_from(partition: Partition, rows: Sequence[BlockRow], rules: MergeRules) -> int:
    """When doubling is enough for these blocks, unless others come before."""
    return _quiet_from(partition, max(row.created_ns for row in rows), rules)


def _quiet_from(partition: Partition, newest_ns: int, rules: MergeRules) -> int:
    return max(partition.end_ns, newest_ns) + rules.quiet_ns


def small_blocks(rules: MergeRules) -> SmallBlocks:
    """What to ask of the catalog: the blocks that a merge may take."""
    return SmallBlocks(below=rules.mature_bytes, row_bytes=ROW_BYTES, day_ns=DAY_NS)


def first_look(day: SmallDay, now_ns: int, rules: MergeRules = DEFAULT_RULES) -> int | None:
    """When to look at the blocks of a day of which sums are known: ns, 0 for now, None for never.

    Invariant: there is nothing to merge before, unless other blocks come.
    """
    full = day.size >= rules.full_bytes
    if not (full or day.doubles or rules.least_growth < 2):
        return None
    quiet = _quiet_from(Partition(day.tenant, day.day), day.newest_ns, rules)
    enough = day.blocks >= rules.min_blocks or full
    return 0 if enough or now_ns >= quiet else quiet


def check_is_valid(
    rows: Sequence[BlockRow], merges: Sequence[Merge], rules: MergeRules = DEFAULT_RULES
) -> None:
    """`AssertionError` unless `merges` are a plan over `rows` that may be carried out."""
    known = {row.block_id: row for row in rows}
    used: set[str] = set()
    for merge in merges:
        sizes = [size_of(row) for row in merge.rows]
        assert all(known.get(row.block_id) == row for row in merge.rows), (
            "a block that is not there"
        )
        assert len({partition_of(row) for row in merge.rows}) == 1, "two tenants or days"
        assert used.isdisjoint(row.block_id for row in merge.rows), "a block in two merges"
        assert 2 <= len(sizes) <= rules.max_blocks, "too few or too many blocks"
        assert max(sizes) < rules.mature_bytes, "a mature block"
        assert sum(sizes) <= rules.max_bytes, "too large"
        grows = sum(sizes) >= rules.least_growth * max(sizes)
        assert grows or sum(sizes) >= rules.full_bytes, "not worth it"
        in_order = sorted(merge.rows, key=lambda row: (row.created_ns, row.block_id))
        assert list(merge.rows) == in_order, "not in the order in which they were made"
        used.update(row.block_id for row in merge.rows)


def _next(left: Sequence[BlockRow], rules: MergeRules, *, closed: bool) -> list[BlockRow]:
    """The blocks of the next merge, smallest first, then oldest; none when nothing is worth it."""
    if len(left) < 2:
        return []
    patient = not closed and len(left) <= rules.too_many
    least, growth = (rules.min_blocks, rules.growth) if patient else (2, rules.least_growth)
    for cap in _caps(size_of(row) for row in left):
        alike = [row for row in left if size_of(row) <= cap]
        if group := _first_run(alike, rules, least, growth):
            return group
    return []


def _caps(sizes: Iterable[int]) -> list[int]:
    """Sizes up to which blocks are looked at together: each is twice the smallest one beyond."""
    beyond, caps = sorted(sizes), []
    while beyond:
        caps.append(2 * beyond[0])
        beyond = beyond[bisect_right(beyond, caps[-1]) :]
    return caps


def _first_run(
    rows: Sequence[BlockRow], rules: MergeRules, least: int, growth: float
) -> list[BlockRow]:
    """The longest beginning of the rows, or else of what is behind, that is worth a merge."""
    first = 0
    while first < len(rows):
        total = largest = worth = 0
        last = first
        for last in range(first, min(first + rules.max_blocks, len(rows))):
            size = size_of(rows[last])
            if total + size > rules.max_bytes:
                break
            total, largest = total + size, max(largest, size)
            count = last - first + 1
            enough = count >= least and total >= growth * largest
            if count >= 2 and (enough or total >= rules.full_bytes):
                worth = count
        else:
            last += 1
        if worth:
            return list(rows[first : first + worth])
        first = last
    return []
