"""How is a run in memory read? As a block is, so that queries cannot tell the difference."""

from collections.abc import Callable, Sequence

import numpy as np

from narfi.core.columns import I32, I64, Mask
from narfi.core.kernels.sorting import first_behind
from storage.batch import LogBatch, StreamTable
from storage.metadata import Metadata
from storage.scan import Columns, ReadStats, RowGroup, ScanRequest

SEGMENT_ROWS = 1 << 16


class MemorySource:
    """A `LogSource` over a merged batch (sorted, duplicate-free, rows numbered from 0)."""

    def __init__(self, batch: LogBatch, source_id: str, cut_id: str) -> None:
        self._batch, self._source_id, self._cut_id = batch, source_id, cut_id
        self._min_ts = int(batch.table.first_ts.min()) if len(batch) else 0
        self._max_ts = int(batch.table.last_ts.max()) if len(batch) else 0

    @property
    def source_id(self) -> str:
        """Unique while the source lives."""
        return self._source_id

    @property
    def cut_id(self) -> str:
        """The head part that it belongs to."""
        return self._cut_id

    @property
    def table(self) -> StreamTable:
        """Its streams."""
        return self._batch.table

    @property
    def min_ts(self) -> int:
        """The oldest timestamp in ns."""
        return self._min_ts

    @property
    def max_ts(self) -> int:
        """The newest timestamp in ns."""
        return self._max_ts

    @property
    def batch(self) -> LogBatch:
        """All rows."""
        return self._batch

    def times(self) -> I64:
        """The timestamps of all rows."""
        return self._batch.ts

    def line_sums(self, *, load: bool) -> I64 | None:
        """The bytes of all lines in front of each row."""
        assert self._batch.lines is not None
        return sums_of(self._batch.lines.lengths())

    def row_groups(self, request: ScanRequest) -> Sequence[RowGroup]:
        """Runs of about `SEGMENT_ROWS` rows with something to read in them."""
        _, low, high = selected_ranges(self.table, self._batch.ts, request)
        found = []
        step = SEGMENT_ROWS
        if request.columns.metadata is True and self._batch.metadata is not None:
            step = min(step, self._batch.metadata.rows_at_once())
        for index, first in enumerate(range(0, len(self._batch), step)):
            end = min(first + step, len(self._batch))
            inside = (np.minimum(high, end) - np.maximum(low, first)) > 0
            if inside.any():
                found.append(self._row_group(index, first, end, low[inside], high[inside]))
            else:
                request.stats.row_groups_pruned += 1
        return found

    def _row_group(self, index: int, first: int, end: int, low: I64, high: I64) -> RowGroup:
        ts = self._batch.ts
        assert self._batch.lines is not None
        lengths = self._batch.lines.lengths()[first:end]
        return RowGroup(
            index=index,
            first_row=first,
            rows=end - first,
            min_ts=int(ts[np.maximum(low, first)].min()),
            max_ts=int(ts[np.minimum(high, end) - 1].max()),
            line_bytes=int(lengths.sum(dtype=np.int64)),
        )

    def ranges(self, request: ScanRequest) -> tuple[I64, I64]:
        """Rows of the selected streams within the time range."""
        _, low, high = selected_ranges(self.table, self._batch.ts, request)
        return low, high

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """The selected rows of a row group."""
        first, end = row_group.first_row, row_group.first_row + row_group.rows
        stream, ts = self._batch.stream[first:end], self._batch.ts[first:end]
        keep: Mask = request.streams[stream]
        keep &= (ts >= request.start_ns) & (ts < request.end_ns)
        return self.fetch(np.flatnonzero(keep) + first, request.columns)

    def fetch(
        self,
        rows: I64,
        columns: Columns,
        stats: ReadStats | None = None,
        charge: Callable[[int], None] | None = None,
    ) -> LogBatch:
        """The given rows with the wanted columns; costs nothing that is counted in `stats`."""
        batch, metadata = self._batch, None
        if columns.metadata and batch.metadata is not None:
            chosen = batch.metadata
            if not isinstance(columns.metadata, bool):
                chosen = chosen.select(columns.metadata)
            metadata = chosen.take(rows)
        lines = batch.lines.take(rows) if columns.lines and batch.lines is not None else None
        if charge is not None:
            charge((0 if lines is None else lines.nbytes()) + (metadata or Metadata()).nbytes())
        return LogBatch(
            table=batch.table,
            stream=batch.stream[rows],
            ts=batch.ts[rows],
            rows=rows,
            lines=lines,
            metadata=metadata or Metadata(),
        )

    def metadata_names(self) -> frozenset[str]:
        """Names of structured metadata that occur."""
        return self._batch.metadata.names() if self._batch.metadata else frozenset()


def sums_of(lengths: I32) -> I64:
    """Of the lengths in front of each place, and of all."""
    sums = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=sums[1:])
    return sums


def selected_ranges(table: StreamTable, ts: I64, request: ScanRequest) -> tuple[I32, I64, I64]:
    """(ordinal, `[low, high)` rows) of the selected streams within the time range (bisected)."""
    chosen = np.flatnonzero(request.streams)
    low = table.first_row[chosen]
    high = low + table.rows[chosen]
    oldest, newest = table.reach
    if oldest < request.start_ns or newest >= request.end_ns:
        first, last = table.first_ts[chosen], table.last_ts[chosen]
        inside = (last >= request.start_ns) & (first < request.end_ns)
        chosen, low, high = chosen[inside], low[inside], high[inside]
        cut_low = np.flatnonzero(first[inside] < request.start_ns)
        cut_high = np.flatnonzero(last[inside] >= request.end_ns)
        low[cut_low] = _bisected(ts, low[cut_low], high[cut_low], request.start_ns)
        high[cut_high] = _bisected(ts, low[cut_high], high[cut_high], request.end_ns)
    return chosen.astype(np.int32), low, high


def _bisected(ts: I64, low: I64, high: I64, edge: int) -> I64:
    """In each run of ascending times the first row at or behind the edge."""
    out = np.empty(len(low), np.int64)
    if len(low):
        first_behind(ts, low, high, edge, out)
    return out
