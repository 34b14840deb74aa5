"""Which rows of a source does a deletion remove? Found once, and remembered.

Queries hide these rows from the moment of the request, and upkeep rewrites blocks without them
(design §6). Who has to find them pays with its own time; when that is over, the row groups that are
done stay known, so the next one goes on behind them. Others that need the same wait for it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64
from querier.budget import Budget
from querier.executors.slices import Slices
from querier.operators.base import Demand
from querier.operators.pipeline import metadata_names, needles_of, prepare, run_stages
from querier.operators.reads import reads_line
from querier.reading.deletes import Deletion
from querier.reading.hiding import touched
from querier.reading.same_lines import NO_ROWS
from querier.result import QueryStats
from storage.cache import ByteCache
from storage.scan import Columns, LogSource, ScanRequest

CACHE_BYTES = 32 * 1024 * 1024
"""Remembered rows: 8 million far apart, or blocks of 250 million rows of which many are hidden."""
FOUND_BYTES = 256
"""Memory of what is remembered of a source and a request besides rows."""
WAIT_S = 0.05
"""Between looks at the deadline while another request finds the rows."""

Key = tuple[str, str]
"""Ids of a source and of a delete request."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of the first row groups of a source, held in few bytes."""

    row_groups: int
    complete: bool
    packed: "np.ndarray[tuple[int], np.dtype[np.unsignedinteger]]"  # row numbers, or a bit each

    @staticmethod
    def of(rows: I64, total: int, row_groups: int, *, complete: bool) -> "_Found":
        """Of ascending rows of a source with a total of rows."""
        if len(rows) * 32 < total:
            return _Found(row_groups, complete, rows.astype(np.uint32))
        marks = np.zeros(total, np.bool_)
        marks[rows] = True
        return _Found(row_groups, complete, np.packbits(marks))

    def rows(self) -> I64:
        """Ascending."""
        if self.packed.dtype == np.uint8:
            return np.flatnonzero(np.unpackbits(self.packed))
        return self.packed.astype(np.int64)


class DeletedRows:
    """Rows that deletions remove, by source; thread-safe, bounded in bytes."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._found: ByteCache[_Found] = ByteCache(max_bytes)
        self._turn = threading.Condition()
        self._busy: set[Key] = set()

    def find(
        self,
        source: LogSource,
        deletion: Deletion,
        budget: Budget,
        stats: QueryStats | None = None,
    ) -> I64:
        """Ascending rows of a source, charged to the budget; sources are immutable.

        What had to be read for it counts in the stats, and as bytes that the request reads.
        """
        key = (source.source_id, deletion.request_id)
        known = self._found.get(key)
        if known is None or not known.complete:
            with self._alone(key, budget):
                return self._go_on(key, source, deletion, budget, stats or QueryStats())
        rows = known.rows()
        budget.charge(rows.nbytes)
        return rows

    @contextmanager
    def _alone(self, key: Key, budget: Budget) -> Iterator[None]:
        """Only one thread finds the same rows."""
        with self._turn:
            while key in self._busy:
                self._turn.wait(WAIT_S)
                budget.check()
            self._busy.add(key)
        try:
            yield
        finally:
            with self._turn:
                self._busy.discard(key)
                self._turn.notify_all()

    def _go_on(
        self, key: Key, source: LogSource, deletion: Deletion, budget: Budget, stats: QueryStats
    ) -> I64:
        """Find the rows of the row groups that were not looked at; what is found stays known."""
        known = self._found.get(key)
        parts = [NO_ROWS if known is None else known.rows()]
        budget.charge(parts[0].nbytes)
        done = 0 if known is None else known.row_groups
        complete = known is not None and known.complete
        try:
            for rows in (
                () if complete else rows_by_row_group(source, deletion, budget, stats, done)
            ):
                budget.charge(rows.nbytes)
                parts.append(rows)
                done += 1
            complete = True
        finally:
            rows = np.sort(np.concatenate(parts))
            total = int(source.table.rows.sum())
            found = _Found.of(rows, total, done, complete=complete)
            self._found.put(key, found, found.packed.nbytes + FOUND_BYTES)
        return rows


def rows_by_row_group(
    source: LogSource, deletion: Deletion, budget: Budget, stats: QueryStats, first: int = 0
) -> Iterator[I64]:
    """The rows of each row group from the first; without stages all at once, from timestamps."""
    streams = touched(source.table, deletion)
    demand = Demand(frozenset(), errors=True)
    stages = run_stages(deletion.stages, demand)
    pipeline = prepare(stages, demand)
    names = metadata_names(stages, demand)
    lines = any(map(reads_line, stages))
    request = ScanRequest(
        streams=streams,
        start_ns=deletion.start_ns,
        end_ns=deletion.end_ns,
        columns=Columns(lines=lines, metadata=True if names is None else names),
        needles=needles_of(stages),
        stats=stats.reading,
    )
    if not deletion.stages:
        if not first:
            yield _of_ranges(*source.ranges(request))
        return
    row_groups = source.row_groups(request)[first:]
    budget.read(sum(row_group.line_bytes for row_group in row_groups) if lines else 0)
    for row_group in row_groups:
        budget.check()
        batch = source.read(row_group, request)
        stats.row_groups += 1
        stats.lines_scanned += len(batch)
        stats.bytes_scanned += row_group.line_bytes if lines else 0
        kept = [frame.rows for frame in Slices(pipeline, budget).of(batch)]
        yield np.concatenate(kept) if kept else NO_ROWS


def _of_ranges(low: I64, high: I64) -> I64:
    sizes = high - low
    before = np.cumsum(sizes) - sizes
    rows: I64 = np.arange(int(sizes.sum())) + np.repeat(low - before, sizes)
    return rows
