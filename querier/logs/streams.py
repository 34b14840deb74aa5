"""How do chosen rows become streams? Grouped by labels, in the order of the answer.

Works on at most `limit` rows. Label sets are made once per distinct combination of codes, not once
per row, and entries stay columns (entries.py).
"""

import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from narfi.core.columns import I32, I64, Spans, concat_spans
from narfi.core.combined_codes import combine
from narfi.core.label_column import LabelColumn
from narfi.core.labels import labels_text
from querier.budget import Account
from querier.logs.entries import (
    NO_EXTRAS,
    Entries,
    EntriesPartial,
    EntryColumns,
    EntryRows,
    Extras,
    Places,
)
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame
from querier.result import PAIR_BYTES, SET_BYTES, LabelPairs, LogStream, StreamsResult, labels_bytes

ENTRY_BYTES = 400
"""Of an entry beside its line and labels, while it is printed too."""

SETS_AT_ONCE = 256
"""Label sets that are made between two looks at the deadline."""

NO_CODES: I32 = np.zeros(0, np.int32)
Named = list[tuple[str, LabelColumn]]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class _LabelSets:
    """Label sets, and which of them each row has; no two are equal."""

    sets: list[LabelPairs]
    numbers: I32


class StreamsBuilder:
    """Collects rows of several sources; `build` sorts and groups them."""

    def __init__(self, *, categorized: bool, account: Account | None = None) -> None:
        self._categorized = categorized
        self._account = account or Account()  # pays for the entries
        self._labels: dict[LabelPairs, int] = {}
        self._extras: dict[Extras, int] = {}
        self._parts: list[EntryColumns] = []
        self.entries = self.bytes = 0

    def add(self, frame: Frame, positions: Sequence[int] | I64) -> None:
        """Rows with their places in the answer."""
        self._account.charge(len(frame) * ENTRY_BYTES + frame.lines.nbytes())
        if not len(frame):
            return
        stream = self._stream_sets(frame)
        metadata = self._label_sets(sorted(frame.metadata.items()), len(frame))
        parsed = self._label_sets(_parsed_columns(frame), len(frame))
        labels, extras = self._numbers(stream, metadata, parsed)
        part = EntryColumns(
            number=np.asarray(positions, np.int64),
            ts=frame.ts,
            labels=labels,
            extras=extras,
            lines=_alone(frame.lines.spans()),
        )
        self._take(part)

    def _numbers(
        self, stream: _LabelSets, metadata: _LabelSets, parsed: _LabelSets
    ) -> tuple[I32, I32]:
        """Of the label set and the extras of each row."""
        if not self._categorized:
            labels = self._merged(stream, metadata, parsed)
            extras = self._numbered(self._extras, [NO_EXTRAS], np.zeros_like(stream.numbers))
            return self._numbered(self._labels, labels.sets, labels.numbers), extras
        coded = [(found.numbers, len(found.sets)) for found in (metadata, parsed)]
        both = combine(coded, len(stream.numbers))
        pairs = [
            (metadata.sets[metadata.numbers[row]], parsed.sets[parsed.numbers[row]])
            for row in both.first.tolist()
        ]
        return (
            self._numbered(self._labels, stream.sets, stream.numbers),
            self._numbered(self._extras, pairs, both.numbers),
        )

    @staticmethod
    def _numbered(known: dict[K, int], found: Sequence[K], numbers: I32) -> I32:
        """Numbers of what was found as those of all that is known."""
        here = [known.setdefault(one, len(known)) for one in found]
        return np.array(here, np.int32)[numbers]

    def _stream_sets(self, frame: Frame) -> _LabelSets:
        """The stream labels of each row, as stages left them."""
        table = frame.table
        streams, where = np.unique(frame.stream, return_inverse=True)
        labels, size = table.size_of(streams)
        self._account.charge(SET_BYTES * len(streams) + PAIR_BYTES * labels + size)
        sets = table.pairs_of(streams)
        if not frame.stream_changes:
            return _LabelSets(sets, where.astype(np.int32))
        there = {name for pairs in sets for name, _ in pairs}
        names = sorted(there.union(frame.stream_changes))
        columns = [(name, frame.stream_label(name)) for name in names]
        return self._label_sets([(n, c) for n, c in columns if c is not None], len(frame))

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

    def _take(self, part: EntryColumns) -> None:
        self._parts.append(part)
        self.entries += len(part)
        self.bytes += part.lines.nbytes()

    def partial(self) -> EntriesPartial:
        """What was added, to be merged elsewhere."""
        return EntriesPartial(
            labels=tuple(self._labels), extras=tuple(self._extras), columns=tuple(self._parts)
        )

    def merge(self, found: EntriesPartial, rows: I64, places: I64) -> None:
        """Take a partial, which is paid for.

        `rows`: all of its numbers, ascending; `places`: of each in the answer.
        """
        for part in found.columns:
            self._take(
                replace(
                    part,
                    number=places[np.searchsorted(rows, part.number)],
                    labels=self._numbered(self._labels, found.labels, part.labels),
                    extras=self._numbered(self._extras, found.extras, part.extras),
                )
            )

    def rows(self) -> EntryRows:
        """All entries in the order of the answer."""
        parts = self._parts
        none = np.zeros(0, np.int64)
        number = np.concatenate([none, *(part.number for part in parts)])
        order = np.argsort(number)
        columns = EntryColumns(
            number=number[order],
            ts=np.concatenate([none, *(part.ts for part in parts)])[order],
            labels=np.concatenate([NO_CODES, *(part.labels for part in parts)])[order],
            extras=np.concatenate([NO_CODES, *(part.extras for part in parts)])[order],
            lines=concat_spans([part.lines for part in parts]).take(order),
        )
        return EntryRows(labels=list(self._labels), extras=list(self._extras), columns=columns)

    def build(self) -> StreamsResult:
        """Streams sorted by label text, entries in the order of the answer."""
        if not self._parts:
            return StreamsResult((), self._categorized)
        labels = np.concatenate([part.labels for part in self._parts])
        number = np.concatenate([part.number for part in self._parts])
        order = np.lexsort((number, labels))
        ends = np.cumsum(np.bincount(labels, minlength=len(self._labels)))
        of_stream = np.split(order, ends[:-1])
        places = Places(self._parts, list(self._extras))
        return StreamsResult(
            tuple(
                LogStream(pairs, Entries(places, of_stream[self._labels[pairs]]))
                for pairs in sorted(self._labels, key=self._text)
            ),
            self._categorized,
        )

    def _text(self, labels: LabelPairs) -> str:
        self._account.check()
        return labels_text(labels)


def _alone(lines: Spans) -> Spans:
    """In a buffer that holds nothing else."""
    return lines if lines.is_packed() and lines.nbytes() == len(lines.data) else lines.packed()


def _parsed_columns(frame: Frame) -> Named:
    columns = dict(frame.parsed)
    for name, column in ((ERROR, frame.error), (ERROR_DETAILS, frame.details)):
        if column is not None:
            columns[name] = column.over(columns[name]) if name in columns else column
    return sorted(columns.items())
