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
    if isinstance(column, HexColumn):
        classes = np.empty(len(out), np.int64)
        sc.hex_classes(column.values, bounds, classes)
        out[:, sc.CLASSES] = classes | classes_of(kind.layout.replace(b"x", b""))
        out[:, sc.MIN_LENGTH :] = len(kind.layout)
        return out
    assert isinstance(column, IntegerColumn)
    if kind.kind is HoleKind.TIME:
        months = b"JanFebMarAprMayJunJulAugSepOctNovDec" if b"b" in kind.layout else b""
        around = kind.layout.translate(None, b"YMDhmsfb") + months
        out[:, sc.CLASSES] = sv.DIGIT | classes_of(around)
        out[:, sc.MIN_LENGTH :] = len(kind.layout)
        return out
    found = np.empty((len(out), 4), np.int64)
    sc.number_bounds(column.values, bounds, found)
    if kind.kind is HoleKind.NUMBER and kind.least == kind.scale:
        # more digits on either side of zero the farther from it
        lengths = IntegerColumn(found.reshape(-1), kind).lengths().reshape(-1, 4)
        out[:, sc.MIN_LENGTH], out[:, sc.MAX_LENGTH] = lengths.min(axis=1), lengths.max(axis=1)
    else:
        lengths = column.lengths()
        out[:, sc.MIN_LENGTH] = np.minimum.reduceat(lengths, bounds[:-1])
        out[:, sc.MAX_LENGTH] = np.maximum.reduceat(lengths, bounds[:-1])
    out[:, sc.CLASSES] = _number_classes(kind, column, bounds, found)
    return out


def _number_classes(kind: HoleType, column: IntegerColumn, bounds: I64, found: I64) -> I64:
    """The classes of the bytes of numbers, cell by cell; `found` are their `number_bounds`."""
    classes = np.full(len(found), sv.DIGIT, np.int64)
    if kind.kind is HoleKind.IPV4:
        return classes | sv.DOT
    classes[found[:, sc.LOWEST] < 0] |= sv.MINUS
    if kind.least:
        classes |= sv.DOT
    elif kind.scale:
        broken = column.values % 10**kind.scale != 0
        classes[np.logical_or.reduceat(broken, bounds[:-1])] |= sv.DOT
    return classes
