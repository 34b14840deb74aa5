"""How does a shape become lines again? Constants and printed holes, piece by piece."""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import I32, I64, U8, Spans
from narfi.core.kernels.shape_print import write_constant
from storage.lines.holes import HoleColumn
from storage.lines.template import Template

CHUNK_ROWS = 4096
"""Rows written at a time, so that their bytes stay in the cache from piece to piece."""


def line_lengths(template: Template, columns: Sequence[HoleColumn], rows: int) -> I32:
    """Bytes of each line."""
    total = np.full(rows, template.constant_bytes, np.int32)
    for hole, column in zip(template.holes, columns, strict=True):
        total += hole.min_length if hole.min_length == hole.max_length else column.lengths()
    return total


def decode_lines(template: Template, columns: Sequence[HoleColumn], rows: int) -> Spans:
    """The lines of all rows, one behind the other."""
    length = line_lengths(template, columns, rows)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(length, out=offsets[1:])
    out = np.empty(int(offsets[-1]), np.uint8)
    write_lines(template, columns, offsets[:-1].copy(), out)
    return Spans(out, offsets[:-1].copy(), length)


def write_lines(template: Template, columns: Sequence[HoleColumn], at: I64, out: U8) -> None:
    """Write each line at its place, and move the place behind it."""
    rows = len(at)
    for first in range(0, rows, CHUNK_ROWS):
        chunk = slice(first, min(first + CHUNK_ROWS, rows))
        mine = columns if rows <= CHUNK_ROWS else [column.take(chunk) for column in columns]
        _write(template, mine, at[chunk], out)


def _write(template: Template, columns: Sequence[HoleColumn], at: I64, out: U8) -> None:
    for piece in template.pieces:
        if isinstance(piece, int):
            columns[piece].write(at, out)
        else:
            write_constant(np.frombuffer(piece, np.uint8), at, out)
