"""Random entries as frames, and frames back as plain rows."""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import Spans
from narfi.core.label_column import LabelColumn, SpansColumn
from narfi.core.labels import Labels
from querier.operators.frame import Frame
from storage.batch import LogBatch, StreamTable
from storage.lines.plain import PlainLines
from storage.metadata import Metadata
from tests.reference.logs import Entry

Plain = tuple[dict[str, str], dict[str, str], dict[str, str], str, str, bytes]
"""Stream, metadata and parsed labels, error, details, line."""


def batch_of(entries: Sequence[Entry]) -> LogBatch:
    """A batch as a push makes it: streams in order of appearance, rows as given."""
    labels = [Labels.of(found) for found, _, _, _ in entries]
    streams = list(dict.fromkeys(labels))
    none = np.zeros(len(streams), np.int64)
    names = sorted({name for _, extra, _, _ in entries for name in extra})
    columns = {
        name: SpansColumn(
            Spans.of(extra[name].encode() if name in extra else None for _, extra, _, _ in entries)
        )
        for name in names
    }
    return LogBatch(
        table=StreamTable(
            labels=tuple(streams),
            first_row=none,
            rows=none,
            first_ts=none,
            last_ts=none,
            line_bytes=none,
        ),
        stream=np.array([streams.index(found) for found in labels], np.int32),
        ts=np.array([ts for _, _, ts, _ in entries], np.int64),
        rows=np.arange(len(entries), dtype=np.int64),
        lines=PlainLines(Spans.of(line for _, _, _, line in entries)),
        metadata=Metadata(columns),
    )


def _values(column: LabelColumn | None, rows: int) -> list[str | None]:
    if column is None:
        return [None] * rows
    texts = column.texts
    return [texts[code] if code >= 0 else None for code in column.codes.tolist()]


def rows_of(frame: Frame) -> dict[int, Plain]:
    """What a client would see of each row, by row number."""
    size = len(frame)
    stream_names = {*frame.table.names, *frame.stream_changes}
    parts: list[list[dict[str, str]]] = []
    for columns in (
        {name: frame.stream_label(name) for name in stream_names},
        dict(frame.metadata),
        dict(frame.parsed),
    ):
        rows: list[dict[str, str]] = [{} for _ in range(size)]
        for name, column in columns.items():
            for row, value in enumerate(_values(column, size)):
                if value is not None:
                    rows[row][name] = value
        parts.append(rows)
    errors, details = _values(frame.error, size), _values(frame.details, size)
    lines = frame.lines.spans().to_list()
    return {
        number: (
            parts[0][row],
            parts[1][row],
            parts[2][row],
            errors[row] or "",
            details[row] or "",
            lines[row] or b"",
        )
        for row, number in enumerate(frame.rows.tolist())
    }
