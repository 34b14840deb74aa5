"""What are texts that are made of other texts? Parts of a row, printed only when bytes are read.

A line that a template repeats five hundred times has a length long before anybody looks at a byte
of it, and most queries never do. `ComposedLines` are lines of such texts.
Invariant: every answer equals that of the printed texts (tests/storage/lines/test_composed.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, U8, Mask, Spans
from narfi.core.kernels.shape_print import write_constant, write_spans
from storage.lines.base import LineColumn, LineShape
from storage.lines.plain import PlainLines
from storage.lines.template import Template
from storage.lines.texts import Rows, Texts, printed

Charge = Callable[[int], None]
"""Told how many bytes are about to be printed; may raise."""

PLACE_BYTES = 12
"""Of a printed text beside its bytes: where it begins, and its length."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The same text in every row."""

    text: bytes
    rows: int

    def __len__(self) -> int:
        return self.rows

    def take(self, rows: Rows) -> "Constant":
        """As many as are taken."""
        return Constant(self.text, len(np.arange(self.rows)[rows]))

    def lengths(self) -> I32:
        """Bytes of each text."""
        return np.full(self.rows, len(self.text), np.int32)

    def write(self, at: I64, out: U8) -> None:
        """Write it in every row."""
        write_constant(np.frombuffer(self.text, np.uint8), at, out)

    def spans(self) -> Spans:
        """One text that every row shows."""
        data = np.frombuffer(self.text, np.uint8)
        return Spans(data, np.zeros(self.rows, np.int64), self.lengths())


@dataclass(frozen=True, slots=True)
class LineTexts:
    """The lines themselves, decoded only when they are written."""

    lines: LineColumn

    def __len__(self) -> int:
        return len(self.lines)

    def take(self, rows: Rows) -> "LineTexts":
        """The given rows."""
        return LineTexts(self.lines.take(rows))

    def lengths(self) -> I32:
        """Bytes of each line."""
        return self.lines.lengths()

    def write(self, at: I64, out: U8) -> None:
        """Copy each line."""
        spans = self.lines.spans()
        write_spans(spans.data, spans.start, spans.length, at, out)

    def spans(self) -> Spans:
        """As the lines have them."""
        return self.lines.spans()


@dataclass(frozen=True, slots=True)
class Repeated:
    """Each text so many times, one behind the other."""

    texts: Texts
    times: int

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Rows) -> "Repeated":
        """The given rows."""
        return Repeated(self.texts.take(rows), self.times)

    def lengths(self) -> I32:
        """Bytes of each text."""
        return self.texts.lengths() * np.int32(self.times)

    def write(self, at: I64, out: U8) -> None:
        """Written once, then what is there is copied behind itself, twice as much each time."""
        if self.times == 0:
            return
        first = at.copy()
        self.texts.write(at, out)
        size, done = (at - first).astype(np.int32), 1
        while done < self.times:
            more = min(done, self.times - done)
            write_spans(out, first, size * np.int32(more), at, out)
            done += more

    def spans(self) -> Spans:
        """The printed texts."""
        return printed(self)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One text where the mask is true, another one elsewhere."""

    where: Mask
    texts: Texts
    others: Texts

    def __len__(self) -> int:
        return len(self.where)

    def take(self, rows: Rows) -> "Chosen":
        """The given rows."""
        return Chosen(self.where[rows], self.texts.take(rows), self.others.take(rows))

    def lengths(self) -> I32:
        """Bytes of each text."""
        return np.where(self.where, self.texts.lengths(), self.others.lengths()).astype(np.int32)

    def write(self, at: I64, out: U8) -> None:
        """Each side writes its own rows."""
        for texts, rows in (
            (self.texts, np.flatnonzero(self.where)),
            (self.others, np.flatnonzero(~self.where)),
        ):
            places = at[rows]
            texts.take(rows).write(places, out)
            at[rows] = places

    def spans(self) -> Spans:
        """The printed texts."""
        return printed(self)


@dataclass(frozen=True, slots=True)
class Joined:
    """Parts of one row behind each other; there is at least one."""

    parts: tuple[Texts, ...]

    def __len__(self) -> int:
        return len(self.parts[0])

    def take(self, rows: Rows) -> "Joined":
        """The given rows."""
        return Joined(tuple(part.take(rows) for part in self.parts))

    def lengths(self) -> I32:
        """Bytes of each text."""
        total = np.zeros(len(self), np.int32)
        for part in self.parts:
            total += part.lengths()
        return total

    def write(self, at: I64, out: U8) -> None:
        """Part after part."""
        for part in self.parts:
            part.write(at, out)

    def spans(self) -> Spans:
        """The printed texts."""
        return printed(self)


class ComposedLines:
    """A `LineColumn` of texts; `charge` is told before they are printed, once."""

    __slots__ = ("_charge", "_printed", "_texts")

    def __init__(self, texts: Texts, charge: Charge) -> None:
        self._texts, self._charge = texts, charge
        self._printed: PlainLines | None = None

    def __len__(self) -> int:
        return len(self._texts)

    def spans(self) -> Spans:
        """All lines, printed."""
        return self._plain().spans()

    def lengths(self) -> I32:
        """Bytes of each line."""
        return self._texts.lengths()

    def contains(self, needle: bytes) -> Mask:
        """Which of the printed lines contain the bytes."""
        return self._plain().contains(needle)

    def matches(self, pattern: str) -> Mask:
        """Which of the printed lines a search finds."""
        return self._plain().matches(pattern)

    def about_bytes(self, mean: float) -> int:
        """Their sizes are known."""
        return self.nbytes()

    def parts(self, certain: Callable[[Template], bool] | None = None) -> Sequence[Rows]:
        """All together."""
        return [np.arange(len(self))]

    def shape(self) -> LineShape | None:
        """None is known."""
        return None

    def take(self, rows: Rows) -> LineColumn:
        """The given rows; shares what was printed."""
        if self._printed is not None:
            return self._printed.take(rows)
        return ComposedLines(self._texts.take(rows), self._charge)

    def nbytes(self) -> int:
        """Sum of the line lengths."""
        return int(self.lengths().sum(dtype=np.int64))

    def _plain(self) -> PlainLines:
        if self._printed is None:
            self._printed = PlainLines(print_texts(self._texts, self._charge))
        return self._printed


def print_texts(texts: Texts, charge: Charge) -> Spans:
    """The printed texts, which are charged before that."""
    charge(int(texts.lengths().sum(dtype=np.int64)) + PLACE_BYTES * len(texts))
    return texts.spans()


def joined(parts: Sequence[Texts]) -> Texts:
    """The parts of each row; a lone one is that itself."""
    return parts[0] if len(parts) == 1 else Joined(tuple(parts))
