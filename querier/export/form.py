"""What is a form of an export? What begins it, what becomes of a batch of entries, what ends it.

Text forms are rows: what a form says of labels is put together once for each distinct set, and a
kernel puts it around the lines.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from narfi.core.columns import I32, I64, U8
from narfi.core.kernels.row_text import row_ends, write_rows
from querier.logs.entries import EntryRows, Extras
from querier.result import LabelPairs


@dataclass(frozen=True, slots=True)
class Encoded:
    """Entries in a form; `ends`: behind which bytes it may be cut, of each entry; None: nowhere."""

    data: bytes | memoryview
    ends: I64 | None

    def up_to(self, most_bytes: int) -> "tuple[Encoded, int]":
        """The entries that fit into so many bytes, and how many they are."""
        if self.ends is None:
            return Encoded(b"", None), 0
        rows = int(np.searchsorted(self.ends, most_bytes, side="right"))
        size = int(self.ends[rows - 1]) if rows else 0
        return Encoded(self.data[:size], self.ends[:rows]), rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an export ended."""

    rows: int
    warnings: Sequence[Mapping[str, object]]  # as they are shown
    trouble: str = ""  # why it is not whole


class Form(Protocol):
    """Writes one export; one thread at a time."""

    media_type: str
    extension: str

    def begin(self) -> bytes:
        """What stands in front of all entries."""
        ...

    def batch(self, rows: EntryRows) -> Encoded:
        """Entries, in their order."""
        ...

    def end(self, ending: Ending) -> bytes | None:
        """What stands behind them; None where the form cannot say that it is not whole."""
        ...


Piece = Callable[[LabelPairs, Extras], bytes]
"""What is written of the labels of an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowForm:
    """How each entry becomes a row (narfi/core/kernels/row_text.py)."""

    lines: int
    times: int
    head: bytes
    before: Piece  # the line
    after: Piece

    def of(self, rows: EntryRows) -> Encoded:
        """All rows."""
        columns = rows.columns
        several = max(len(rows.extras), 1)
        pair = columns.labels.astype(np.int64) * several + columns.extras
        used, where = np.unique(pair, return_inverse=True)
        codes: I32 = where.astype(np.int32)
        sets = [(rows.labels[one // several], rows.extras[one % several]) for one in used.tolist()]
        before, before_ends = _joined([self.before(*one) for one in sets])
        after, after_ends = _joined([self.after(*one) for one in sets])
        spans, head = columns.lines, np.frombuffer(self.head, np.uint8)
        ends = np.empty(len(rows), np.int64)
        start, length = spans.start, spans.length
        row_ends(
            spans.data,
            start,
            length,
            columns.ts,
            codes,
            len(head),
            np.diff(before_ends).astype(np.int32),
            np.diff(after_ends).astype(np.int32),
            self.lines,
            self.times,
            ends,
        )
        out = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
        write_rows(
            spans.data,
            start,
            length,
            columns.ts,
            codes,
            head,
            before,
            before_ends,
            after,
            after_ends,
            self.lines,
            self.times,
            ends,
            out,
        )
        return Encoded(out.data, ends)


def _joined(pieces: Sequence[bytes]) -> tuple[U8, I64]:
    ends = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=ends[1:])
    return np.frombuffer(b"".join(pieces), np.uint8), ends
