"""How often is each value there? Counted exactly, of up to millions of values, within an account.

Values come in parts, each with its own counts; parts are put together by hashing whenever they hold
as many values as are known, so that a value is hashed a few times at most.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from narfi.core.columns import I64, Spans, concat_spans
from narfi.core.label_column import LabelColumn, SpansColumn
from querier.budget import Account

FEW = 1 << 16
"""Values that wait in parts before they are put together."""
VALUE_BYTES = 20
"""Of a value beside its text: where it begins, its length, its count."""
FOLD_BYTES = 48
"""Of a value while parts are put together: its place in the table, its code, copies."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Values, and how often each is there (int64)."""

    values: Spans
    counts: I64

    def __len__(self) -> int:
        return len(self.counts)

    def nbytes(self) -> int:
        """Memory of the texts and the arrays."""
        return self.values.nbytes() + len(self) * VALUE_BYTES


def counted(column: LabelColumn) -> Counted:
    """The values of a label that are not empty, each once; rows without one are left out."""
    codes, values = column.codes, column.values
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    used = np.flatnonzero((counts > 0) & (values.length > 0))
    return Counted(values.take(used).packed(), counts[used].astype(np.int64))


class ValueCounts:
    """Counts of values over many parts; one thread at a time."""

    def __init__(self, account: Account | None = None) -> None:
        """`account` is charged for what is held, and for what putting together takes."""
        self._account = account or Account()
        self._parts: list[Counted] = []
        self._known = self._waiting = 0

    def add(self, part: Counted) -> None:
        """Count the values of a part, each of which is there once."""
        if not len(part):
            return
        self._account.charge(part.nbytes())
        self._parts.append(part)
        self._waiting += len(part)
        if self._waiting > max(self._known, FEW):
            self.whole()

    def whole(self) -> Counted:
        """All values, each once."""
        if len(self._parts) > 1:
            self._parts = [self._together()]
        self._waiting = 0
        found = self._parts[0] if self._parts else Counted(Spans.of([]), np.zeros(0, np.int64))
        self._known = len(found)
        return found

    def _together(self) -> Counted:
        parts, before = self._parts, sum(part.nbytes() for part in self._parts)
        with self._account.held(before + sum(map(len, parts)) * FOLD_BYTES):
            column = SpansColumn(concat_spans([part.values for part in parts]))
            weights = np.concatenate([part.counts for part in parts])
            counts = np.zeros(len(column.values), np.int64)
            np.add.at(counts, column.codes, weights)
            found = Counted(column.values.packed(), counts)
            self._account.charge(found.nbytes())
        self._account.release(before)
        return found


def most_frequent(found: Counted, limit: int) -> list[tuple[bytes, int]]:
    """At most `limit` values with their counts, the most frequent first, then by their bytes."""
    limit = min(limit, len(found))
    if limit <= 0:
        return []
    edge = np.partition(found.counts, len(found) - limit)[len(found) - limit]
    rows = np.flatnonzero(found.counts >= edge)
    table = pa.table({"count": found.counts[rows], "value": found.values.take(rows).to_arrow()})
    order = [("count", "descending"), ("value", "ascending")]
    chosen = table.take(pc.select_k_unstable(table, limit, sort_keys=order))
    return list(zip(chosen["value"].to_pylist(), chosen["count"].to_pylist(), strict=True))
