"""What does each row of a batch say for one label? A protocol, and a small class for each form.

Every form answers alike; they differ in what costs nothing. Invariant: code -1, or length -1, means
that the row has no such label, which differs from the empty string.

Columns never change. What had to be computed for an answer (codes by hashing, texts by printing) is
kept for the next one who asks; two threads that ask at once may both compute it, and it is equal.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import (
    ABSENT,
    EMPTY_BYTES,
    I32,
    Mask,
    Spans,
    concat_spans,
    concat_spans_keeping_views,
)
from narfi.core.kernels.gather import encode_spans

F64 = NDArray[np.float64]
Rows = NDArray[np.integer] | Mask | slice
"""Rows of a column: indices, a mask or a run."""
KEPT_TEXTS, KEPT_CHARACTERS = 256, 8192
"""Different values that a column keeps as texts, and their characters together, at most."""


class LabelColumn(Protocol):
    """One label over n rows."""

    __slots__ = ()

    def __len__(self) -> int:
        """Number of rows."""
        ...

    @property
    def is_encoded(self) -> bool:
        """Whether codes cost nothing: values come cheaply from codes, codes only by hashing."""
        ...

    @property
    def spans(self) -> Spans:
        """The value of each row."""
        ...

    @property
    def codes(self) -> I32:
        """int32[n]: the place of each row's value in `values`, -1 where absent."""
        ...

    @property
    def values(self) -> Spans:
        """The value behind each code, each present; some may be of no row."""
        ...

    @property
    def texts(self) -> list[str]:
        """`values` as text (invalid UTF-8 kept by surrogateescape)."""
        ...

    def present(self) -> Mask:
        """Which rows have the label."""
        ...

    def take(self, rows: Rows) -> "LabelColumn":
        """The given rows."""
        ...

    def without(self, rows: Mask) -> "LabelColumn":
        """The column with the label removed where the mask is true."""
        ...

    def numbers(self) -> F64 | None:
        """What each row's text means as a number, where that costs no parsing; else None."""
        return None

    def bounds(self) -> tuple[float, float] | None:
        """Where all numbers lie, when every row has one and it is known without reading them."""
        return None

    def compact(self) -> "LabelColumn":
        """The same rows, without values that no row has: for few rows of a large column."""
        codes, values = self.codes, self.values
        if len(values) <= len(codes):
            return self
        used = np.unique(codes[codes >= 0])
        fewer = np.searchsorted(used, codes).astype(np.int32)
        fewer[codes < 0] = ABSENT
        return CodedColumn(fewer, values.take(used))

    def distinct(self) -> list[str]:
        """Its different values as texts, each of some row; in no order."""
        used = np.zeros(len(self.values) + 1, np.bool_)
        used[self.codes] = True  # the last one: absent
        chosen = self.values.take(np.flatnonzero(used[:-1])).to_list()
        return [(text or b"").decode("utf-8", "surrogateescape") for text in chosen]

    def over(self, under: "LabelColumn") -> "LabelColumn":
        """This column where present, else the other."""
        mine = self.present()
        if mine.all():
            return self
        a, b = self.spans, under.spans
        length = np.where(mine, a.length, b.length).astype(np.int32)
        if a.data is b.data:
            return SpansColumn(Spans(a.data, np.where(mine, a.start, b.start), length))
        # only what is used: the buffers may be whole lines, and of them a few bytes are labels
        mine_packed, other = a.take(mine).packed(), b.take(~mine).packed()
        start = np.empty(len(mine), np.int64)
        start[mine], start[~mine] = mine_packed.start, other.start + len(mine_packed.data)
        data = np.concatenate([mine_packed.data, other.data])
        return SpansColumn(Spans(data, start, length))


class CodedColumn(LabelColumn):
    """Codes into values: of a dictionary page, a stream table, or numbered by `SpansColumn`."""

    __slots__ = ("_distinct", "_spans", "_texts", "codes", "values")
    codes: I32
    values: Spans

    def __init__(self, codes: I32, values: Spans, texts: list[str] | None = None) -> None:
        """`texts` are the values, where somebody decoded them before."""
        self.codes, self.values = codes, values
        self._texts = texts
        self._distinct: list[str] | None = None
        self._spans: Spans | None = None

    @staticmethod
    def constant(value: bytes, rows: int) -> "CodedColumn":
        """The same value in every row."""
        return CodedColumn(np.zeros(rows, np.int32), Spans.of([value]))

    @staticmethod
    def absent(rows: int) -> "CodedColumn":
        """No row has the label."""
        return CodedColumn(np.full(rows, ABSENT, np.int32), Spans.of([]))

    def __len__(self) -> int:
        return len(self.codes)

    def distinct(self) -> list[str]:
        """A few that are short are kept."""
        if self._distinct is not None:
            return self._distinct
        found = super().distinct()
        if len(found) <= KEPT_TEXTS and sum(map(len, found)) <= KEPT_CHARACTERS:
            self._distinct = found
        return found

    @property
    def is_encoded(self) -> bool:
        """They are its codes."""
        return True

    @property
    def spans(self) -> Spans:
        """Views of the values."""
        if self._spans is None:
            self._spans = _behind(self.codes, self.values)
        return self._spans

    @property
    def texts(self) -> list[str]:
        """Decoded once; columns that are taken of this one share them."""
        if self._texts is None:
            self._texts = [
                (v or b"").decode("utf-8", "surrogateescape") for v in self.values.to_list()
            ]
        return self._texts

    def present(self) -> Mask:
        """Where there is a code."""
        return self.codes >= 0

    def take(self, rows: Rows) -> "CodedColumn":
        """The codes of the rows, with the same values."""
        return CodedColumn(self.codes[rows], self.values, self._texts)

    def without(self, rows: Mask) -> "CodedColumn":
        """With code -1 there."""
        codes = np.where(rows, np.int32(ABSENT), self.codes).astype(np.int32)
        return CodedColumn(codes, self.values)


