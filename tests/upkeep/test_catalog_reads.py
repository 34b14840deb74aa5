"""How much of a large catalog does a round of upkeep read? What changed, never all of it again.

Rows are counted where they become ours, statements where the driver gets them.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from narfi.core.matchers import Matcher, MatchOp
from narfi.core.retention import RetentionPolicy, RetentionRule
from narfi.core.tenant import TenantId
from storage.catalog import sql
from storage.catalog.base import BlockRow
from storage.objects.faulty import Faults
from tests.storage.catalog.rows import publish
from tests.storage.catalog.test_listing import statements
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import compaction_of, retention_of, worker_of
from upkeep.garbage import GarbageCollector
from upkeep.merge_policy import DEFAULT_RULES
from upkeep.retention import MAX_TABLES
from upkeep.retention_policy import Verdict
from upkeep.size import shrink

BLOCKS, DAYS = 6_000, 60
TENANTS = [TENANT, TenantId("u"), TenantId("v")]


def mature(number: int) -> BlockRow:
    """A block that no merge takes; 100 of them a day."""
    low = NOW - (number % DAYS + 1) * DAY + number
    return BlockRow(
        block_id=f"b{number:06}",
        tenant=TENANTS[number % len(TENANTS)],
        cut_id=f"cut{number}",
        min_ts=low,
        max_ts=low + 10**9,
        rows=1000,
        line_bytes=DEFAULT_RULES.mature_bytes,
        stored_bytes=1000,
        level=2,
        format_version=2,
        created_ns=low,
    )


class Read:
    """Counts rows of blocks that are made of what the database said."""

    def __init__(self) -> None:
        self.rows = 0

    def since(self) -> int:
        """How many since this was asked last."""
        found, self.rows = self.rows, 0
        return found


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Rows from now on."""
    found, inner = Read(), sql.row_of

    def row_of(row: object) -> BlockRow:
        found.rows += 1
        return inner(row)

    monkeypatch.setattr(sql, "row_of", row_of)
    return found


@pytest.fixture(name="large")
def large_catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """Thousands of rows; no object lies behind them."""
    stored = Stored(tmp_path_factory.mktemp("large"), Faults())
    stored.catalog.adopt([mature(number) for number in range(BLOCKS)], [], [])
    yield stored
    stored.close()


def test_compaction_asks_for_sums_once_and_then_for_what_changed(large: Stored, read: Read) -> None:
    compaction = compaction_of(large.catalog, large.store, DEFAULT_RULES)
    with statements(large.catalog) as found:
        compaction.run()
    assert read.since() == 0
    assert len([one for one in found if "FROM blocks" in one]) == 1
    with statements(large.catalog) as found:
        compaction.run()
    assert read.since() == 0
    assert len(found) < 10
    fresh = mature(BLOCKS)
    publish(large.catalog, fresh)
    compaction.run()
    day = [row for k in range(BLOCKS) if (row := mature(k)).tenant == fresh.tenant]
    mine = [row for row in day if row.min_ts // DAY == fresh.min_ts // DAY]
    assert read.since() == 1 + len(mine) + 1, "the change, and the day of it"


def test_retention_reads_what_expired(large: Stored, read: Read) -> None:
    """And asks for each tenant, whose number is all that counts."""
    retention = retention_of(large.catalog, large.store, lambda _: RetentionPolicy(40 * DAY))
    old = sum(mature(k).max_ts < NOW - 40 * DAY for k in range(BLOCKS))
    assert retention.run() == old
    assert read.since() <= old + BLOCKS // DAYS
    with statements(large.catalog) as found:
        assert retention.run() == 0
    assert read.since() <= BLOCKS // DAYS, "blocks that begin before the edge and end behind it"
    assert len(found) < 10


def test_retention_of_some_streams_reads_what_changed_or_is_due(large: Stored, read: Read) -> None:
    """Most blocks are old enough for a rule; none has a stream that the rule selects."""
    policy = RetentionPolicy(
        (DAYS + 2) * DAY, (RetentionRule((Matcher("app", MatchOp.EQ, "debug"),), 1, 2 * DAY),)
    )
    policies = {TENANTS[0]: policy}
    retention = retention_of(
        large.catalog, large.store, lambda t: policies.get(t, RetentionPolicy(0))
    )
    waits = {"b000003": NOW + DAY}  # as if their tables had been read; no object lies behind them

    def judged(row: BlockRow, *_: object) -> Verdict:
        retention._due.later(row, waits.get(row.block_id, NOW + DAYS * DAY))
        return Verdict.KEEP

    retention._judge = judged  # type: ignore[assignment]
    mine = [row for k in range(BLOCKS) if (row := mature(k)).tenant == TENANT]
    old = [row for row in mine if row.min_ts < NOW - 2 * DAY]
    for _ in range(1 + len(old) // MAX_TABLES):
        retention.run()
    read.since()
    with statements(large.catalog) as found:
        retention.run()
    assert read.since() == 0
    assert len(found) < 10
    late = replace(mature(0), block_id="late", min_ts=NOW - 30 * DAY)
    publish(large.catalog, late)
    retention.run()
    assert read.since() == 2, "told as changed, and looked at"
    large.clock.advance(2 * DAY)
    retention.run()
    became_old = sum(NOW - 2 * DAY <= row.min_ts < NOW for row in mine)
    assert became_old > 0
    assert read.since() == became_old + 1, "each once; and the one that is due"
    policies[TENANTS[0]] = RetentionPolicy(policy.period_ns, (*policy.rules, *policy.rules))
    retention.run()
    assert read.since() >= len(old), "all of it under a new policy"


def test_size_reads_the_oldest_only(large: Stored, read: Read) -> None:
    assert shrink(large.catalog, worker_of(large.catalog, large.store), 1000 * (BLOCKS - 10)) == 10
    assert read.since() <= 2 * 1000


def test_garbage_reads_no_visible_block(large: Stored, read: Read) -> None:
    garbage = GarbageCollector(large.services, 0, worker_of(large.catalog, large.store))
    with statements(large.catalog) as found:
        garbage.collect()
    assert read.since() == 0
    assert not [one for one in found if "FROM blocks" in one]


def test_tenants_are_found_from_one_to_the_next(large: Stored) -> None:
    """As many looks into the index as there are tenants, and one."""
    assert large.catalog.tenants() == TENANTS
    with large.catalog.database.reading() as connection:
        plan = connection.exec_driver_sql(f"explain query plan {sql.tenants_query()}").all()
    steps = [str(row[-1]) for row in plan]
    assert any("blocks_by_time (tenant>?)" in step for step in steps), steps
    assert not any(step.startswith("SCAN blocks") for step in steps), steps
