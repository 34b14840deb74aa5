"""How do chosen rows become streams? Grouped by labels, in the order of the answer.

Works on at most `limit` rows. Label sets are made once per distinct combination of codes, not once
per row, and entries stay columns (entries.py).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from narfi.core.columns import I32, I64, Spans
from narfi.core.label_column import LabelColumn
from narfi.core.labels import labels_text
from querier.budget import Account
from querier.logs.entries import (
    NO_EXTRAS,
    Entries,
    EntriesPartial,
    EntryColumns,
    Extras,
    Places,
)
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame
from querier.result import LabelPairs, LogStream, StreamsResult, labels_bytes

ENTRY_BYTES = 400
"""Of an entry beside its line and labels, while it is printed too."""

Named = list[tuple[str, LabelColumn]]
Coded = tuple[I64, list[LabelPairs]]
"""For each row the place of its labels among the distinct ones."""


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
        stream = self._pairs_by_row(_stream_columns(frame), len(frame))
        metadata = self._pairs_by_row(sorted(frame.metadata.items()), len(frame))
        parsed = self._pairs_by_row(_parsed_columns(frame), len(frame))
        labels, extras = self._numbers(stream, metadata, parsed)
        part = EntryColumns(
            number=np.asarray(positions, np.int64),
            ts=frame.ts,
            labels=labels,
            extras=extras,
            lines=_alone(frame.lines.spans()),
        )
        self._take(part)

    def _numbers(self, stream: Coded, metadata: Coded, parsed: Coded) -> tuple[I32, I32]:
        """Of the label set and the extras of each row."""
        codes = np.stack([stream[0], metadata[0], parsed[0]], axis=1)
        distinct, where = _distinct(codes)
        labels, extras = [], []
        for of_stream, of_metadata, of_parsed in distinct.tolist():
            found = stream[1][of_stream]
            extra = metadata[1][of_metadata], parsed[1][of_parsed]
            if not self._categorized:
                found, extra = self._merged(found, *extra), NO_EXTRAS
            labels.append(self._labels.setdefault(found, len(self._labels)))
            extras.append(self._extras.setdefault(extra, len(self._extras)))
        return np.array(labels, np.int32)[where], np.array(extras, np.int32)[where]

    def _merged(self, stream: LabelPairs, metadata: LabelPairs, parsed: LabelPairs) -> LabelPairs:
        self._account.check()
        found = _merge(stream, metadata, parsed)
        self._account.charge(labels_bytes(found))
        return found

    def _pairs_by_row(self, columns: Named, rows: int) -> Coded:
        """The present labels of each row, as codes."""
        if not columns:
            return np.zeros(rows, np.int64), [()]
        used = [(name, column.compact()) for name, column in columns]
        distinct, where = _distinct(np.stack([column.codes for _, column in used], axis=1))
        texts = [(name, column.texts) for name, column in used]
        found = []
        for codes in distinct.tolist():
            self._account.check()
            pairs = tuple(
                (name, values[code])
                for (name, values), code in zip(texts, codes, strict=True)
                if code >= 0
            )
            self._account.charge(labels_bytes(pairs))
            found.append(pairs)
        return where, found

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
        labels = [self._labels.setdefault(one, len(self._labels)) for one in found.labels]
        extras = [self._extras.setdefault(one, len(self._extras)) for one in found.extras]
        for part in found.columns:
            self._take(
                replace(
                    part,
                    number=places[np.searchsorted(rows, part.number)],
                    labels=np.array(labels, np.int32)[part.labels],
                    extras=np.array(extras, np.int32)[part.extras],
                )
            )

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


def _distinct(codes: I64 | I32) -> tuple[I64, I64]:
    """Distinct rows, and for each row which of them it is."""
    width = codes.shape[1]
    as_one = np.ascontiguousarray(codes).view(np.dtype((np.void, codes.itemsize * width))).ravel()
    _, first, where = np.unique(as_one, return_index=True, return_inverse=True)
    return codes[first].astype(np.int64), where.ravel()


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
