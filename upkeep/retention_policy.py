"""Which blocks go by age, whole or in part? Pure: catalog rows and stream tables in, jobs out.

A stream of a block expires when its newest entry there is older than its period; entries never go
singly. A block whose streams have all expired is dropped. One of which only some have is written
again without them when that is worth it (`decide`), so that the same block is not rewritten for
each of its streams: at most once in `REWRITE_DELAY_NS`, and whenever a quarter of it can go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from narfi.core.columns import I64, Mask
from narfi.core.retention import DAY_NS, RetentionPolicy
from storage.batch import StreamTable
from storage.catalog.base import BlockRow

NEVER = 2**63 - 1
REWRITE_DELAY_NS = DAY_NS
"""An expired stream is in its block that much longer at most; most blocks expire whole by then."""
REWRITE_SHARE = 0.25
"""Share of a block's line bytes that is worth a rewrite at once."""
MAX_REWRITE_BYTES = 512 * 1024 * 1024
"""Line bytes of blocks that one run rewrites; the rest waits for the next."""


class Verdict(Enum):
    """What happens to a block now."""

    KEEP = "keep"
    DROP = "drop"
    REWRITE = "rewrite"  # without its expired streams
    LOOK = "look"  # its stream table must be read to tell


@dataclass(frozen=True, slots=True, eq=False)
class Rewrite:
    """A block that is written again without some streams."""

    row: BlockRow
    kept: Mask  # its streams that stay
    overdue_ns: int  # how long its first stream has been expired


def first_edge(policy: RetentionPolicy, now_ns: int) -> int | None:
    """No entry at or after this time has expired; None when nothing ever does."""
    periods = [policy.period_ns, *(rule.period_ns for rule in policy.rules)]
    finite = [period for period in periods if period > 0]
    return now_ns - min(finite) if finite else None


def judge(row: BlockRow, policy: RetentionPolicy, now_ns: int) -> Verdict:
    """What the catalog's row alone can tell of a block."""
    first_end, last_end = _ends(row, policy)
    if last_end < now_ns:
        return Verdict.DROP
    if first_end >= now_ns:
        return Verdict.KEEP
    soon_gone = not policy.rules and last_end - now_ns <= REWRITE_DELAY_NS
    if soon_gone and now_ns - first_end < REWRITE_DELAY_NS:
        return Verdict.KEEP  # the common case: a block of a day that is about to expire whole
    return Verdict.LOOK


def next_judgement(row: BlockRow, policy: RetentionPolicy, now_ns: int) -> int:
    """The earliest time after `now_ns` at which `judge` may tell something else than KEEP."""
    first_end, last_end = _ends(row, policy)
    times = (_plus(first_end, 1), _plus(first_end, REWRITE_DELAY_NS), _plus(last_end, 1))
    return min((time for time in times if time > now_ns), default=NEVER)


def _ends(row: BlockRow, policy: RetentionPolicy) -> tuple[int, int]:
    """No stream of the block expires before the first time, and none after the second."""
    periods = [policy.period_ns, *(rule.period_ns for rule in policy.rules)]
    ends = [period if period > 0 else NEVER for period in periods]
    return _plus(row.min_ts, min(ends)), _plus(row.max_ts, max(ends))


def ends_of(table: StreamTable, policy: RetentionPolicy) -> I64:
    """The time in ns after which each stream of a block has expired; `NEVER` where it is kept."""
    periods = np.full(len(table), policy.period_ns, np.int64)
    for rule in reversed(policy.rules):  # the first rule is written last
        periods[table.select(rule.matchers)] = rule.period_ns
    forever = (periods <= 0) | (table.last_ts > NEVER - periods)
    return np.where(forever, NEVER, table.last_ts + np.where(forever, 0, periods))


def decide(ends: I64, line_bytes: I64, now_ns: int) -> Verdict:
    """What happens to a block whose streams expire at `ends` and have that many line bytes."""
    gone = ends < now_ns
    if gone.all():
        return Verdict.DROP
    if not gone.any():
        return Verdict.KEEP
    if now_ns - int(ends.min()) >= REWRITE_DELAY_NS:
        return Verdict.REWRITE
    much = line_bytes[gone].sum() >= REWRITE_SHARE * max(int(line_bytes.sum()), 1)
    rest_soon_gone = int(ends.max()) - now_ns <= REWRITE_DELAY_NS
    return Verdict.REWRITE if much and not rest_soon_gone else Verdict.KEEP


def next_look(ends: I64, now_ns: int) -> int:
    """The earliest time after `now_ns` at which `decide` may tell something else than KEEP."""
    coming = ends[(ends >= now_ns) & (ends < NEVER)]
    times = [int(coming.min()) + 1] if len(coming) else []
    ripe = _plus(int(ends.min()), REWRITE_DELAY_NS)
    if now_ns < ripe < NEVER:
        times.append(ripe)
    return min(times, default=NEVER)


def within_budget(jobs: Iterable[Rewrite]) -> Sequence[Rewrite]:
    """The jobs of one run, most overdue first; one at least, however large."""
    chosen: list[Rewrite] = []
    size = 0
    for job in sorted(jobs, key=lambda job: (-job.overdue_ns, job.row.block_id)):
        size += job.row.line_bytes
        if chosen and size > MAX_REWRITE_BYTES:
            break
        chosen.append(job)
    return chosen


def _plus(ts: int, period: int) -> int:
    return min(ts + period, NEVER)
