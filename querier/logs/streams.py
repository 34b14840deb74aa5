"""How do chosen rows become streams? Grouped by labels, in the order of the answer.

Works on at most `limit` rows, so Python values are fine; still, label sets are built once per
distinct combination of codes, not once per row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from narfi.core.label_column import LabelColumn
from narfi.core.labels import labels_text
from querier.budget import Account
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame
from querier.result import LabelPairs, LogEntry, LogStream, StreamsResult, labels_bytes

ENTRY_BYTES = 400
"""Of an entry beside its line and labels."""

Named = list[tuple[str, LabelColumn]]


@dataclass(slots=True)
class _Group:
    entries: list[tuple[int, LogEntry]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesPartial:
    """Entries by labels, each with a number that tells its place (a row number)."""

    groups: tuple[tuple[LabelPairs, tuple[tuple[int, LogEntry], ...]], ...]
    entries: int
    bytes: int


class StreamsBuilder:
    """Collects rows of several sources; `build` sorts and groups them."""

    def __init__(self, *, categorized: bool, account: Account | None = None) -> None:
        self._categorized = categorized
        self._account = account or Account()  # pays for the entries
        self._groups: dict[LabelPairs, _Group] = {}
        self.entries = self.bytes = 0

    def add(self, frame: Frame, positions: list[int]) -> None:
        """Rows with their places in the answer."""
        self._account.charge(len(frame) * ENTRY_BYTES + frame.lines.nbytes())
        stream = self._pairs_by_row(_stream_columns(frame), len(frame))
        metadata = self._pairs_by_row(sorted(frame.metadata.items()), len(frame))
        parsed = self._pairs_by_row(_parsed_columns(frame), len(frame))
        lines = frame.lines.spans().to_list()
        merged: dict[tuple[int, int, int], LabelPairs] = {}
        for row, ts in enumerate(frame.ts.tolist()):
            key = (id(stream[row]), id(metadata[row]), id(parsed[row]))
            labels = merged.get(key)
            if labels is None:
                labels = merged[key] = self._merged(stream[row], metadata[row], parsed[row])
            extra = (metadata[row], parsed[row]) if self._categorized else ((), ())
            entry = LogEntry(ts, lines[row] or b"", *extra)
            self._groups.setdefault(labels, _Group()).entries.append((positions[row], entry))
        self.entries += len(frame)
        self.bytes += frame.lines.nbytes()

    def _merged(self, stream: LabelPairs, metadata: LabelPairs, parsed: LabelPairs) -> LabelPairs:
        if self._categorized:
            return stream
        self._account.check()
        found = _merge(stream, metadata, parsed)
        self._account.charge(labels_bytes(found))
        return found

    def _pairs_by_row(self, columns: Named, rows: int) -> list[LabelPairs]:
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
                self._account.check()
                pairs = known[key] = tuple(
                    (name, values[code])
                    for (name, values), code in zip(texts, row.tolist(), strict=True)
                    if code >= 0
                )
                self._account.charge(labels_bytes(pairs))
            result.append(pairs)
        return result

    def partial(self) -> EntriesPartial:
        """What was added, to be merged elsewhere."""
        groups = tuple((labels, tuple(group.entries)) for labels, group in self._groups.items())
        return EntriesPartial(groups=groups, entries=self.entries, bytes=self.bytes)

    def merge(self, found: EntriesPartial, places: Mapping[int, int]) -> None:
        """Take a partial, which is paid for; `places` are those of its numbers in the answer."""
        for labels, entries in found.groups:
            group = self._groups.setdefault(labels, _Group())
            group.entries += [(places[number], entry) for number, entry in entries]
        self.entries += found.entries
        self.bytes += found.bytes

    def build(self) -> StreamsResult:
        """Streams sorted by label text, entries in the order of the answer."""
        streams = []
        for labels in sorted(self._groups, key=self._text):
            ordered = sorted(self._groups[labels].entries, key=lambda item: item[0])
            streams.append(LogStream(labels, tuple(entry for _, entry in ordered)))
        return StreamsResult(tuple(streams), self._categorized)

    def _text(self, labels: LabelPairs) -> str:
        self._account.check()
        return labels_text(labels)


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


def _merge(stream: LabelPairs, metadata: LabelPairs, parsed: LabelPairs) -> LabelPairs:
    """All labels of a row; parsed beats metadata beats stream."""
    return tuple(sorted({**dict(stream), **dict(metadata), **dict(parsed)}.items()))
