"""What occurs in the values of each cell of a column? Classes of bytes, least and most bytes."""

import numpy as np

from narfi.core.columns import I64
from narfi.core.kernels import shape_cells as sc
from narfi.core.kernels import shape_values as sv
from storage.lines.holes import BytesColumn, HexColumn, HoleColumn, IntegerColumn, WordsColumn
from storage.lines.template import HoleKind, HoleType, classes_of


def stamps_of(kind: HoleType, column: HoleColumn, bounds: I64) -> I64:
    """The stamp (`shape_cells.CLASSES` …) of the values of each cell, `[cell, place]`.

    Exact, but that a time with the name of a month is said to have the letters of all months.
    """
    out = np.empty((len(bounds) - 1, 3), np.int64)
    if isinstance(column, WordsColumn):
        words = column.words
        each = np.empty((len(words), 3), np.int64)
        every = np.arange(len(words) + 1)
        sc.stamp_cells(words.data, words.start, words.length, every, each)
        sc.stamp_coded_cells(each[:, :2].reshape(-1).copy(), column.codes, bounds, out)
        return out
    if isinstance(column, BytesColumn):
        texts = column.values
        sc.stamp_cells(texts.data, texts.start, texts.length, bounds, out)
        return out
    lengths, first = column.lengths(), bounds[:-1]
    out[:, sc.MIN_LENGTH] = np.minimum.reduceat(lengths, first)
    out[:, sc.MAX_LENGTH] = np.maximum.reduceat(lengths, first)
    out[:, sc.CLASSES] = _classes(kind, column, first)
    return out


def _classes(kind: HoleType, column: HoleColumn, first: I64) -> I64:
    """The classes of the bytes that a typed column prints, cell by cell."""
    classes = np.zeros(len(first), np.int64)
    if isinstance(column, HexColumn):
        rest = classes_of(kind.layout.replace(b"x", b""))
        row = np.bitwise_or.reduce(_DIGITS[column.values], axis=1)
        return np.bitwise_or.reduceat(row, first) | rest
    assert isinstance(column, IntegerColumn)
    if kind.kind is HoleKind.TIME:
        months = b"JanFebMarAprMayJunJulAugSepOctNovDec" if b"b" in kind.layout else b""
        return classes | sv.DIGIT | classes_of(kind.layout.translate(None, b"YMDhmsfb") + months)
    if kind.kind is HoleKind.IPV4:
        return classes | sv.DIGIT | sv.DOT
    classes |= sv.DIGIT
    classes[np.minimum.reduceat(column.values, first) < 0] |= sv.MINUS
    if kind.least:
        classes |= sv.DOT
    elif kind.scale:
        broken = column.values % 10**kind.scale != 0
        classes[np.logical_or.reduceat(broken, first)] |= sv.DOT
    return classes


def _hex_classes() -> I64:
    """The classes of the two digits of each byte."""
    digit = np.where(np.arange(16) < 10, sv.DIGIT, sv.HEX_LOWER)
    byte = np.arange(256)
    found: I64 = (digit[byte >> 4] | digit[byte & 15]).astype(np.int64)
    return found


_DIGITS = _hex_classes()
