"""Which rows do several sources have in common? Looked for in slices of time, all sources at once.

A slice has the rows of those streams that reach into it in two sources or more, and not more of
them than `MOST_ROWS`, as long as its time can be divided: memory is bounded by that, whatever the
sources hold. One sort of (stream, time) finds where rows of several sources collide; lines are
fetched there only (`same_lines.py`). What it takes is charged before. Sources that have nothing to
do with each other, as those of several tenants, are looked at one group after another: in slices of
all of them each row group would be read once for every few of its rows.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from narfi.core.columns import I64, Mask
from querier.budget import Account
from querier.reading.same_lines import NO_ROWS, SourceRows, equal_rows
from storage.scan import Columns, LogSource, ScanRequest
from storage.stream_labels import U64

MOST_ROWS = 1 << 18
"""Rows of a slice, of all sources together."""
ROW_BYTES = 120
"""Memory of each: its numbers, and what sorting them takes."""
REACH_BYTES = 100
"""Memory of a stream of a source while those are found that several sources have."""
FOUND_BYTES = 24
"""Of an equal row, until all are known."""

Pair = tuple[int, int]
"""Places of two sources, the earlier one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reaches:
    """Streams of sources: from when to when each has rows, and how many; sorted by stream."""

    stream: I64  # number of the fingerprint
    first: I64  # ns
    last: I64  # ns, inclusive
    rows: I64
    source: I64  # place among the sources
    ordinal: I64  # in the source's table

    def __len__(self) -> int:
        return len(self.stream)

    def take(self, which: I64 | Mask) -> "_Reaches":
        """Some of them."""
        return _Reaches(
            stream=self.stream[which],
            first=self.first[which],
            last=self.last[which],
            rows=self.rows[which],
            source=self.source[which],
            ordinal=self.ordinal[which],
        )


@dataclass(frozen=True, slots=True)
class _Slice:
    """Times `low <= ts <= high`, and the streams that several sources may have there."""

    low: int
    high: int
    reaches: _Reaches


def common_rows(
    sources: Sequence[LogSource], pairs: Sequence[Pair], account: Account
) -> Iterator[tuple[Pair, I64]]:
    """For each of the pairs the ascending rows of its later source that the earlier one has too.

    A pair is given as soon as it is known, those of a group of sources in order of time: who runs
    out of time may keep what was found. Rows are equal in stream, timestamp, line and metadata. All
    streams of the pairs are compared. Everything is given back at the end. Raises as
    `Budget.charge` and `Budget.check`.
    """
    with account.part() as kept:  # what was found: whoever takes it may hold it until the end
        for group in _groups(pairs):
            with account.part() as mine:
                for pair, rows in _by_time(sources, group, mine):
                    kept.charge(rows.nbytes)
                    yield pair, rows


