"""Which series does a row belong to? Labels chosen by a grouping, combined to one number per row.

No Python object per row: label columns are codes, codes are combined arithmetically, and only the
distinct combinations become Python label pairs. An empty value counts as absent here
(reference/logql.md §13).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64
from narfi.core.combined_codes import combine
from narfi.core.label_column import LabelColumn
from querier.budget import Account
from querier.operators.fields import text_bytes
from querier.operators.frame import ERROR, ERROR_DETAILS, PRESERVE_ERROR, Frame
from querier.result import PAIR_BYTES, SET_BYTES, LabelPairs, labels_bytes
from storage.batch import FEW_NAMES, StreamTable
from storage.stream_labels import Some

FEW_VALUES = 4096
"""Of a label: its texts are decoded once for all who ask, and stay as long as the column."""
CODE_BYTES = 24
"""Of a row while its series is looked for: codes and their combination."""

_ERROR_NAMES = frozenset((ERROR, ERROR_DETAILS, PRESERVE_ERROR))


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Which labels make a series: only `names`, or all but `names`."""

    names: frozenset[str]
    without: bool

    def chosen(self, frame: Frame) -> list[str]:
        """The names of the key that some row of the frame may have, sorted."""
        made = {*frame.stream_changes, *frame.metadata, *frame.parsed}
        if frame.error is not None or frame.details is not None:
            made |= _ERROR_NAMES
        return self._of(frame.table, made)

    def chosen_of_streams(self, table: StreamTable) -> list[str]:
        """The stream labels of the key, sorted."""
        return self._of(table, set())

    def _of(self, table: StreamTable, made: set[str]) -> list[str]:
        if self.without:
            return sorted({*table.names, *made} - self.names)
        return sorted(name for name in self.names if name in made or table.has(name))


ALL_LABELS = SeriesKey(frozenset(), without=True)
NO_LABELS = SeriesKey(frozenset(), without=False)


class SeriesNumbers:
    """Numbers of label sets, in the order in which they are first seen; charged as they come."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._numbers: dict[LabelPairs, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, labels: Sequence[LabelPairs]) -> I32:
        """The number of each label set; raises `QueryMemoryError`."""
        numbers = self._numbers
        known = len(numbers)
        found = [numbers.setdefault(pairs, len(numbers)) for pairs in labels]
        if len(numbers) > known:
            fresh = (pairs for pairs, n in zip(labels, found, strict=True) if n >= known)
            self._account.charge(sum(map(labels_bytes, fresh)))
        return np.array(found, np.int32)

    def labels(self) -> tuple[LabelPairs, ...]:
        """The label sets by number."""
        return tuple(self._numbers)


def number_series(frame: Frame, key: SeriesKey) -> tuple[I32, list[LabelPairs]]:
    """(series number of each row, labels of each number); numbers are local to the frame.

    Labels that only the stream decides are combined once per stream of the frame, not per row.
    """
    fixed: list[str] = []
    varying: list[Coded] = []
    for name in key.chosen(frame):
        changing = name in frame.parsed or name in frame.metadata or name in frame.stream_changes
        if changing or name in _ERROR_NAMES:
            column = _grouped_column(frame, name, key).compact()
            frame.account.charge(len(frame) * CODE_BYTES + text_bytes(column))
            varying.append((name, *_dense_codes(column)))
        else:
            fixed.append(name)
    if varying and not fixed:
        numbers, rows = _numbered(varying, len(frame))
        frame.account.charge(len(rows) * (SET_BYTES + PAIR_BYTES * len(varying)))
        return numbers, _labels_at(varying, rows)
    streams, where = _streams_in(frame.stream)
    by_stream, stream_labels = number_streams(frame.table, fixed, streams)
    numbers = by_stream[where]
    if not varying:
        return numbers, stream_labels
    everything = [("", numbers, [""] * len(stream_labels)), *varying]
    numbers, rows = _numbered(everything, len(frame))
    frame.account.charge(len(rows) * (SET_BYTES + PAIR_BYTES * (len(varying) + len(fixed))))
    labels = _labels_at(varying, rows)
    own = by_stream[where[rows]].tolist()
    both = zip(own, labels, strict=True)
    return numbers, [tuple(sorted(stream_labels[stream] + pairs)) for stream, pairs in both]


class StreamSeries:
    """The numbers of series that stream labels alone decide, for the streams of one source."""

    def __init__(self, key: SeriesKey, numbers: SeriesNumbers) -> None:
        self._key, self._numbers = key, numbers
        self._names: list[str] = []
        self._known = np.zeros(0, np.int32)

    def of(self, frame: Frame) -> I32 | None:
        """The number of each row's series; None where rows of a stream may be in several."""
        names = self._key.chosen(frame)
        made = {*frame.parsed, *frame.metadata, *frame.stream_changes, *_ERROR_NAMES}
        if not made.isdisjoint(names):
            return None
        if not len(self._known) or names != self._names:
            self._known, self._names = np.full(len(frame.table.rows), -1, np.int32), names
        found = self._known[frame.stream]
        if found.min(initial=0) < 0:
            begins = np.append(0, np.flatnonzero(frame.stream[1:] != frame.stream[:-1]) + 1)
            streams = frame.stream[begins]
            fresh = np.unique(streams[self._known[streams] < 0])
            by_stream, labels = number_streams(frame.table, names, fresh)
            self._known[fresh] = self._numbers.of(labels)[by_stream]
            found = self._known[frame.stream]
        return found


