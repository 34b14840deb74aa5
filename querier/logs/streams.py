"""How do chosen rows become streams? Grouped by labels, in the order of the answer.

Works on at most `limit` rows, so Python values are fine; still, label sets are built once per
distinct combination of codes, not once per row.
"""

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from narfi.core.columns import I32
from narfi.core.combined_codes import combine
from narfi.core.label_column import LabelColumn
from narfi.core.labels import labels_text
from querier.budget import Account
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame
from querier.result import (
    PAIR_BYTES,
    SET_BYTES,
    LabelPairs,
    LogEntry,
    LogStream,
    StreamsResult,
    labels_bytes,
)

ENTRY_BYTES = 400
"""Of an entry beside its line and labels."""

SETS_AT_ONCE = 256
"""Label sets that are made between two looks at the deadline."""

Named = list[tuple[str, LabelColumn]]


@dataclass(slots=True)
class _Group:
    entries: list[tuple[int, LogEntry]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _LabelSets:
    """Label sets, and which of them each row has; no two are equal."""

    sets: list[LabelPairs]
    numbers: I32

    def of_rows(self) -> Iterator[LabelPairs]:
        """The label set of each row."""
        return map(self.sets.__getitem__, self.numbers.tolist())


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
        stream = self._label_sets(_stream_columns(frame), len(frame))
        metadata = self._label_sets(sorted(frame.metadata.items()), len(frame))
        parsed = self._label_sets(_parsed_columns(frame), len(frame))
        labels = stream if self._categorized else self._merged(stream, metadata, parsed)
        groups = [self._groups.setdefault(found, _Group()).entries for found in labels.sets]
        extra: Iterable[tuple[LabelPairs, LabelPairs]] = [((), ())] * len(frame)
        if self._categorized:
            extra = zip(metadata.of_rows(), parsed.of_rows(), strict=True)
        lines = frame.lines.spans().to_list()
        for number, position, ts, line, more in zip(
            labels.numbers.tolist(), positions, frame.ts.tolist(), lines, extra, strict=True
        ):
            groups[number].append((position, LogEntry(ts, line or b"", *more)))
        self.entries += len(frame)
        self.bytes += frame.lines.nbytes()

    def _merged(self, stream: _LabelSets, metadata: _LabelSets, parsed: _LabelSets) -> _LabelSets:
        """All labels of each row; parsed beats metadata beats stream."""
        every = (stream, metadata, parsed)
        if not any(any(found.sets) for found in every[1:]):
            return stream
        coded = [(found.numbers, len(found.sets)) for found in every]
        both = combine(coded, len(stream.numbers))
        sets = []
        for row in both.first.tolist():
            self._account.check()
            pairs = itertools.chain.from_iterable(f.sets[f.numbers[row]] for f in every)
            sets.append(tuple(sorted(dict(pairs).items())))
            self._account.charge(labels_bytes(sets[-1]))
        return _LabelSets(sets, both.numbers)

    def _label_sets(self, columns: Named, rows: int) -> _LabelSets:
        """The present labels of each row; charged before they are made."""
        if not columns:
            return _LabelSets([()], np.zeros(rows, np.int32))
        used = [(name, column.compact()) for name, column in columns]
        found = combine([(column.codes, len(column.values)) for _, column in used], rows)
        codes = [column.codes[found.first] for _, column in used]
        there = [mine[mine >= 0] for mine in codes]
        size = SET_BYTES * len(found.first) + PAIR_BYTES * sum(map(len, there))
        for (_, column), mine in zip(used, there, strict=True):
            size += int(column.values.length[mine].sum())
        self._account.charge(size)
        pairs = [[*((name, text) for text in column.texts), None] for name, column in used]
        sets: list[LabelPairs] = []
        for row in np.stack(codes, axis=1).tolist():
            if not len(sets) % SETS_AT_ONCE:
                self._account.check()
            sets.append(tuple(filter(None, map(operator.getitem, pairs, row))))
        return _LabelSets(sets, found.numbers)

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
