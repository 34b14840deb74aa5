"""What stands in the cells of many shapes at once? A cell is one hole in the lines of one shape.

The values of a cell lie one behind the other, those of cell c at places `bounds[c]` to
`bounds[c + 1]`. One call looks at all cells of a family: a call for each would cost more than the
values of a shape of few lines.
"""

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from narfi.core.kernels.address import load8
from narfi.core.kernels.jit import kernel
from narfi.core.kernels.shape_values import CLASS_OF, DIGIT, HEX_LOWER, profile

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
B1 = NDArray[np.bool_]

CLASSES, MIN_LENGTH, MAX_LENGTH = 0, 1, 2
"""Places in a stamp."""

# memcmp(a, b, size) -> 0 when equal; addresses as integers
_memcmp: Any = types.ExternalFunction("memcmp", types.int32(types.intp, types.intp, types.intp))


@kernel(
    "void(cu8, ci64, ci32, ci64, ci64, ci64, cu8, ci64, cu8, cu16, cu16, cu8, int64[::1],"
    " int32[::1], boolean[::1])"
)
def gather_cells(
    data: U8,
    start: I64,
    length: I32,
    lines: I64,
    group_from: I64,
    place_from: I64,
    cut: U8,
    hole_from: I64,
    hole_count: U8,
    hole_start: U16,
    hole_length: U16,
    hole_kind: U8,
    out_start: I64,
    out_length: I32,
    fits: B1,
) -> None:
    """The holes of the lines of all groups, cell after cell.

    Line i is `data[start[i] : … + length[i]]` and was cut as number `lines[i]`; those of group g
    are `group_from[g]` to `group_from[g + 1]`, and hole k of its n lines gets the places from
    `place_from[g] + k * n`. `fits` is false where a line is not cut as the first of its group
    (equal hashes by chance): constants are compared byte by byte, and the line's places are not
    filled.
    """
    base = data.ctypes.data
    for g in range(group_from.shape[0] - 1):
        first = group_from[g]
        rows = group_from[g + 1] - first
        model = lines[first]
        wanted = np.int64(hole_count[model])
        from_model = hole_from[model]
        there = start[first]
        for i in range(rows):
            line = lines[first + i]
            here = start[first + i]
            from_here = hole_from[line]
            good = cut[line] == cut[model] and hole_count[line] == wanted
            at, model_at = np.int64(0), np.int64(0)
            k = np.int64(0)
            while good and k <= wanted:
                if k < wanted:
                    stop = np.int64(hole_start[from_here + k])
                    model_stop = np.int64(hole_start[from_model + k])
                    good = hole_kind[from_here + k] == hole_kind[from_model + k]
                else:
                    stop, model_stop = np.int64(length[first + i]), np.int64(length[first])
                size = stop - at
                if not good or size != model_stop - model_at:
                    good = False
                elif size > 0 and _memcmp(base + here + at, base + there + model_at, size) != 0:
                    good = False
                elif k < wanted:
                    place = place_from[g] + k * rows + i
                    out_start[place] = here + stop
                    out_length[place] = hole_length[from_here + k]
                    at = stop + hole_length[from_here + k]
                    model_at = model_stop + hole_length[from_model + k]
                k += 1
            fits[first + i] = good


@kernel("void(cu8, ci64, ci32, ci64, boolean[::1])")
def same_cells(data: U8, start: I64, length: I32, bounds: I64, out: B1) -> None:
    """Whether all values of each cell are equal; no cell is empty."""
    base = data.ctypes.data
    for c in range(bounds.shape[0] - 1):
        first = bounds[c]
        size, model = length[first], base + start[first]
        same = True
        for i in range(first + 1, bounds[c + 1]):
            if length[i] != size or (size > 0 and _memcmp(base + start[i], model, size) != 0):
                same = False
                break
        out[c] = same


@kernel("void(cu8, ci64, ci32, ci64, int64[:, ::1])")
def profile_cells(data: U8, start: I64, length: I32, bounds: I64, out: I64) -> None:
    """The profile of each cell as `shape_values.profile` has it; no cell is empty."""
    for c in range(bounds.shape[0] - 1):
        profile(
            data,
            start[bounds[c] : bounds[c + 1]],
            length[bounds[c] : bounds[c + 1]],
            out[c],
        )


@kernel("void(cu8, ci64, ci32, ci64, int64[:, ::1])")
def stamp_cells(data: U8, start: I64, length: I32, bounds: I64, out: I64) -> None:
    """(OR of the classes of the bytes, least and most bytes) of each cell; no cell is empty."""
    base = data.ctypes.data
    for c in range(bounds.shape[0] - 1):
        first = bounds[c]
        classes = 0
        low = high = length[first]
        for i in range(first, bounds[c + 1]):
            size = length[i]
            low = min(low, size)
            high = max(high, size)
            at = base + start[i]
            end = at + size
            while at < end:
                classes |= CLASS_OF[np.uint64(load8(at))]
                at += 1
        out[c, CLASSES] = classes
        out[c, MIN_LENGTH] = low
        out[c, MAX_LENGTH] = high


