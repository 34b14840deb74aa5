"""What shape does log data have between all parts? Columns, never an object per entry.

`LogBatch` is n entries as columns; its lines are a `LineColumn` (storage/lines/base.py).
Invariant: all columns of a batch have the same length; a batch is immutable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from narfi.core.columns import I32, I64, LabelColumn, Mask, Spans
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher
from storage.lines.base import LineColumn
from storage.lines.holes import Rows
from storage.metadata import Metadata


@dataclass(frozen=True)
class StreamTable:
    """The streams of a source, by ordinal: labels, and how far each reaches.

    In a source, rows are sorted by (stream ordinal, ts, tie); the rows of stream o are
    `first_row[o] : first_row[o] + rows[o]`.
    """

    labels: tuple[Labels, ...]
    first_row: I64
    rows: I64
    first_ts: I64
    last_ts: I64
    line_bytes: I64

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All label names, sorted."""
        return tuple(sorted({name for labels in self.labels for name, _ in labels.pairs}))

    @cached_property
    def _columns(self) -> dict[str, LabelColumn]:
        return {}

    def column(self, name: str) -> LabelColumn:
        """One label over the streams (not over the rows); cached."""
        found = self._columns.get(name)
        if found is None:
            index: dict[str, int] = {}
            codes = np.full(len(self.labels), -1, np.int32)
            for ordinal, labels in enumerate(self.labels):
                value = labels.get(name)
                if value:
                    codes[ordinal] = index.setdefault(value, len(index))
            values = Spans.of(v.encode("utf-8", "surrogateescape") for v in index)
            found = self._columns[name] = LabelColumn(codes=codes, values=values)
        return found

    def select(self, matchers: Iterable[Matcher]) -> Mask:
        """Which streams satisfy every matcher; each distinct value is tried once."""
        keep = np.ones(len(self.labels), np.bool_)
        for matcher in matchers:
            column = self.column(matcher.name)
            accepted = np.array([matcher.matches(t) for t in column.texts] + [matcher.matches("")])
            keep &= accepted[column.codes]  # code -1 picks the last place: a missing label
        return keep


@dataclass(frozen=True)
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
            self.table,
            self.stream[rows],
            self.ts[rows],
            self.rows[rows],
            None if self.lines is None else self.lines.take(rows),
            None if self.metadata is None else self.metadata.take(rows),
        )