def _behind(codes: I32, values: Spans) -> Spans:
    """The value of each code."""
    if len(values) == 0:
        n = len(codes)
        return Spans(EMPTY_BYTES, np.zeros(n, np.int64), np.full(n, ABSENT, np.int32))
    safe = np.maximum(codes, 0)
    length = np.where(codes < 0, np.int32(ABSENT), values.length[safe])
    return Spans(values.data, values.start[safe], length.astype(np.int32))


class SpansColumn(LabelColumn):
    """Each row's bytes somewhere in a buffer, mostly that of the lines."""

    __slots__ = ("_coded", "spans")
    spans: Spans

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self._coded: CodedColumn | None = None

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def is_encoded(self) -> bool:
        """Once somebody asked for codes."""
        return self._coded is not None

    @property
    def codes(self) -> I32:
        """By hashing, in order of first appearance."""
        return self._encoded().codes

    @property
    def values(self) -> Spans:
        """The distinct ones."""
        return self._encoded().values

    @property
    def texts(self) -> list[str]:
        """The distinct ones."""
        return self._encoded().texts

    def present(self) -> Mask:
        """Where there is a length."""
        return self.spans.length >= 0

    def take(self, rows: Rows) -> LabelColumn:
        """The places of the rows; with their codes, if they are known."""
        if self._coded is not None:
            return self._coded.take(rows)
        return SpansColumn(self.spans.take(rows))

    def without(self, rows: Mask) -> LabelColumn:
        """With length -1 there."""
        if self._coded is not None:
            return self._coded.without(rows)
        return _without(self.spans, rows)

    def _encoded(self) -> CodedColumn:
        if self._coded is None:
            spans = self.spans
            n = len(spans)
            size = 16
            while size < 2 * n + 2:
                size *= 2
            codes, firsts = np.empty(n, np.int32), np.empty(n, np.int64)
            table = np.full(size, -1, np.int64)
            count = encode_spans(spans.data, spans.start, spans.length, table, codes, firsts)
            self._coded = CodedColumn(codes, spans.take(firsts[:count]))
        return self._coded


def _without(spans: Spans, rows: Mask) -> SpansColumn:
    length = np.where(rows, np.int32(ABSENT), spans.length).astype(np.int32)
    return SpansColumn(Spans(spans.data, spans.start, length))


class TypedTexts(Protocol):
    """Texts that are kept as something else, every row present; printed only when asked."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def take(self, rows: Rows) -> "TypedTexts":
        """The given rows."""
        ...

    def spans(self) -> Spans:
        """The texts."""
        ...

    def encoded(self) -> tuple[I32, Spans]:
        """(code of each row, distinct texts)."""
        ...

    def numbers(self) -> F64 | None:
        """The number that each text means, exactly as parsing would give it; else None."""
        ...

    def bounds(self) -> tuple[float, float] | None:
        """No number is below the first or above the second; None when that is not known."""
        ...


class TypedColumn(LabelColumn):
    """Values that are kept as something else: printed, numbered or counted when that is asked."""

    __slots__ = ("_coded", "_spans", "_typed")

    def __init__(self, typed: TypedTexts) -> None:
        self._typed = typed
        self._coded: CodedColumn | None = None
        self._spans: Spans | None = None

    def __len__(self) -> int:
        return len(self._typed)

    @property
    def is_encoded(self) -> bool:
        """Once somebody asked for codes."""
        return self._coded is not None

    @property
    def spans(self) -> Spans:
        """By printing."""
        if self._spans is None:
            self._spans = self._typed.spans()
        return self._spans

    @property
    def codes(self) -> I32:
        """By numbering what is kept."""
        return self._encoded().codes

    @property
    def values(self) -> Spans:
        """Each distinct one printed once."""
        return self._encoded().values

    @property
    def texts(self) -> list[str]:
        """Each distinct one printed once."""
        return self._encoded().texts

    def numbers(self) -> F64 | None:
        """Those that are kept, where none can differ by rounding from what its text says."""
        return self._typed.numbers()

    def bounds(self) -> tuple[float, float] | None:
        """Where all numbers lie, when it is known without reading them."""
        return self._typed.bounds()

    def present(self) -> Mask:
        """Everywhere."""
        return np.ones(len(self._typed), np.bool_)

    def take(self, rows: Rows) -> "TypedColumn":
        """What is kept of the rows."""
        return TypedColumn(self._typed.take(rows))

    def without(self, rows: Mask) -> LabelColumn:
        """Not typed any more, unless nothing is removed."""
        if not rows.any():
            return self
        return _without(self.spans, rows) if self._coded is None else self._coded.without(rows)

    def _encoded(self) -> CodedColumn:
        if self._coded is None:
            self._coded = CodedColumn(*self._typed.encoded())
        return self._coded


def concat_columns(parts: Sequence[LabelColumn]) -> LabelColumn:
    """Rows of all parts, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    if not all(part.is_encoded for part in parts):
        return SpansColumn(concat_spans_keeping_views([part.spans for part in parts]))
    tables = {id(part.values): part.values for part in parts}
    if len(tables) == 1:
        return CodedColumn(np.concatenate([part.codes for part in parts]), parts[0].values)
    values = SpansColumn(concat_spans(list(tables.values())))
    into, at = {}, 0
    for key, table in tables.items():
        size = len(table)
        into[key] = np.append(values.codes[at : at + size], np.int32(ABSENT))
        at += size
    # code -1 picks the last place: absent
    mapped = [into[id(part.values)][part.codes] for part in parts]
    return CodedColumn(np.concatenate(mapped), values.values)
