"""How do chosen rows become streams? Grouped by labels, in the order of the answer.

Works on at most `limit` rows, so Python values are fine; still, label sets are built once per
distinct combination of codes, not once per row.
"""

from dataclasses import dataclass, field

import numpy as np

from narfi.core.columns import LabelColumn
from narfi.core.labels import labels_text
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame
from querier.result import LabelPairs, LogEntry, LogStream, StreamsResult

Named = list[tuple[str, LabelColumn]]


@dataclass(slots=True)
class _Group:
    entries: list[tuple[int, LogEntry]] = field(default_factory=list)


class StreamsBuilder:
    """Collects rows of several sources; `build` sorts and groups them."""

    def __init__(self, *, categorized: bool, backward: bool) -> None:
        self._categorized, self._backward = categorized, backward
        self._groups: dict[LabelPairs, _Group] = {}
        self.entries = self.bytes = 0

    def add(self, frame: Frame, positions: list[int]) -> None:
        """Rows with their places in the answer."""
        stream = _pairs_by_row(_stream_columns(frame), len(frame))
        metadata = _pairs_by_row(sorted(frame.metadata.items()), len(frame))
        parsed = _pairs_by_row(_parsed_columns(frame), len(frame))
        lines = frame.lines.spans().to_list()
        merged: dict[tuple[int, int, int], LabelPairs] = {}
        for row, ts in enumerate(frame.ts.tolist()):
            key = (id(stream[row]), id(metadata[row]), id(parsed[row]))
            labels = merged.get(key)
            if labels is None:
                labels = merged[key] = (
                    stream[row]
                    if self._categorized
                    else _merge(stream[row], metadata[row], parsed[row])
                )
            extra = (metadata[row], parsed[row]) if self._categorized else ((), ())
            entry = LogEntry(ts, lines[row] or b"", *extra)
            self._groups.setdefault(labels, _Group()).entries.append((positions[row], entry))
        self.entries += len(frame)
        self.bytes += frame.lines.nbytes()

    def build(self) -> StreamsResult:
        """Streams sorted by label text, entries in the order of the answer."""
        streams = []
        for labels in sorted(self._groups, key=labels_text):
            ordered = sorted(self._groups[labels].entries, key=lambda item: item[0])
            streams.append(LogStream(labels, tuple(entry for _, entry in ordered)))
        return StreamsResult(tuple(streams), self._categorized)


def _stream_columns(frame: Frame) -> Named:
    names = sorted({*frame.table.names, *frame.stream_changes})
    found = [(name, frame.stream_label(name)) for name in names]
    return [(name, column) for name, column in found if column is not None]


def _parsed_columns(frame: Frame) -> Named:
    columns = dict(frame.parsed)
    for name, column in ((ERROR, frame.error), (ERROR_DETAILS, frame.details)):
        if column is not None:
            columns[name] = column.over(columns[name]) if name in columns else column
    return sorted(columns.items())


def _pairs_by_row(columns: Named, rows: int) -> list[LabelPairs]:
    """The present labels of each row; rows with equal codes share one tuple."""
    if not columns:
        nothing: LabelPairs = ()
        return [nothing] * rows
    used = [(name, column.compact()) for name, column in columns]
    codes = np.stack([column.codes for _, column in used], axis=1)
    texts = [(name, column.texts) for name, column in used]
    known: dict[bytes, LabelPairs] = {}
    result = []
    for row in codes:
        key = row.tobytes()
        pairs = known.get(key)
        if pairs is None:
            pairs = known[key] = tuple(
                (name, values[code])
                for (name, values), code in zip(texts, row.tolist(), strict=True)
                if code >= 0
            )
        result.append(pairs)
    return result


def _merge(stream: LabelPairs, metadata: LabelPairs, parsed: LabelPairs) -> LabelPairs:
    """All labels of a row; parsed beats metadata beats stream."""
    return tuple(sorted({**dict(stream), **dict(metadata), **dict(parsed)}.items()))
