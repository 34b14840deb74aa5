"""What does a merge policy do to a month of blocks? Sizes and times only: no byte is written.

Blocks come when tenants of a kind cut them; upkeep looks at a day when a block of it came, and when
the day has become quiet. It merges at once, as often as there is something to merge.
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow
from upkeep.merge_policy import (
    DEFAULT_RULES,
    Merge,
    MergeRules,
    Partition,
    check_is_valid,
    partition_of,
    plan,
    quiet_from,
    size_of,
)

SECOND = 10**9
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
KB, MB = 1000, 1000 * 1000
LINE = 120
"""Bytes of a line."""


@dataclass(frozen=True)
class Arrival:
    """A block that is flushed at `at_ns`."""

    at_ns: int
    min_ts: int
    max_ts: int
    line_bytes: int


def cut(at_ns: int, line_bytes: int, span_ns: int = 5 * MINUTE) -> Arrival:
    """A block of the entries of the last minutes."""
    return Arrival(at_ns, at_ns - span_ns, at_ns - 1, max(line_bytes, LINE))


def steady(days: int, every_ns: int, sizes: Callable[[random.Random], float]) -> list[Arrival]:
    """A block of some size at each interval."""
    chance = random.Random(7)
    times = range(every_ns, days * DAY + 1, every_ns)
    return [cut(at, int(sizes(chance)), min(every_ns, 5 * MINUTE)) for at in times]


@dataclass
class Outcome:
    """What was written, and how many blocks there were."""

    flushed: int = 0  # bytes that came
    merged: int = 0  # bytes that merges wrote
    merges: int = 0
    last_hour: int = 0  # most blocks that a question for the last hour met
    end_of_day: int = 0  # most blocks of one day that were not mature, when it ended
    quiet: int = 0  # and when it was quiet and merged
    left: int = 0  # all blocks in the end
    deepest: int = 0  # how often the unluckiest entry was written

    @property
    def amplification(self) -> float:
        """How often an entry is written on average, the flush included."""
        return (self.flushed + self.merged) / self.flushed


@dataclass
class Simulation:
    """The blocks of one tenant."""

    rules: MergeRules = DEFAULT_RULES
    outcome: Outcome = field(default_factory=Outcome)
    blocks: dict[Partition, dict[str, BlockRow]] = field(default_factory=lambda: defaultdict(dict))
    made: int = 0
    wakes: list[tuple[int, int]] = field(default_factory=list)  # (when, day)

    def run(self, arrivals: list[Arrival]) -> Outcome:
        """All of them, and what is left to do when the last one has come."""
        hour = 0
        for arrival in sorted(arrivals, key=lambda one: one.at_ns):
            self._wake(arrival.at_ns)
            self._flush(arrival)
            if arrival.at_ns // HOUR > hour:
                hour = arrival.at_ns // HOUR
                self._ask(arrival.at_ns)
        self._wake(2**62)
        self.outcome.left = sum(len(found) for found in self.blocks.values())
        self.outcome.deepest = 1 + max(row.level for row in self._all())
        return self.outcome

    def _all(self) -> Iterator[BlockRow]:
        return (row for found in self.blocks.values() for row in found.values())

    def _row(self, arrival: Arrival, rows: int, level: int) -> BlockRow:
        self.made += 1
        return BlockRow(
            block_id=f"{self.made:08d}",
            tenant=TenantId("t"),
            cut_id="c",
            min_ts=arrival.min_ts,
            max_ts=arrival.max_ts,
            rows=rows,
            line_bytes=arrival.line_bytes,
            stored_bytes=arrival.line_bytes // 10,
            level=level,
            format_version=1,
            created_ns=arrival.at_ns,
        )

    def _flush(self, arrival: Arrival) -> None:
        row = self._row(arrival, arrival.line_bytes // LINE, 0)
        self.outcome.flushed += row.line_bytes
        self.blocks[partition_of(row)][row.block_id] = row
        self._upkeep(partition_of(row), arrival.at_ns)

    def _wake(self, until_ns: int) -> None:
        while self.wakes and self.wakes[0][0] <= until_ns:
            at, day = heapq.heappop(self.wakes)
            partition = Partition(TenantId("t"), day)
            if at == partition.end_ns:
                small = len(self._small(partition))
                self.outcome.end_of_day = max(self.outcome.end_of_day, small)
                continue
            self._upkeep(partition, at)
            if at >= quiet_from(partition, [*self.blocks[partition].values()], self.rules):
                small = len(self._small(partition))
                self.outcome.quiet = max(self.outcome.quiet, small)

    def _small(self, partition: Partition) -> list[BlockRow]:
        found = self.blocks[partition].values()
        return [row for row in found if size_of(row) < self.rules.mature_bytes]

    def _upkeep(self, partition: Partition, now_ns: int) -> None:
        while rows := self._small(partition):
            merges = plan(rows, now_ns, self.rules)
            check_is_valid(rows, merges, self.rules)
            for merge in merges:
                self._merge(partition, merge, now_ns)
            if not merges:
                at = quiet_from(partition, rows, self.rules)
                for wake in {at, partition.end_ns}:
                    if wake > now_ns and (wake, partition.day) not in self.wakes:
                        heapq.heappush(self.wakes, (wake, partition.day))
                return

    def _merge(self, partition: Partition, merge: Merge, now_ns: int) -> None:
        arrival = Arrival(
            now_ns,
            min(row.min_ts for row in merge.rows),
            max(row.max_ts for row in merge.rows),
            sum(row.line_bytes for row in merge.rows),
        )
        level = max(row.level for row in merge.rows) + 1
        row = self._row(arrival, sum(row.rows for row in merge.rows), level)
        for gone in merge.rows:
            del self.blocks[partition][gone.block_id]
        self.blocks[partition][row.block_id] = row
        self.outcome.merged += row.line_bytes
        self.outcome.merges += 1

    def _ask(self, now_ns: int) -> None:
        day = now_ns // DAY
        recent = [p for p in self.blocks if day - 1 <= p.day <= day]
        met = sum(r.max_ts >= now_ns - HOUR for p in recent for r in self.blocks[p].values())
        self.outcome.last_hour = max(self.outcome.last_hour, met)
