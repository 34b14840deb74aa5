"""Which rows of a view are there twice? Found per pair of sources that meet, and remembered.

Two sources meet where a selected stream of both overlaps in time; who meets whom is found by a
sweep, so the cost grows with what overlaps, not with the number of pairs. What pairs have in common
that are not remembered is looked for once, and remembered pair by pair (`same_rows.py`): a question
that runs out of time leaves the next one less to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Mask
from querier.budget import Account
from querier.reading.same_lines import NO_ROWS
from querier.reading.same_rows import Pair, common_rows
from storage.cache import ByteCache
from storage.scan import LogSource
from storage.stream_labels import U64

CACHE_BYTES = 16 * 1024 * 1024
"""Remembered pairs; about 60,000 when, as usual, nothing is there twice."""
PAIR_BYTES = 256
"""Memory of a remembered pair without rows: two ids and the places in the cache."""
REACH_BYTES = 176
"""Of a stream that reaches to another source, while pairs are looked for: what stands of it in the
arrays that are gathered, joined and put in order, and where the walk over them stands."""
MET_BYTES = 240
"""Of a pair that was met: its number in a set, and its two places in a list."""


class DuplicateIndex:
    """Rows of a later source that an earlier one has too; thread-safe, bounded in bytes."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._found: ByteCache[I64] = ByteCache(max_bytes)

    def rows(
        self, sources: Sequence[LogSource], pairs: Sequence[Pair], account: Account
    ) -> dict[Pair, I64]:
        """Of each pair of places, earlier and later, the ascending rows of the later source.

        Sources are immutable, so an answer stays. Raises as `common_rows`.
        """
        names = [source.source_id for source in sources]
        found: dict[Pair, I64] = {}
        unknown: list[Pair] = []
        for pair in pairs:
            rows = self._found.get((names[pair[0]], names[pair[1]]))
            if rows is None:
                unknown.append(pair)
            else:
                found[pair] = rows
        for pair, rows in common_rows(sources, unknown, account):
            found[pair] = rows
            names_of_pair = names[pair[0]], names[pair[1]]
            self._found.put(names_of_pair, rows, rows.nbytes + PAIR_BYTES)
        return found


@dataclass(frozen=True, slots=True)
class Chosen:
    """A source and those of its streams that are asked for."""

    source: LogSource
    streams: Mask


@dataclass(frozen=True, slots=True)
class _Reaches:
    """Streams of sources that reach to where another source has entries."""

    stream: U64
    first: I64
    last: I64
    source: I64  # place among the sources


def excluded_rows(chosen: Sequence[Chosen], index: DuplicateIndex, account: Account) -> list[I64]:
    """For each source, in order of arrival, the ascending rows that an earlier one has already.

    They stay charged. Raises as `common_rows`, `Budget.charge` and `Budget.check`.
    """
    found: list[list[I64]] = [[] for _ in chosen]
    looking = account.part()
    try:
        pairs = meeting_pairs(chosen, looking)
        if pairs:
            sources = [one.source for one in chosen]
            for (_, later), rows in index.rows(sources, pairs, account).items():
                if len(rows):
                    account.charge(rows.nbytes)
                    found[later].append(rows)
    finally:
        looking.release(looking.used)
    return [np.unique(np.concatenate(rows)) if rows else NO_ROWS for rows in found]


def meeting_pairs(chosen: Sequence[Chosen], account: Account) -> list[Pair]:
    """Places (earlier, later) of the sources in which a chosen stream overlaps in time, sorted.

    Streams that reach to other sources and pairs are charged and stay so.
    """
    reaches = _reaches(chosen, account)
    if reaches is None:
        return []
    order = np.lexsort((reaches.first, reaches.stream))
    stream, first = reaches.stream[order], reaches.first[order]
    last, source = reaches.last[order], reaches.source[order]
    pairs: set[int] = set()
    at, ahead = np.arange(len(order)), 1
    while len(at):  # streams that meet the one `ahead` places on may meet the next one as well
        account.check()
        at = at[at + ahead < len(order)]
        other = at + ahead
        meets = (stream[at] == stream[other]) & (first[other] <= last[at])
        at, other = at[meets], other[meets]
        low, high = np.minimum(source[at], source[other]), np.maximum(source[at], source[other])
        met = np.unique(low * len(chosen) + high)
        held = len(pairs)
        account.charge(len(met) * MET_BYTES)
        pairs.update(met.tolist())
        account.release((held + len(met) - len(pairs)) * MET_BYTES)  # known before
        ahead += 1
    return [divmod(pair, len(chosen)) for pair in sorted(pairs)]


def _reaches(chosen: Sequence[Chosen], account: Account) -> _Reaches | None:
    """What reaches to another source, by a sweep over the times of the sources; it is charged."""
    if len(chosen) < 2:
        return None
    lows = np.array([one.source.min_ts for one in chosen], np.int64)
    highs = np.array([one.source.max_ts for one in chosen], np.int64)
    order = np.argsort(lows, kind="stable")
    before = np.maximum.accumulate(highs[order])[:-1]  # how far the sources before each reach
    after = lows[order[1:]]  # where the sources behind each begin
    near = np.zeros(len(order), np.bool_)
    near[1:] |= before >= after
    near[:-1] |= highs[order[:-1]] >= after
    parts = []
    for place in np.flatnonzero(near).tolist():
        number = int(order[place])
        table, streams = chosen[number].source.table, chosen[number].streams
        reach = np.zeros(len(table), np.bool_)
        if place:
            reach |= table.first_ts <= before[place - 1]
        if place < len(after):
            reach |= table.last_ts >= after[place]
        reach &= streams
        account.charge(int(np.count_nonzero(reach)) * REACH_BYTES)
        mine = np.flatnonzero(reach)
        if len(mine):
            parts.append((number, mine))
    if len(parts) < 2:
        return None
    tables = [(chosen[number].source.table, number, mine) for number, mine in parts]
    return _Reaches(
        np.concatenate([table.fingerprints(mine) for table, _, mine in tables]),
        np.concatenate([table.first_ts[mine] for table, _, mine in tables]),
        np.concatenate([table.last_ts[mine] for table, _, mine in tables]),
        np.concatenate([np.full(len(mine), number) for _, number, mine in tables]),
    )
