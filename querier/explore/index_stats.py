"""How much does a selector cover? Exact sums over streams, entries and line bytes (§4.4)."""

from dataclasses import dataclass

import numpy as np

from narfi.core.columns import Mask
from querier.budget import Account, Budget
from querier.explore.kept_sizes import LINES, ExcludedSizes, kept_sizes
from querier.reading.view import SourceView, View
from storage.scan import ScanRequest
from storage.stream_labels import U64


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Sums over the streams of a selector; `chunks` are the sources that hold some of it."""

    streams: int
    chunks: int
    bytes: int
    entries: int


def index_stats(
    view: View,
    time_range: tuple[int, int],
    budget: Budget,
    known: ExcludedSizes | None = None,
) -> IndexStats:
    """The sums over a view within `[start, end)` ns; what is there twice counts once."""
    known = known or ExcludedSizes(0)
    streams: list[U64] = []
    chunks = size = entries = 0
    for source in view.sources:
        budget.check()
        with budget.account() as account:
            there, rows, line_bytes = _sums(source, time_range, account, known)
        if not rows:
            continue
        chunks += 1
        entries += rows
        size += line_bytes
        streams.append(source.source.table.fingerprints(np.flatnonzero(there)))
    found = len(np.unique(np.concatenate(streams))) if streams else 0
    return IndexStats(found, chunks, size, entries)


def _sums(
    view: SourceView, time_range: tuple[int, int], account: Account, known: ExcludedSizes
) -> tuple[Mask, int, int]:
    """(streams, entries, line bytes) of the selected streams of a source."""
    start_ns, end_ns = time_range
    table, chosen = view.source.table, view.streams
    inside = (table.first_ts >= start_ns) & (table.last_ts < end_ns)
    if inside[chosen].all():
        kept_rows, kept_bytes = kept_sizes(view, chosen, account, known)
        return chosen & (kept_rows > 0), int(kept_rows[chosen].sum()), int(kept_bytes[chosen].sum())
    rows = size = 0
    request = ScanRequest(streams=chosen, start_ns=start_ns, end_ns=end_ns, columns=LINES)
    for row_group in view.source.row_groups(request):
        account.check()
        batch = view.kept(view.source.read(row_group, request))
        assert batch.lines is not None
        rows, size = rows + len(batch), size + batch.lines.nbytes()
    return chosen, rows, size
