"""Which rows of one stream and time are equal? Their lines and metadata are looked at.

They are fetched in parts of about `MOST_LINES` rows and `MOST_BYTES`: by what a line of the stream
has on average first, and a part that turns out to have more is divided. Only rows of one stream and
one time stay together, whatever they hold. All of it is charged before it is taken, as often as it
is there at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I64, Mask, concat_spans
from narfi.core.label_column import SpansColumn
from narfi.core.labels import Labels
from querier.budget import Account
from storage.batch import LogBatch
from storage.metadata import concat_metadata
from storage.scan import Columns, LogSource

MOST_LINES = 1 << 15
"""Rows whose lines are in memory at once."""
MOST_BYTES = 1 << 25
"""Of lines and metadata that are fetched at once."""
COPIES = 3
"""Of them: as they were fetched, joined, and told apart."""
PAIR_BYTES = 100
"""Memory of a pair of equal rows while it is looked at."""
NO_ROWS: I64 = np.zeros(0, np.int64)

Found = tuple[I64, I64, I64]
"""Equal rows: (earlier source, later source, row of the later one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRows:
    """Rows of any sources."""

    stream: I64  # number of the fingerprint
    ts: I64
    source: I64  # place among the sources
    row: I64
    ordinal: I64  # of the stream, in the source's table

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, which: I64 | Mask | slice) -> "SourceRows":
        """Some of them."""
        return SourceRows(
            stream=self.stream[which],
            ts=self.ts[which],
            source=self.source[which],
            row=self.row[which],
            ordinal=self.ordinal[which],
        )

    def starts(self) -> I64:
        """Where another stream or time begins; sorted by them."""
        new = (self.stream[1:] != self.stream[:-1]) | (self.ts[1:] != self.ts[:-1])
        return np.flatnonzero(np.append(np.ones(min(1, len(self)), np.bool_), new))


class _TooWideError(Exception):
    """The lines of a part are more bytes than may be in memory at once."""


class _Taken:
    """What a part takes; the bytes that it fetches are bounded where it can be divided."""

    def __init__(self, account: Account, most: int | None) -> None:
        self._account, self._most, self._size = account, most, 0

    def lines(self, size: int) -> None:
        """Charge lines and metadata; raises `_TooWideError`."""
        self._size += size
        if self._most is not None and self._size > self._most:
            raise _TooWideError
        self._account.charge(COPIES * size)

    def pairs(self, count: int) -> None:
        """Charge equal rows."""
        self._account.charge(PAIR_BYTES * count)


def equal_rows(sources: Sequence[LogSource], rows: SourceRows, account: Account) -> Iterator[Found]:
    """All equal rows of several sources among the rows, which are in any order."""
    labels = _Labels(sources)
    for part in _parts(sources, _colliding(rows)):
        yield from _compared(sources, part, labels, account)


def _colliding(rows: SourceRows) -> SourceRows:
    """Those of one stream and time in several sources, sorted by them."""
    rows = rows.take(_by_stream_and_time(rows))
    starts = rows.starts()
    if not len(starts):
        return rows
    several = np.minimum.reduceat(rows.source, starts) != np.maximum.reduceat(rows.source, starts)
    return rows.take(np.repeat(several, np.diff(np.append(starts, len(rows)))))


def _by_stream_and_time(rows: SourceRows) -> I64:
    """The order of rows by both; sources give runs in that order, which one number finds."""
    if not len(rows):
        return NO_ROWS
    low = int(rows.ts.min())
    span = int(rows.ts.max()) - low + 1
    if (int(rows.stream.max()) + 1) * span >= 1 << 63:
        return np.lexsort((rows.ts, rows.stream))
    return np.argsort(rows.stream * span + (rows.ts - low), kind="stable")  # merges runs


def _parts(sources: Sequence[LogSource], rows: SourceRows) -> Iterator[SourceRows]:
    """Parts of rows, of which none is cut within a stream and time."""
    if not len(rows):
        return
    starts = rows.starts()
    share = 1 / MOST_LINES + _usual_bytes(sources, rows) / MOST_BYTES
    filled = np.cumsum(np.add.reduceat(share, starts)).astype(np.int64)
    cuts = starts[1:][filled[1:] > filled[:-1]].tolist()
    for first, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        yield rows.take(slice(first, end))


