"""Do the columns of a family print its lines? A sample of each shape is compared, byte by byte.

Columns are printed once for all shapes; one call puts constants and values together.
"""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import I64, Mask, Spans
from narfi.core.kernels.shape_cells import compare_printed, sample_places
from storage.block.family import FamilyColumn, FamilyShape
from storage.block.shapes.encode import CHECKED_SHARE


def prints(shapes: Sequence[FamilyShape], columns: Sequence[FamilyColumn], lines: Spans) -> Mask:
    """Which shapes print their lines, by a sample; `lines` are those of the block."""
    sizes = np.array([len(shape.rows) for shape in shapes], np.int64)
    wanted = lines.take(np.concatenate([shape.rows[::CHECKED_SHARE] for shape in shapes]))
    counts = -(-sizes // CHECKED_SHARE)
    values = _printed(shapes, columns, sizes)
    value_from = _from(np.array([len(found) for found in values], np.int64))
    texts: list[bytes] = []
    pieces: list[int] = []
    piece_from = np.zeros(len(shapes) + 1, np.int64)
    for number, shape in enumerate(shapes):
        for constant, place in zip(shape.template.constants, (*shape.columns, -1), strict=True):
            if constant:
                pieces.append(~len(texts))
                texts.append(constant)
            if place >= 0:
                pieces.append(place)
        piece_from[number + 1] = len(pieces)
    constants, nowhere = Spans.of(texts), np.zeros(0, np.int64)
    out = np.zeros(len(shapes), np.bool_)
    compare_printed(
        wanted.data,
        wanted.start,
        wanted.length,
        _from(counts),
        piece_from,
        np.array(pieces, np.int64),
        constants.data,
        constants.start,
        constants.length,
        np.concatenate([nowhere, *(found.start + found.data.ctypes.data for found in values)]),
        np.concatenate([nowhere.astype(np.int32), *(found.length for found in values)]),
        value_from,
        out,
    )
    return out


def _printed(
    shapes: Sequence[FamilyShape], columns: Sequence[FamilyColumn], sizes: I64
) -> list[Spans]:
    """The sampled values of each column, printed."""
    owners: list[list[int]] = [[] for _ in columns]
    for number, shape in enumerate(shapes):
        for place in shape.columns:
            owners[place].append(number)
    places: dict[tuple[int, ...], I64] = {}
    found = []
    for column, mine in zip(columns, owners, strict=True):
        key = tuple(mine)
        if key not in places:
            places[key] = _sample(sizes[mine])
        found.append(column.values.take(places[key]).spans())
    return found


def _sample(sizes: I64) -> I64:
    """The sampled places of shapes of such sizes, one behind the other."""
    bounds = _from(sizes)
    out = np.empty(int((-(-sizes // CHECKED_SHARE)).sum()), np.int64)
    sample_places(bounds, CHECKED_SHARE, out)
    return out


def _from(sizes: I64) -> I64:
    bounds = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    return bounds
