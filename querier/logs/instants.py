"""Which entries have the stream and time of an entry, in which order? For pages and contexts.

Entries of one stream and instant have the order of their arrival: that of the sources of a view,
and of the rows in each. An entry's order is how many of them are before it, whatever a query
filters.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from narfi.core.columns import I64, Mask
from querier.logs.candidates import Candidates, joined, no_candidates
from querier.logs.cursor import MOST_GIVEN, Cursor, digest
from querier.query import Direction
from querier.reading.view import SourceView, View
from storage.scan import Columns, ScanRequest

NOTHING = Columns(lines=False, metadata=False)


def at_instant(view: View, ts_ns: int) -> Candidates:
    """All rows of the view of one time, in the order of an answer that goes forward."""
    parts = [no_candidates()]
    for source in view.sources:
        mask, low, high = _ranges_at(source, ts_ns)
        if mask is None:
            continue
        sizes = high - low
        rows = np.arange(int(sizes.sum())) + np.repeat(low - (np.cumsum(sizes) - sizes), sizes)
        streams = np.repeat(source.source.table.fingerprints(np.flatnonzero(mask)), sizes)
        kept = ~np.isin(rows, source.excluded)
        rows, streams = rows[kept], streams[kept]
        here = np.full(len(rows), source.order, np.int32)
        parts.append(Candidates(np.full(len(rows), ts_ns), streams, here, rows))
    found = joined(parts)
    return found.take(np.lexsort((found.row, found.source, found.stream)))


def of_stream(view: View, fingerprint: int) -> View:
    """The view of one stream alone."""
    sources: list[SourceView] = []
    for source in view.sources:
        table, streams = source.source.table, source.streams.copy()
        mine = np.flatnonzero(streams)
        streams[mine] = table.fingerprints(mine) == np.uint64(fingerprint)
        if streams.any():
            left_out = np.union1d(source.left_out, np.flatnonzero(source.streams & ~streams))
            sources.append(replace(source, streams=streams, left_out=left_out))
    return replace(view, sources=tuple(sources))


def behind(view: View, cursor: Cursor) -> View:
    """The view without what was given at the time of the cursor; earlier times are its caller's."""
    there = at_instant(view, cursor.ts_ns)
    stream = np.uint64(cursor.stream)
    forward = cursor.direction is Direction.FORWARD
    before = there.stream < stream if forward else there.stream > stream
    mine = np.flatnonzero(there.stream == stream)
    gone = np.concatenate([np.flatnonzero(before), mine[_given(view, there.take(mine), cursor)]])
    left = there.take(gone)
    return replace(view, sources=tuple(_without(source, left) for source in view.sources))


def cursor_behind(
    view: View, last: Candidates, given: Candidates, before: Cursor | None, direction: Direction
) -> Cursor:
    """A cursor behind the one entry `last`.

    `given`: entries of an answer of the view up to it; `before`: the cursor that it began with.
    """
    ts_ns, stream = int(last.ts[0]), last.stream[0]
    order = int(orders(view, last)[0])
    same = given.take(np.flatnonzero((given.ts == ts_ns) & (given.stream == stream)))
    digests: frozenset[bytes] = frozenset()
    began_here = before is not None and (before.ts_ns, before.stream) == (ts_ns, int(stream))
    if before is not None and began_here:
        digests = before.given
    counted = began_here and not digests
    if counted or len(same) + len(digests) > MOST_GIVEN:
        digests = frozenset()
    else:
        digests |= frozenset(_digests(view, same).values())
    return Cursor(direction=direction, ts_ns=ts_ns, stream=int(stream), order=order, given=digests)


def orders(view: View, rows: Candidates) -> I64:
    """Of each row how many of its stream and time are before it in the view.

    Rows of a source whose neighbour has another time, and whose stream no other source reaches
    there, cost a comparison.
    """
    found = np.zeros(len(rows), np.int64)
    if not len(rows):
        return found
    for source in view.sources:
        later = np.flatnonzero(rows.source >= source.order)
        if len(later):
            found[later] += _equals_before(source, rows.take(later))
    return found