def _groups(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Pairs that have a source in common, or a pair between them that has one with both."""
    joined: dict[int, int] = {}  # a source of the same group, or itself

    def group_of(place: int) -> int:
        while (above := joined.setdefault(place, place)) != place:
            joined[place] = place = joined[above]
        return place

    for earlier, later in pairs:
        joined[group_of(later)] = group_of(earlier)
    found: dict[int, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(group_of(pair[0]), []).append(pair)
    return list(found.values())


def _by_time(
    sources: Sequence[LogSource], pairs: Sequence[Pair], account: Account
) -> Iterator[tuple[Pair, I64]]:
    """The pairs of a group, each when the slices are behind the end of one of its sources."""
    ends = sorted((min(sources[a].max_ts, sources[b].max_ts), (a, b)) for a, b in pairs)
    waiting, found = deque(ends), {pair: [NO_ROWS] for pair in pairs}
    covering = _covering(pairs, len(sources))
    for one in _slices(_reaches_of(sources, pairs, covering, account), covering):
        while waiting and waiting[0][0] < one.low:
            yield _settled(waiting.popleft()[1], found, account)
        account.check()
        for rows in _read(sources, one, account):
            for pair, more in _equal_by_pair(sources, rows, account):
                if pair in found:
                    account.charge(FOUND_BYTES * len(more))
                    found[pair].append(more)
    for _, pair in waiting:
        yield _settled(pair, found, account)


def _settled(pair: Pair, found: dict[Pair, list[I64]], account: Account) -> tuple[Pair, I64]:
    """A pair of which all rows are known; who takes it charges it anew."""
    rows = np.sort(np.concatenate(found.pop(pair)))
    account.release(FOUND_BYTES * len(rows))
    return pair, rows


def _equal_by_pair(
    sources: Sequence[LogSource], rows: SourceRows, account: Account
) -> Iterator[tuple[Pair, I64]]:
    """Equal rows of a slice, by pair."""
    count = len(sources)
    for earlier, later, row in equal_rows(sources, rows, account):
        order = np.argsort(earlier * count + later, kind="stable")
        pair, row = (earlier * count + later)[order], row[order]
        starts = np.flatnonzero(np.diff(pair, prepend=-1)).tolist()
        for start, end in pairwise([*starts, len(row)]):
            yield divmod(int(pair[start]), count), row[start:end].copy()


def _covering(pairs: Sequence[Pair], count: int) -> Mask:
    """Sources of which each pair has one: what they do not meet need not be read."""
    degree = np.bincount(np.array(pairs, np.int64).ravel(), minlength=count)
    covering = np.zeros(count, np.bool_)
    for one, other in pairs:
        if not (covering[one] or covering[other]):
            covering[one if degree[one] > degree[other] else other] = True
    return covering


def _reaches_of(
    sources: Sequence[LogSource], pairs: Sequence[Pair], covering: Mask, account: Account
) -> _Reaches:
    """Streams of the sources of the pairs, those that a covering one and another have."""
    places = np.unique(np.array(pairs, np.int64))
    tables = [sources[place].table for place in places.tolist()]
    account.charge(REACH_BYTES * sum(map(len, tables)))
    fingerprints: U64 = np.concatenate(
        [table.fingerprints_of(_all(len(table))) for table in tables]
    )
    _, stream, count = np.unique(fingerprints, return_inverse=True, return_counts=True)
    every = _Reaches(
        stream=stream.astype(np.int64),
        first=np.concatenate([table.first_ts for table in tables]),
        last=np.concatenate([table.last_ts for table in tables]),
        rows=np.concatenate([table.rows for table in tables]),
        source=np.repeat(places, [len(table) for table in tables]),
        ordinal=np.concatenate([np.arange(len(table)) for table in tables]),
    )
    is_shared = np.zeros(len(count), np.bool_)
    is_shared[stream[covering[every.source]]] = True
    every = every.take((is_shared & (count > 1))[stream])
    return every.take(np.lexsort((every.first, every.stream)))


def _all(count: int) -> Mask:
    return np.ones(count, np.bool_)


def _slices(reaches: _Reaches, covering: Mask) -> Iterator[_Slice]:
    """Where a stream of a covering source meets one of another; together all such times."""
    low, high, which = _meetings(reaches, covering)
    if not len(low):
        return
    order = np.argsort(low, kind="stable")
    low, high, which = low[order], high[order], which[order]
    reached = np.maximum.accumulate(high)
    begins = np.flatnonzero(np.append(True, low[1:] > reached[:-1]))
    ends = np.append(begins[1:], len(low))
    by_stream = np.append(np.flatnonzero(np.diff(reaches.stream, prepend=-1)), len(reaches))
    dense = np.cumsum(np.diff(reaches.stream, prepend=-1) != 0) - 1  # numbers without gaps
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        met = np.unique(dense[which[begin:end]])
        counts = by_stream[met + 1] - by_stream[met]
        places = np.arange(int(counts.sum())) + np.repeat(
            by_stream[met] - np.cumsum(counts) + counts, counts
        )
        yield from _divided(int(low[begin]), int(reached[end - 1]), reaches.take(places))


def _meetings(reaches: _Reaches, covering: Mask) -> tuple[I64, I64, I64]:
    """(from, to, reach) where a reach meets one of its stream that began before.

    One of a covering source meets all others, another one those of covering sources only.
    """
    times, ranks = np.unique(np.concatenate([reaches.first, reaches.last]), return_inverse=True)
    first, last = ranks[: len(reaches)], ranks[len(reaches) :]
    base = reaches.stream * (len(times) + 1)  # so that a stream does not see the one before
    is_covering = covering[reaches.source]

    def reached(which: Mask) -> I64:
        """How far such reaches of the stream that began before go; below 0: there are none."""
        ends = np.where(which, base + 1 + last, base)
        before = np.maximum.accumulate(np.append(0, ends)[:-1])
        found: I64 = before - base - 1
        return found

    before = np.where(is_covering, reached(_all(len(reaches))), reached(is_covering))
    meets = np.flatnonzero(before >= first)
    to = np.minimum(before[meets], last[meets])
    return reaches.first[meets], times[to], meets


def _divided(low: int, high: int, reaches: _Reaches) -> Iterator[_Slice]:
    """Slices with about `MOST_ROWS` rows at most, as if rows were spread evenly."""
    inside = reaches.take((reaches.first <= high) & (reaches.last >= low))
    alone = np.ones(len(inside), np.bool_)
    alone[1:] = inside.stream[1:] != inside.stream[:-1]
    alone[:-1] &= alone[1:]
    inside = inside.take(~alone)
    if not len(inside):
        return
    if high > low:
        first, last = inside.first.astype(np.float64), inside.last.astype(np.float64)
        shared = np.minimum(last, high) - np.maximum(first, low) + 1.0
        if float((inside.rows * shared / (last - first + 1.0)).sum()) > MOST_ROWS:
            yield from _halves(low, high, inside)
            return
    yield _Slice(low, high, inside)


def _halves(low: int, high: int, reaches: _Reaches) -> Iterator[_Slice]:
    middle = low + (high - low) // 2
    yield from _divided(low, middle, reaches)
    yield from _divided(middle + 1, high, reaches)


def _read(sources: Sequence[LogSource], one: _Slice, account: Account) -> Iterator[SourceRows]:
    """The rows of a slice; in parts of its time, when there are more than was thought."""
    parts: list[SourceRows] = []
    with account.part() as mine:
        for part in _rows_of_all(sources, one, mine):
            parts.append(part)
            if sum(map(len, parts)) > 2 * MOST_ROWS and one.high > one.low:
                parts.clear()
                break
        else:
            if parts:
                yield _joined(parts)
            return
    for half in _halves(one.low, one.high, one.reaches):
        yield from _read(sources, half, account)


def _rows_of_all(
    sources: Sequence[LogSource], one: _Slice, account: Account
) -> Iterator[SourceRows]:
    """Rows of the slice, by source and row group."""
    for place in np.unique(one.reaches.source).tolist():
        mine = one.reaches.take(one.reaches.source == place)
        yield from _rows_of(sources[place], place, mine, one, account)


def _rows_of(
    source: LogSource, place: int, mine: _Reaches, one: _Slice, account: Account
) -> Iterator[SourceRows]:
    """Rows of a source in the slice."""
    numbers = np.full(len(source.table), -1, np.int64)
    numbers[mine.ordinal] = mine.stream
    request = ScanRequest(
        streams=numbers >= 0,
        start_ns=one.low,
        end_ns=one.high + 1,
        columns=Columns(lines=False, metadata=False),
    )
    for row_group in source.row_groups(request):
        account.charge(ROW_BYTES * row_group.rows)
        batch = source.read(row_group, request)
        account.release(ROW_BYTES * (row_group.rows - len(batch)))
        yield SourceRows(
            stream=numbers[batch.stream],
            ts=batch.ts,
            source=np.full(len(batch), place, np.int64),
            row=batch.rows,
            ordinal=batch.stream.astype(np.int64),
        )


def _joined(parts: Sequence[SourceRows]) -> SourceRows:
    return SourceRows(
        stream=np.concatenate([part.stream for part in parts]),
        ts=np.concatenate([part.ts for part in parts]),
        source=np.concatenate([part.source for part in parts]),
        row=np.concatenate([part.row for part in parts]),
        ordinal=np.concatenate([part.ordinal for part in parts]),
    )