def _usual_bytes(sources: Sequence[LogSource], rows: SourceRows) -> NDArray[np.float64]:
    """Of the lines, were all lines of a stream of the same size."""
    found = np.zeros(len(rows), np.float64)
    for place in np.unique(rows.source).tolist():
        table, mine = sources[place].table, rows.source == place
        found[mine] = (table.line_bytes / np.maximum(table.rows, 1))[rows.ordinal[mine]]
    return found


def _compared(
    sources: Sequence[LogSource], part: SourceRows, labels: "_Labels", account: Account
) -> Iterator[Found]:
    """The equal rows of a part, or of its halves where its lines are too many bytes."""
    account.check()
    starts = part.starts()
    most = MOST_BYTES if len(starts) > 1 else None
    try:
        with account.part() as mine:
            found = _equal(sources, part, labels, _Taken(mine, most))
    except _TooWideError:
        middle = int(starts[len(starts) // 2])
        yield from _compared(sources, part.take(slice(0, middle)), labels, account)
        yield from _compared(sources, part.take(slice(middle, len(part))), labels, account)
    else:
        yield found


def _equal(
    sources: Sequence[LogSource],
    rows: SourceRows,
    labels: "_Labels",
    taken: _Taken,
) -> Found:
    rows = rows.take(np.lexsort((rows.row, rows.source)))
    batches: list[LogBatch] = []
    for place in np.unique(rows.source).tolist():
        mine = rows.row[rows.source == place]
        batches.append(sources[place].fetch(mine, Columns(), charge=taken.lines))
    spans, metadata = [], []
    for batch in batches:
        assert batch.lines is not None
        assert batch.metadata is not None
        spans.append(batch.lines.spans())
        metadata.append((batch.metadata, len(batch)))
    keys = [
        rows.stream,
        rows.ts,
        SpansColumn(concat_spans(spans)).codes.astype(np.int64),
        *concat_metadata(metadata).row_codes(),
    ]
    order = np.lexsort((rows.source, *keys))
    rows, table = rows.take(order), np.stack(keys)[:, order]
    same = (table[:, 1:] == table[:, :-1]).all(axis=0)
    group = np.cumsum(np.append(0, ~same))
    sizes = np.bincount(group)
    taken.pairs(int((sizes * (sizes - 1) // 2).sum()))
    return _pairs_of(rows, group, labels)


class _Labels:
    """Labels of streams, looked up where fingerprints are equal: those may be so by chance."""

    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._sources = sources
        self._found: dict[tuple[int, int], Labels] = {}

    def of(self, source: int, ordinal: int) -> Labels:
        """Of one stream."""
        key = source, ordinal
        if key not in self._found:
            self._found[key] = self._sources[source].table.labels[ordinal]
        return self._found[key]


def _pairs_of(rows: SourceRows, group: I64, labels: _Labels) -> Found:
    """Any two rows of a group, which are of two sources, if their streams are the same."""
    earlier, later = [NO_ROWS], [NO_ROWS]
    at, ahead = np.arange(len(group)), 1
    while len(at):
        at = at[at + ahead < len(group)]
        at = at[group[at] == group[at + ahead]]
        earlier.append(at)
        later.append(at + ahead)
        ahead += 1
    one, other = np.concatenate(earlier), np.concatenate(later)
    streams = np.stack(
        [rows.source[one], rows.ordinal[one], rows.source[other], rows.ordinal[other]]
    )
    distinct, inverse = np.unique(streams, axis=1, return_inverse=True)
    same = np.array(
        [labels.of(a, x) == labels.of(b, y) for a, x, b, y in distinct.T.tolist()], np.bool_
    )[inverse.ravel()]
    one, other = one[same], other[same]
    return rows.source[one], rows.source[other], rows.row[other]
