"""What flows through a pipeline? n rows with their lines and labels in three categories.

A row's label is looked up parsed first, then metadata, then stream (reference/logql.md §4.1).
Invariant: a frame is immutable; every column has one place per row; at most one category holds a
name for a given row (setting a parsed label removes it from the other categories).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from narfi.core.columns import EMPTY_BYTES, I32, I64, Mask, Spans
from narfi.core.label_column import CodedColumn, LabelColumn
from querier.budget import Account
from storage.batch import LogBatch, StreamTable
from storage.lines.base import LineColumn
from storage.lines.plain import PlainLines
from storage.lines.texts import Rows
from storage.metadata import Metadata

ERROR = "__error__"
ERROR_DETAILS = "__error_details__"
PRESERVE_ERROR = "__preserve_error__"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Rows of one source on their way through the stages.

    `stream_changes` replaces columns of the stream category (a label dropped, renamed or shadowed
    in some rows); names not in it come from the stream table. `error` and `details` are None while
    no row has an error; what a parser finds under these names is a parsed label, and no error.
    `swapped` tells of labels that groupings by name do not see (`label_format`).
    """

    table: StreamTable
    stream: I32
    ts: I64
    rows: I64
    lines: LineColumn
    metadata: Mapping[str, LabelColumn] = field(default_factory=dict)
    parsed: Mapping[str, LabelColumn] = field(default_factory=dict)
    stream_changes: Mapping[str, LabelColumn] = field(default_factory=dict)
    error: LabelColumn | None = None
    details: LabelColumn | None = None
    swapped: Mapping[str, Mask] = field(default_factory=dict)
    account: Account = field(default_factory=Account)  # charged for what stages make

    def __len__(self) -> int:
        return len(self.ts)

    @staticmethod
    def of(
        batch: LogBatch, lines: LineColumn, metadata: Metadata, account: Account | None = None
    ) -> "Frame":
        """The rows of a batch as they enter a pipeline.

        Metadata named like a stream label *of that row* is exposed as `<name>_extracted`
        (reference/logql.md §4.1); `__error__` and `__error_details__` set the error fields.
        """
        frame = Frame(
            table=batch.table,
            stream=batch.stream,
            ts=batch.ts,
            rows=batch.rows,
            lines=lines,
            account=account or Account(),
        )
        stored = metadata.every_column()
        if not stored:
            return frame
        columns: dict[str, LabelColumn] = {}
        error = details = None
        for name, column in stored.items():
            if name == ERROR:
                error = column
            elif name == ERROR_DETAILS:
                details = column
            else:
                frame._add_metadata(columns, name, column)
        return replace(frame, metadata=columns, error=error, details=details)

    def _add_metadata(
        self, columns: dict[str, LabelColumn], name: str, column: LabelColumn
    ) -> None:
        taken = self.stream_label(name)
        clash = None if taken is None else taken.present() & column.present()
        if clash is None or not clash.any():
            columns[name] = column if name not in columns else columns[name].over(column)
            return
        renamed = f"{name}_extracted"
        moved = column.without(~clash)
        columns[renamed] = moved if renamed not in columns else columns[renamed].over(moved)
        if not clash.all():
            columns[name] = column.without(clash)

    def stream_label(self, name: str) -> LabelColumn | None:
        """The label in the stream category as changed so far; None when no row has it."""
        changed = self.stream_changes.get(name)
        if changed is not None:
            return changed
        return self.original_stream_label(name)

    def original_stream_label(self, name: str) -> LabelColumn | None:
        """The label of the ingested stream, whatever stages did to it (collision checks)."""
        column = self.table.column(name)
        if len(column.values) == 0:
            return None
        return column.take(self.stream)

    def label(self, name: str) -> LabelColumn:
        """The merged view of one name: parsed over metadata over stream; errors are no labels."""
        found: LabelColumn | None = None
        for column in (
            self.parsed.get(name),
            self.metadata.get(name),
            self.stream_label(name),
        ):
            if column is not None:
                found = column if found is None else found.over(column)
        return found if found is not None else CodedColumn.absent(len(self))

    def shown(self, name: str) -> LabelColumn:
        """The label as the client sees it: an error of the row stands over a label of its name."""
        error = {ERROR: self.error, ERROR_DETAILS: self.details}.get(name)
        label = self.label(name)
        return label if error is None else error.over(label)

    def is_of_streams(self, name: str) -> bool:
        """Whether what `shown` gives of a name is the label of the ingested streams."""
        changed = name in self.parsed or name in self.metadata or name in self.stream_changes
        return not changed and name not in (ERROR, ERROR_DETAILS)

    def names(self) -> set[str]:
        """Names that some row may have, in any category (errors not included)."""
        return {*self.table.names, *self.stream_changes, *self.metadata, *self.parsed}

    def take(self, rows: Rows) -> "Frame":
        """The given rows."""
        return Frame(
            table=self.table,
            stream=self.stream[rows],
            ts=self.ts[rows],
            rows=self.rows[rows],
            lines=self.lines.take(rows),
            metadata={n: c.take(rows) for n, c in self.metadata.items()},
            parsed={n: c.take(rows) for n, c in self.parsed.items()},
            stream_changes={n: c.take(rows) for n, c in self.stream_changes.items()},
            error=None if self.error is None else self.error.take(rows),
            details=None if self.details is None else self.details.take(rows),
            swapped={n: mask[rows] for n, mask in self.swapped.items()},
            account=self.account,
        )

    def with_lines(self, lines: LineColumn) -> "Frame":
        """The same rows with other lines."""
        return replace(self, lines=lines)

    def with_errors(self, error: LabelColumn | None, details: LabelColumn | None) -> "Frame":
        """The same rows with other error fields."""
        return replace(self, error=error, details=details)

    def with_parsed(self, columns: Mapping[str, LabelColumn]) -> "Frame":
        """Set parsed labels; a present place hides the name in the other categories."""
        parsed, metadata, changes = (
            dict(self.parsed),
            dict(self.metadata),
            dict(self.stream_changes),
        )
        for name, column in columns.items():
            present = column.present()
            before = parsed.get(name)
            parsed[name] = column if before is None else column.over(before)
            if name in metadata:
                metadata[name] = metadata[name].without(present)
            stream = self.stream_label(name)
            if stream is not None:
                changes[name] = stream.without(present)
        return Frame(  # `dataclasses.replace` takes several times as long
            table=self.table,
            stream=self.stream,
            ts=self.ts,
            rows=self.rows,
            lines=self.lines,
            metadata=metadata,
            parsed=parsed,
            stream_changes=changes,
            error=self.error,
            details=self.details,
            swapped=self.swapped,
            account=self.account,
        )

    def without_label(self, name: str, rows: Mask | None = None) -> "Frame":
        """Remove a name from every category, in all rows or where the mask is true."""
        gone = np.ones(len(self), np.bool_) if rows is None else rows
        parsed, metadata, changes = (
            dict(self.parsed),
            dict(self.metadata),
            dict(self.stream_changes),
        )
        for columns in (parsed, metadata):
            if name in columns:
                columns[name] = columns[name].without(gone)
        stream = self.stream_label(name)
        if stream is not None:
            changes[name] = stream.without(gone)
        return replace(self, parsed=parsed, metadata=metadata, stream_changes=changes)


def frame_of(batch: LogBatch, account: Account | None = None) -> Frame:
    """The batch as a frame; columns that were not read are empty stand-ins."""
    lines = batch.lines
    if lines is None:
        none = np.zeros(len(batch), np.int64)
        lines = PlainLines(Spans(EMPTY_BYTES, none, none.astype(np.int32)))
    return Frame.of(batch, lines, batch.metadata or Metadata(), account)
