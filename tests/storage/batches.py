"""Small log batches for tests."""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import Spans
from narfi.core.label_column import SpansColumn
from narfi.core.labels import Labels
from storage.batch import LogBatch, StreamTable
from storage.lines.plain import PlainLines
from storage.metadata import Metadata

Entry = tuple[str, int, bytes, dict[str, str]]
"""(app of the stream, ts, line, structured metadata)"""


def batch_of(entries: Sequence[Entry]) -> LogBatch:
    """A batch as a push makes it: streams in order of appearance, rows as given."""
    apps: dict[str, int] = {}
    stream = [apps.setdefault(app, len(apps)) for app, _, _, _ in entries]
    none = np.zeros(len(apps), np.int64)
    labels = tuple(Labels.of({"app": app, "job": "test"}) for app in apps)
    names = sorted({name for _, _, _, extra in entries for name in extra})
    columns = {
        name: SpansColumn(Spans.of(e[3][name].encode() if name in e[3] else None for e in entries))
        for name in names
    }
    return LogBatch(
        table=StreamTable(
            labels=labels, first_row=none, rows=none, first_ts=none, last_ts=none, line_bytes=none
        ),
        stream=np.array(stream, np.int32),
        ts=np.array([ts for _, ts, _, _ in entries], np.int64),
        rows=np.arange(len(entries), dtype=np.int64),
        lines=PlainLines(Spans.of(line for _, _, line, _ in entries)),
        metadata=Metadata(columns),
    )


def entries_of(batch: LogBatch) -> list[Entry]:
    """The rows of a batch."""
    assert batch.lines is not None
    lines = batch.lines.spans().to_list()
    extras: list[dict[str, str]] = [{} for _ in range(len(batch))]
    if batch.metadata is not None:
        for row, name, text in batch.metadata.items():
            extras[row][name] = text
    return [
        (batch.table.labels[stream].get("app"), ts, lines[row] or b"", extras[row])
        for row, (stream, ts) in enumerate(
            zip(batch.stream.tolist(), batch.ts.tolist(), strict=True)
        )
    ]
