"""How often is each value there? Counted exactly, of up to millions of values, within an account.

Values come in parts, each with its own counts; parts are put together by hashing whenever they hold
as many values as are known, so that a value is hashed a few times at most. Of values that hardly
ever repeat a part has every occurrence, which saves hashing them twice.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from narfi.core.columns import I64, Spans, concat_spans
from narfi.core.kernels.gather import count_codes
from narfi.core.label_column import LabelColumn, SpansColumn
from querier.budget import Account
from querier.operators.frame import Frame
from storage.batch import StreamTable

SMALL_COUNT = 1 << 12
"""Counts below it are counted themselves."""
FEW = 1 << 20
"""Values that wait in parts before they are put together."""
LOOKED_AT = 1 << 12
"""Values of a batch by which it is guessed whether they repeat."""
RARELY = 4
"""As many times more values than rows of a batch: then they hardly repeat in it."""
VALUE_BYTES = 20
"""Of a value beside its text: where it begins, its length, its count."""
FOLD_BYTES = 48
"""Of a value while parts are put together: its place in the table, its code, copies."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Values, and how often each is there (int64); a value may come several times.

    `once`: each comes only once.
    """

    values: Spans
    counts: I64
    once: bool = True

    def __len__(self) -> int:
        return len(self.counts)

    def nbytes(self) -> int:
        """Memory of the texts and the arrays."""
        return self.values.nbytes() + len(self) * VALUE_BYTES


def counted(column: LabelColumn) -> Counted:
    """The values of a label that are not empty; rows without one are left out."""
    if not column.is_encoded and _hardly_repeats(column):
        spans = column.spans
        if int(spans.length.min(initial=1)) <= 0:
            spans = spans.take(spans.length > 0)
        return Counted(spans.packed(), np.ones(len(spans), np.int64), once=False)
    codes, values = column.codes, column.values
    counts = np.zeros(len(values) + 1, np.int64)
    count_codes(np.ascontiguousarray(codes), counts)
    counts = counts[1:]
    used = np.flatnonzero((counts > 0) & (values.length > 0))
    return Counted(values.take(used).packed(), counts[used])


def rows_by_stream(frame: Frame) -> I64:
    """How many rows of a frame each stream of its table has."""
    counts = np.zeros(len(frame.table) + 1, np.int64)
    count_codes(np.ascontiguousarray(frame.stream), counts)
    return counts[1:]


def counted_of_streams(table: StreamTable, name: str, rows: I64) -> Counted:
    """As `counted`, of a label that streams have; `rows`: of each stream."""
    column = table.column(name)
    values = column.values
    counts = np.zeros(len(values) + 1, np.int64)
    np.add.at(counts, column.codes, rows)  # code -1 is the last place
    used = np.flatnonzero((counts[:-1] > 0) & (values.length > 0))
    return Counted(values.take(used).packed(), counts[used])


def _hardly_repeats(column: LabelColumn) -> bool:
    """Whether hashing a batch would leave most of its values.

    Of `values` that are equally frequent, so many rows have two in `rows**2 / (2 * values)` places.
    """
    some = column.take(np.arange(0, len(column), max(1, len(column) // LOOKED_AT)))
    twice = len(some) - len(some.values)
    return twice * 2 * RARELY * len(column) <= len(some) ** 2


class ValueCounts:
    """Counts of values over many parts; one thread at a time."""

    def __init__(self, account: Account | None = None) -> None:
        """`account` is charged for what is held, and for what putting together takes."""
        self._account = account or Account()
        self._parts: list[Counted] = []
        self._known = self._waiting = 0

    def add(self, part: Counted) -> None:
        """Count the values of a part."""
        if not len(part):
            return
        self._account.charge(part.nbytes())
        self._parts.append(part)
        self._waiting += len(part)
        if self._waiting > max(self._known, FEW):
            self.whole()

    def more_than(self, most: int) -> bool:
        """Whether there are more values than that."""
        return sum(map(len, self._parts)) > most and len(self.whole()) > most

    def gathered(self) -> Counted:
        """All values, some maybe several times: cheaper than `whole`."""
        if not self._parts or (len(self._parts) > 1 and all(one.once for one in self._parts)):
            return self.whole()
        if len(self._parts) > 1:
            before = sum(part.nbytes() for part in self._parts)
            with self._account.held(before):
                values = concat_spans([part.values for part in self._parts])
                counts = np.concatenate([part.counts for part in self._parts])
            self._parts = [Counted(values, counts, once=False)]
        return self._parts[0]

    def whole(self) -> Counted:
        """All values, each once."""
        if len(self._parts) > 1 or any(not one.once for one in self._parts):
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


def _count_at(counts: I64, place: int) -> int:
    """The count at a place, from 1, of counts in descending order.

    Most counts are small, and among equal ones a partition takes long.
    """
    small = np.bincount(np.minimum(counts, SMALL_COUNT))
    beyond = np.cumsum(small[::-1])[::-1]  # at least so large
    edge = int(np.flatnonzero(beyond >= place)[-1])
    if edge < SMALL_COUNT:
        return edge
    large = counts[counts >= SMALL_COUNT]
    return int(np.partition(large, len(large) - place)[len(large) - place])


def most_frequent(found: Counted, limit: int) -> list[tuple[bytes, int]]:
    """At most `limit` values with their counts, the most frequent first, then by their bytes."""
    limit = min(limit, len(found))
    if limit <= 0:
        return []
    edge = _count_at(found.counts, limit)
    rows = np.flatnonzero(found.counts >= edge)
    table = pa.table({"count": found.counts[rows], "value": found.values.take(rows).to_arrow()})
    order = [("count", "descending"), ("value", "ascending")]
    chosen = table.take(pc.select_k_unstable(table, limit, sort_keys=order))
    return list(zip(chosen["value"].to_pylist(), chosen["count"].to_pylist(), strict=True))
