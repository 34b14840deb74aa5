"""What shape does log data have between all parts? Columns, never an object per entry.

`LogBatch` is n entries as columns; its lines are a `LineColumn` (storage/lines/base.py).
Invariant: all columns of a batch have the same length; a batch is immutable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from narfi.core.columns import I32, I64, Mask
from narfi.core.combined_codes import Combined, combine, count_through
from narfi.core.label_column import LabelColumn
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher
from storage.lines.base import LineColumn
from storage.lines.texts import Rows
from storage.metadata import Metadata
from storage.stream_labels import (
    U64,
    AddedLabel,
    CodedLabels,
    ListedLabels,
    Ordinals,
    Pairs,
    Remembered,
    Some,
    StreamLabels,
    accepted_values,
)

KEPT_SELECTIONS = 4
"""Selections of streams that a table remembers: dashboards ask the same again and again."""
KEPT_GROUPINGS = 2
"""Groupings of streams by labels that a table remembers."""
MOST = 4
"""Of the streams of a table a quarter is most: then all are grouped, and that is remembered."""
FEW_NAMES = 8
"""By so many labels streams are grouped by columns, else by the labels that each stream has."""


@dataclass(frozen=True, kw_only=True)
class StreamTable:
    """The streams of a source, by ordinal: labels, and how far each reaches.

    In a source, rows are sorted by (stream ordinal, ts, tie); the rows of stream o are
    `first_row[o] : first_row[o] + rows[o]`.
    """

    labels: StreamLabels | Sequence[Labels]
    first_row: I64
    rows: I64
    first_ts: I64
    last_ts: I64
    line_bytes: I64

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def _held(self) -> StreamLabels:
        return ListedLabels(self.labels) if isinstance(self.labels, Sequence) else self.labels

    @cached_property
    def _selected(self) -> Remembered[tuple[Matcher, ...], Mask]:
        return Remembered(KEPT_SELECTIONS)

    @cached_property
    def _grouped(self) -> Remembered[tuple[str, ...], Combined]:
        return Remembered(KEPT_GROUPINGS)

    @cached_property
    def _totals(self) -> tuple[int, int]:
        return int(self.rows.sum()), int(self.line_bytes.sum())

    @cached_property
    def reach(self) -> tuple[int, int]:
        """The oldest and the newest timestamp of all streams, in ns; of no streams `(0, -1)`."""
        if not len(self.rows):
            return 0, -1
        return int(self.first_ts.min()), int(self.last_ts.max())

    @property
    def names(self) -> tuple[str, ...]:
        """All label names, sorted."""
        return self._held.names

    @property
    def nbytes(self) -> int:
        """Memory of a table with coded labels, with all that it remembers."""
        labels = self.labels.nbytes if isinstance(self.labels, CodedLabels) else 0
        arrays = (self.first_row, self.rows, self.first_ts, self.last_ts, self.line_bytes)
        remembered = KEPT_SELECTIONS + KEPT_GROUPINGS * (4 + 8)
        return labels + sum(array.nbytes for array in arrays) + remembered * len(self)

    def column(self, name: str) -> LabelColumn:
        """One label over the streams (not over the rows)."""
        return self._held.column(name)

    def names_of(self, streams: Mask) -> set[str]:
        """The label names that some of the streams have."""
        return self._held.names_of(streams)

    def has(self, name: str) -> bool:
        """Whether some stream has a label of that name."""
        return self._held.has(name)

    def pairs_of(self, ordinals: Some) -> list[Pairs]:
        """All labels of some streams; costs what they have, not what the table has."""
        return self._held.pairs_of(ordinals)

    def size_of(self, ordinals: Some) -> tuple[int, int]:
        """(labels, bytes of their values) of some streams, together, about."""
        return self._held.size_of(ordinals)

    def fingerprints(self, ordinals: Ordinals) -> U64:
        """Which streams these are, in any table of the tenant."""
        return self._held.fingerprints(ordinals)

    def fingerprints_of(self, streams: Mask) -> U64:
        """Those of some streams."""
        return self._held.fingerprints(slice(None) if streams.all() else np.flatnonzero(streams))

    def count_rows(self, streams: Mask) -> int:
        """Rows of some streams."""
        return self._totals[0] if streams.all() else int(self.rows[streams].sum())

    def count_line_bytes(self, streams: Mask) -> int:
        """Bytes of the lines of some streams."""
        return self._totals[1] if streams.all() else int(self.line_bytes[streams].sum())

    def group(self, ordinals: Some, names: tuple[str, ...]) -> Combined:
        """Some streams (ascending) by the values of these labels; read only.

        Costs what is given; but where most streams are given, the table groups all of them and
        remembers that.
        """
        if len(names) == len(self.names):  # no two streams have equal labels
            return Combined(np.arange(len(ordinals), dtype=np.int32), np.arange(len(ordinals)))
        if len(ordinals) * MOST < len(self.labels):
            return self._grouping(ordinals, names)
        whole = self._grouped.get(names)
        if whole is None:
            whole = self._grouping(np.arange(len(self.labels)), names)
            self._grouped.put(names, whole)
        if len(ordinals) == len(self.labels):
            return whole
        return count_through(whole.numbers[ordinals], len(whole.first))

    def _grouping(self, ordinals: Some, names: tuple[str, ...]) -> Combined:
        if len(names) > FEW_NAMES:
            return self._held.grouped(ordinals, frozenset(names))
        columns = [self.column(name) for name in names]
        coded = [(column.codes[ordinals], len(column.values)) for column in columns]
        return combine(coded, len(ordinals))

    def with_label(self, name: str, value: str) -> "StreamTable":
        """The same streams with one more label; one of that name becomes `original_<name>`."""
        return replace(self, labels=AddedLabel(self._held, name, value))

    def select(self, matchers: Iterable[Matcher]) -> Mask:
        """Which streams satisfy every matcher; each distinct value is tried once. Read only."""
        key = tuple(matchers)
        keep = self._selected.get(key)
        if keep is None:
            keep = np.ones(len(self.labels), np.bool_)
            for matcher in key:
                column = self.column(matcher.name)
                # code -1 picks the last place: a missing label
                accepted = np.append(accepted_values(column, matcher), matcher.matches(""))
                keep &= accepted[column.codes]
            keep.flags.writeable = False
            self._selected.put(key, keep)
        return keep


@dataclass(frozen=True, kw_only=True)
class LogBatch:
    """n entries of one source: `stream` are ordinals into `table`, `rows` row numbers there.

    `lines` and `metadata` are None when the scan did not ask for them.
    """

    table: StreamTable
    stream: I32
    ts: I64
    rows: I64
    lines: LineColumn | None = None
    metadata: Metadata | None = None

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: Rows) -> "LogBatch":
        """The given rows; shares memory."""
        return LogBatch(
            table=self.table,
            stream=self.stream[rows],
            ts=self.ts[rows],
            rows=self.rows[rows],
            lines=None if self.lines is None else self.lines.take(rows),
            metadata=None if self.metadata is None else self.metadata.take(rows),
        )
