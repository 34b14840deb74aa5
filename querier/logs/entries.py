"""How do rows of an answer lie until they are shown? In columns; a Python value is one at a time.

A fetched row goes from leaf to answer as numbers and as bytes in a buffer: taking many rows over,
from another process too, is a few copies, and the line of an entry is cut out of its buffer when
it is printed. Label sets are there once for each distinct one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from narfi.core.columns import I32, I64, Spans
from querier.result import LabelPairs, LogEntry

Extras = tuple[LabelPairs, LabelPairs]
"""Metadata and parsed labels of an entry, which categorised answers show with it."""

NO_EXTRAS: Extras = ((), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryColumns:
    """n entries; `labels` and `extras` are codes, of whose meaning the owner knows."""

    number: I64  # a row of a source, or a place in the answer
    ts: I64
    labels: I32
    extras: I32
    lines: Spans

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntriesPartial:
    """What a leaf task fetched; codes of the columns are places in `labels` and `extras`."""

    labels: tuple[LabelPairs, ...]
    extras: tuple[Extras, ...]
    columns: tuple[EntryColumns, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRows:
    """Entries in the order of the answer; codes of the columns are places in the sequences."""

    labels: Sequence[LabelPairs]
    extras: Sequence[Extras]
    columns: EntryColumns

    def __len__(self) -> int:
        return len(self.columns)


class Places:
    """Entries of many parts, in some order, that cut out what is asked for."""

    def __init__(self, parts: Sequence[EntryColumns], extras: Sequence[Extras]) -> None:
        sizes = [len(part) for part in parts]
        self._part = np.repeat(np.arange(len(parts)), sizes)
        self._ts = _joined([part.ts for part in parts])
        self._extra = _joined([part.extras for part in parts])
        self._start = _joined([part.lines.start for part in parts])
        self._length = _joined([part.lines.length for part in parts])
        self._bytes = [part.lines.data.data for part in parts]
        self._extras = extras

    def read(self, places: I64) -> Iterator[LogEntry]:
        """The entries at these places, each made when it is asked for."""
        columns = (self._part, self._ts, self._extra, self._start, self._length)
        for part, ts, extra, start, length in zip(
            *(column[places].tolist() for column in columns), strict=True
        ):
            line = bytes(self._bytes[part][start : start + length]) if length > 0 else b""
            yield LogEntry(ts, line, *self._extras[extra])


class Entries(Sequence[LogEntry]):
    """Entries of a stream, in the order of the answer."""

    def __init__(self, read_from: Places, places: I64) -> None:
        self._from, self._places = read_from, places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[LogEntry]:
        return self._from.read(self._places)

    @overload
    def __getitem__(self, at: int) -> LogEntry: ...

    @overload
    def __getitem__(self, at: slice) -> "Entries": ...

    def __getitem__(self, at: int | slice) -> "LogEntry | Entries":
        if isinstance(at, slice):
            return Entries(self._from, self._places[at])
        return next(self._from.read(self._places[at].reshape(1)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Entries({list(self)!r})"


def _joined(parts: Sequence[I64] | Sequence[I32]) -> I64:
    return np.concatenate([np.zeros(0, np.int64), *parts])
