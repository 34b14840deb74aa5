"""What shape does log data have between all parts? Columns, never an object per entry.

`LogBatch` is n entries as columns. `LineColumn` is the seam that hides how lines are stored: plain
bytes, or a shape with typed columns; operators know only the protocol.
Invariant: all columns of a batch have the same length; a batch is immutable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from narfi.core.columns import I32, I64, LabelColumn, Mask, Spans
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher
from storage.lines.holes import HoleColumn, Rows
from storage.lines.template import Template
from storage.metadata import Metadata

__all__ = [
    "LineColumn",
    "LineShape",
    "LogBatch",
    "Rows",
    "StreamTable",
]


class LineColumn(Protocol):
    """The lines of n entries. Every answer equals the one computed from the decoded bytes.

    Searches return masks over the rows. `shape()` lets a parser answer from typed columns; where
    that is not provably equal it uses `spans()`.
    """

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def spans(self) -> Spans:
        """All lines as bytes (decodes when stored otherwise)."""
        ...

    def lengths(self) -> I32:
        """Bytes of each line."""
        ...

    def contains(self, needle: bytes) -> Mask:
        """Which lines contain the bytes; the empty needle is in every line."""
        ...

    def matches(self, pattern: str) -> Mask:
        """Which lines an unanchored RE2 search finds (`.` excludes newline)."""
        ...

    def shape(self) -> "LineShape | None":
        """What all the lines have in common; None when nothing is known of it."""
        ...

    def take(self, rows: Rows) -> "LineColumn":
        """The given rows; shares memory."""
        ...

    def nbytes(self) -> int:
        """Sum of the line lengths in bytes, without decoding where possible."""
        ...


class LineShape(Protocol):
    """Lines that are one template with typed holes."""

    @property
    def template(self) -> Template:
        """The constants and holes of every line."""
        ...

    def column(self, hole: int) -> HoleColumn:
        """The values of a hole."""
        ...

    def text_between(self, pieces: tuple[bytes | int, ...]) -> LabelColumn:
        """Constants, and holes by their numbers, put together as a label of every row."""
        ...


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