def _equals_before(source: SourceView, rows: Candidates) -> I64:
    """Of each row how many equals in stream and time a source has in front of it."""
    table, counts = source.source.table, np.zeros(len(rows), np.int64)
    low, high = int(rows.ts.min()), int(rows.ts.max())
    if source.source.min_ts > high or source.source.max_ts < low:
        return counts
    reach = np.flatnonzero(source.streams & (table.first_ts <= high) & (table.last_ts >= low))
    known = table.fingerprints(reach)
    by_stream = np.argsort(known, kind="stable")
    place = np.searchsorted(known[by_stream], rows.stream)
    times = source.source.times()
    there = np.flatnonzero(place < len(known))
    there = there[known[by_stream[place[there]]] == rows.stream[there]]
    for ordinal, mine in _grouped(reach[by_stream[place[there]]], there):
        first = int(table.first_row[ordinal])
        own = times[first : first + int(table.rows[ordinal])]
        begin = first + np.searchsorted(own, rows.ts[mine])
        end = first + np.searchsorted(own, rows.ts[mine], side="right")
        here = rows.source[mine] == source.order
        end = np.where(here, np.minimum(end, rows.row[mine]), end)
        hidden = np.searchsorted(source.excluded, end) - np.searchsorted(source.excluded, begin)
        counts[mine] = np.maximum(end - begin - np.maximum(hidden, 0), 0)
    return counts


def _grouped(ordinals: I64, rows: I64) -> Iterator[tuple[int, I64]]:
    order = np.argsort(ordinals, kind="stable")
    ordered = ordinals[order]
    cuts = np.flatnonzero(np.diff(ordered)) + 1
    for mine in np.split(order, cuts) if len(order) else ():
        yield int(ordinals[mine[0]]), rows[mine]


def _ranges_at(source: SourceView, ts_ns: int) -> tuple[Mask | None, I64, I64]:
    """(streams of the view that reach the time, first row of each there, the end)."""
    table, none = source.source.table, np.zeros(0, np.int64)
    mask = source.streams & (table.first_ts <= ts_ns) & (table.last_ts >= ts_ns)
    if not mask.any():
        return None, none, none
    request = ScanRequest(streams=mask, start_ns=ts_ns, end_ns=ts_ns + 1, columns=NOTHING)
    low, high = source.source.ranges(request)
    return mask, low, high


def _given(view: View, mine: Candidates, cursor: Cursor) -> Mask:
    """Which of the entries of the cursor's stream and instant were given."""
    if not cursor.given:
        number = np.arange(len(mine))
        forward = cursor.direction is Direction.FORWARD
        return number <= cursor.order if forward else number >= cursor.order
    found = _digests(view, mine)
    return np.array([found[place] in cursor.given for place in range(len(mine))], np.bool_)


def _digests(view: View, rows: Candidates) -> dict[int, bytes]:
    """By place, of entries as they are stored; of few entries."""
    found: dict[int, bytes] = {}
    for source in view.sources:
        mine = np.flatnonzero(rows.source == source.order)
        if not len(mine):
            continue
        mine = mine[np.argsort(rows.row[mine])]
        batch = source.source.fetch(rows.row[mine], Columns())
        assert batch.lines is not None
        assert batch.metadata is not None
        columns = batch.metadata.every_column()
        values = {name: column.spans.to_list() for name, column in columns.items()}
        lines = batch.lines.spans().to_list()
        for number, place in enumerate(mine.tolist()):
            pairs = {name: texts[number] for name, texts in values.items()}
            found[place] = digest(lines[number] or b"", pairs)
    return found


def _without(source: SourceView, rows: Candidates) -> SourceView:
    mine = rows.row[rows.source == source.order]
    return replace(source, excluded=np.union1d(source.excluded, mine)) if len(mine) else source