def _streams_in(stream: I32) -> tuple[I32, I64]:
    """(the distinct streams, the place of each row's stream among them)."""
    ends = np.append(np.flatnonzero(stream[1:] != stream[:-1]) + 1, len(stream))
    found = stream[ends - 1]
    if (found[1:] < found[:-1]).any():
        return np.unique(stream, return_inverse=True)
    return found, np.repeat(np.arange(len(found)), np.diff(ends, prepend=0))


def _grouped_column(frame: Frame, name: str, key: SeriesKey) -> LabelColumn:
    """A label as the key sees it."""
    column = frame.shown(name)
    hidden = None if key.without else frame.swapped.get(name)
    return column if hidden is None else column.without(hidden)


def number_streams(
    table: StreamTable, names: Sequence[str], ordinals: Some
) -> tuple[I32, list[LabelPairs]]:
    """(series number of each given stream, labels of each number), by the named stream labels.

    Ordinals ascend.
    """
    found = table.group(ordinals, tuple(names))
    shown = ordinals[found.first]
    columns = [] if len(names) > FEW_NAMES else [(name, table.column(name)) for name in names]
    if len(names) > FEW_NAMES or any(len(column.values) > FEW_VALUES for _, column in columns):
        wanted = frozenset(names)
        every = table.pairs_of(shown)
        return found.numbers, [tuple(p for p in pairs if p[0] in wanted) for pairs in every]
    coded = [(name, column.codes[shown], column.texts) for name, column in columns]
    return found.numbers, _labels_at(coded, np.arange(len(shown)))


Coded = tuple[str, I32, list[str]]
"""A label name, its code per row (-1: none) and the text of each code."""


def _numbered(columns: Sequence[Coded], rows: int) -> tuple[I32, I64]:
    """(number of the combination in each row, a row for each number)."""
    found = combine([(codes, len(texts)) for _, codes, texts in columns], rows)
    return found.numbers, found.first


def _dense_codes(column: LabelColumn) -> tuple[I32, list[str]]:
    """Codes with -1 for absent and empty values; texts by code."""
    codes, texts = column.codes, column.texts
    if "" in texts:
        blank = np.array([text == "" for text in texts] + [False])
        codes = np.where(blank[codes], np.int32(-1), codes).astype(np.int32)
    if len(codes) and len(texts) and codes.max() < 0:
        return codes, []
    return codes, texts


def _labels_at(columns: Sequence[Coded], rows: I64) -> list[LabelPairs]:
    """The labels of each of the rows, in the order of the columns."""
    found: list[LabelPairs] = [()] * len(rows)
    for name, codes, texts in columns:
        mine = [((name, texts[code]),) if code >= 0 else () for code in codes[rows].tolist()]
        found = [pairs + more for pairs, more in zip(found, mine, strict=True)]
    return found
