"""Which rows does nobody see any more? Those that a pending delete request will remove.

Each request to the server asks once which deletions are pending, before it lists any source: what
is done meanwhile is gone from the sources, what is not is hidden.
Invariant: `FindRows` alone says which rows a deletion removes, here and when blocks are rewritten.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I64, Mask
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.reading.deletes import Deletion
from querier.reading.same_lines import NO_ROWS
from querier.reading.tenants import TenantSource
from querier.result import QueryStats
from storage.batch import StreamTable
from storage.scan import LogSource

FindRows = Callable[[LogSource, Deletion, Budget, QueryStats], I64]
"""Ascending rows of a source that a deletion removes; charged to the budget, and counted."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What of a source is not seen."""

    streams: Mask  # as a whole, by ordinal
    rows: I64  # ascending; of other streams


class HiddenEntries:
    """What one request to the server does not see."""

    def __init__(
        self,
        deletions: Mapping[TenantId, Sequence[Deletion]],
        find: FindRows,
        budget: Budget,
    ) -> None:
        self._deletions, self._find, self._budget = deletions, find, budget
        self.cost = QueryStats()
        """What it took to find the rows that were not known."""

    def of(self, source: LogSource, streams: Mask, time_range: tuple[int, int]) -> Hidden | None:
        """What of the streams is hidden within `[start, end)` ns (it may tell of more)."""
        if isinstance(source, TenantSource):
            tenant, source = source.tenant, source.stored
        else:
            (tenant,) = self._deletions
        start_ns = max(time_range[0], source.min_ts)
        last_ns = min(time_range[1] - 1, source.max_ts)
        near = [
            deletion
            for deletion in self._deletions.get(tenant, ())
            if deletion.start_ns <= last_ns and deletion.end_ns > start_ns
        ]
        return self._hidden(source, streams, near) if near else None

    def _hidden(
        self, source: LogSource, streams: Mask, deletions: Sequence[Deletion]
    ) -> Hidden | None:
        table = source.table
        whole = np.zeros(len(table), np.bool_)
        parts: list[I64] = []
        for deletion in deletions:
            self._budget.check()
            mine = touched(table, deletion) & streams
            if not deletion.stages:  # streams that lie within its times need no look at their rows
                inside = table.first_ts >= deletion.start_ns
                inside &= table.last_ts < deletion.end_ns
                whole |= mine & inside
            if (mine & ~whole).any():
                rows = self._find(source, deletion, self._budget, self.cost)
                if len(rows):
                    parts.append(rows)
        if not parts:
            return Hidden(whole, NO_ROWS) if whole.any() else None
        rows = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
        return _without_whole(table, whole, rows)


def touched(table: StreamTable, deletion: Deletion) -> Mask:
    """Streams of which the deletion may remove something."""
    found: Mask = table.select(deletion.matchers) & (table.first_ts < deletion.end_ns)
    return found & (table.last_ts >= deletion.start_ns)


def _without_whole(table: StreamTable, whole: Mask, rows: I64) -> Hidden:
    """A stream of which each row is hidden is hidden as a whole."""
    owner = np.searchsorted(table.first_row, rows, side="right") - 1
    whole |= np.bincount(owner, minlength=len(table)) == table.rows
    return Hidden(whole, rows[~whole[owner]])
