"""How much does a selector cover? Exact sums over streams, entries and line bytes (§4.4)."""

from dataclasses import dataclass

import numpy as np

from querier.budget import Budget
from querier.reading.view import SourceView, View
from storage.scan import Columns, ScanRequest
from storage.stream_labels import U64

LINES = Columns(metadata=False)


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Sums over the streams of a selector; `chunks` are the sources that hold some of it."""

    streams: int
    chunks: int
    bytes: int
    entries: int


def index_stats(view: View, time_range: tuple[int, int], budget: Budget) -> IndexStats:
    """The sums over a view within `[start, end)` ns; what is there twice counts once."""
    streams: list[U64] = []
    chunks = size = entries = 0
    for source in view.sources:
        budget.check()
        rows, line_bytes = _sums(source, time_range, budget)
        if not rows:
            continue
        chunks += 1
        entries += rows
        size += line_bytes
        streams.append(source.source.table.fingerprints(np.flatnonzero(source.streams)))
    found = len(np.unique(np.concatenate(streams))) if streams else 0
    return IndexStats(found, chunks, size, entries)


def _sums(view: SourceView, time_range: tuple[int, int], budget: Budget) -> tuple[int, int]:
    """(entries, line bytes) of the selected streams of a source."""
    start_ns, end_ns = time_range
    table, chosen = view.source.table, view.streams
    inside = (table.first_ts >= start_ns) & (table.last_ts < end_ns)
    if inside[chosen].all():
        rows, size = int(table.rows[chosen].sum()), int(table.line_bytes[chosen].sum())
        twice = view.excluded_of(chosen)
        if len(twice):
            lines = view.source.fetch(twice, LINES).lines
            assert lines is not None
            rows, size = rows - len(twice), size - lines.nbytes()
        return rows, size
    rows = size = 0
    request = ScanRequest(streams=chosen, start_ns=start_ns, end_ns=end_ns, columns=LINES)
    for segment in view.source.segments(request):
        budget.check()
        batch = view.kept(view.source.read(segment, request))
        assert batch.lines is not None
        rows, size = rows + len(batch), size + batch.lines.nbytes()
    return rows, size