@kernel("void(ci64, ci32, ci64, int64[:, ::1])")
def stamp_coded_cells(word: I64, code: I32, bounds: I64, out: I64) -> None:
    """The stamp of each cell of codes; word w has the classes and bytes `word[2 w : 2 w + 2]`."""
    for c in range(bounds.shape[0] - 1):
        classes = np.int64(0)
        low = high = word[2 * code[bounds[c]] + 1]
        for i in range(bounds[c], bounds[c + 1]):
            at = 2 * np.int64(code[i])
            classes |= word[at]
            low = min(low, word[at + 1])
            high = max(high, word[at + 1])
        out[c, CLASSES] = classes
        out[c, MIN_LENGTH] = low
        out[c, MAX_LENGTH] = high


@kernel("void(cu8x2, ci64, int64[::1])")
def hex_classes(values: U8, bounds: I64, out: I64) -> None:
    """The classes of the hex digits of each cell; values are bytes, `[value, byte]`."""
    both = DIGIT | HEX_LOWER
    for c in range(bounds.shape[0] - 1):
        classes = 0
        for i in range(bounds[c], bounds[c + 1]):
            for k in range(values.shape[1]):
                byte = values[i, k]
                classes |= DIGIT if byte >> 4 < 10 else HEX_LOWER
                classes |= DIGIT if byte & 15 < 10 else HEX_LOWER
            if classes == both:
                break
        out[c] = classes


LOWEST, BELOW, ABOVE, HIGHEST = range(4)
"""Places in what `number_bounds` fills: the number nearest to zero on either side, and the ends."""


@kernel("void(ci64, ci64, int64[:, ::1])")
def number_bounds(values: I64, bounds: I64, out: I64) -> None:
    """Least and greatest number of each cell, and of those below 0 and not below the nearest to it.

    Where a side has none its place has the nearest number of the other one.
    """
    for c in range(bounds.shape[0] - 1):
        low = high = values[bounds[c]]
        below, above = np.int64(-(1 << 62)), np.int64(1 << 62)
        for i in range(bounds[c], bounds[c + 1]):
            value = values[i]
            low, high = min(low, value), max(high, value)
            if value < 0:
                below = max(below, value)
            else:
                above = min(above, value)
        out[c, LOWEST], out[c, HIGHEST] = low, high
        out[c, BELOW] = below if low < 0 else low
        out[c, ABOVE] = above if high >= 0 else high


@kernel("void(cu64, ci64, boolean[::1])")
def alike_cells(hashes: U64, bounds: I64, out: B1) -> None:
    """Whether all hashes of each cell are equal."""
    for c in range(bounds.shape[0] - 1):
        same = True
        for i in range(bounds[c] + 1, bounds[c + 1]):
            if hashes[i] != hashes[bounds[c]]:
                same = False
                break
        out[c] = same


@kernel("int64(ci64, int64, int64[::1])")
def sample_places(bounds: I64, step: int, out: I64) -> int:
    """Every `step`-th place of each cell, from its first on; returns how many there are."""
    count = 0
    for c in range(bounds.shape[0] - 1):
        for place in range(bounds[c], bounds[c + 1], step):
            out[count] = place
            count += 1
    return count


@kernel(
    "void(cu8, ci64, ci32, ci64, ci64, ci64, cu8, ci64, ci32, ci64, ci32, ci64, boolean[::1])",
    allocates=True,
)
def compare_printed(
    data: U8,
    start: I64,
    length: I32,
    shape_from: I64,
    piece_from: I64,
    piece: I64,
    texts: U8,
    text_start: I64,
    text_length: I32,
    value_at: I64,
    value_length: I32,
    value_from: I64,
    out: B1,
) -> None:
    """Whether each shape's pieces, one behind the other, are its lines.

    Lines of shape s are `shape_from[s]` to `shape_from[s + 1]`, its pieces `piece_from[s]` to
    `piece_from[s + 1]` of `piece`: column c, or ~t for text t. The printed values of column c begin
    at `value_from[c]`, those of its shapes one behind the other; `value_at` are addresses.
    """
    base, constant = data.ctypes.data, texts.ctypes.data
    used = value_from.copy()
    for s in range(shape_from.shape[0] - 1):
        first = shape_from[s]
        good = True
        for i in range(first, shape_from[s + 1]):
            at = base + start[i]
            end = at + length[i]
            for p in range(piece_from[s], piece_from[s + 1]):
                which = piece[p]
                if which < 0:
                    place, size = constant + text_start[~which], np.int64(text_length[~which])
                else:
                    v = used[which] + i - first
                    place, size = value_at[v], np.int64(value_length[v])
                if size > end - at or (size > 0 and _memcmp(at, place, size) != 0):
                    good = False
                    break
                at += size
            if at != end:
                good = False
            if not good:
                break
        out[s] = good
        for p in range(piece_from[s], piece_from[s + 1]):
            if piece[p] >= 0:
                used[piece[p]] += shape_from[s + 1] - first
