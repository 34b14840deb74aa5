"""Are the values of a stored column where they must be? Checked, and put together without nulls."""

from collections.abc import MutableMapping

import numpy as np
import pyarrow as pa

from narfi.core.columns import I32, I64, U8
from storage.block.footer import DamagedBlockError
from storage.block.format3.opening import OpenFamily
from storage.block.hole_columns import from_column
from storage.lines.holes import BytesColumn, WordsColumn
from storage.lines.shape_set import ShapeSet
from storage.lines.shared_column import SharedColumn

FEW_RUNS = 16
"""Of rows that have a value in a column: then each is copied, in a third of the time."""


def shared_column(
    family: OpenFamily,
    group: int,
    number: int,
    array: pa.Array,
    where: MutableMapping[int, U8],
) -> tuple[SharedColumn, int]:
    """The values of a column in a row group, and their memory; checked to be where they must be.

    `array` is what is stored: a place for each row. `where` remembers a bit for each row of the
    group that has a value, by the key of the owners of the column.
    """
    column, file = family.stored.columns[number], family.file
    owners = family.shapes.owners(number)
    bounds = family.bounds_in(group)
    first = bounds[owners.shapes]
    counts = bounds[owners.shapes + 1] - first
    starts = np.append(0, np.cumsum(counts))
    if array.null_count:
        low, high = joined_runs(first, counts)
        if len(low) <= FEW_RUNS:
            there = values_in(array, low, high)
        else:
            if owners.key not in where:
                where[owners.key] = bits_of_runs(first, counts, len(array))
            is_right = np.array_equal(valid_bits(array), where[owners.key])
            there = array.drop_null() if is_right else None
        if there is None:
            raise DamagedBlockError(file.key, f"column {column.name} has values elsewhere")
        array = there
    if len(array) != starts[-1]:
        raise DamagedBlockError(file.key, f"column {column.name} has not {starts[-1]} values")
    values = from_column(column.type, array)
    if isinstance(values, WordsColumn) and not has_valid_codes(values):
        raise DamagedBlockError(file.key, f"column {column.name} has codes without words")
    found = SharedColumn(values, owners.shapes, starts)
    if not is_as_stamped(family.shapes, number, found):
        raise DamagedBlockError(file.key, f"column {column.name} is not as its stamp")
    return found, found.nbytes()


def joined_runs(first: I64, counts: I64) -> tuple[I64, I64]:
    """Ascending runs of places as `[low, high)`, none empty, with those that touch put together."""
    filled = counts > 0
    low, high = first[filled], first[filled] + counts[filled]
    apart = low[1:] != high[:-1]
    return low[np.append(True, apart)[: len(low)]], high[np.append(apart, True)[: len(high)]]


def values_in(array: pa.Array, low: I64, high: I64) -> pa.Array | None:
    """A copy of the values in some runs; None unless an array has values there and nowhere else."""
    parts = [array.slice(a, b - a) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    size = sum(map(len, parts))
    if len(array) - array.null_count != size or any(part.null_count for part in parts):
        return None
    return pa.concat_arrays(parts) if parts else array.slice(0, 0)


def bits_of_runs(first: I64, counts: I64, size: int) -> U8:
    """A bit for each of so many places, the lowest first: those of runs, which do not overlap."""
    edges = np.zeros(size + 1, np.int8)
    there = counts > 0
    edges[first[there]] += 1
    edges[first[there] + counts[there]] -= 1
    return np.packbits(np.cumsum(edges[:-1], dtype=np.int8) > 0, bitorder="little")


def valid_bits(array: pa.Array) -> U8:
    """A bit for each place of an array that has nulls, as `bits_of_runs` has them."""
    stored, size = array.buffers()[0], len(array)
    if stored is None or array.offset:
        present = array.is_valid().to_numpy(zero_copy_only=False)
        return np.packbits(present, bitorder="little")
    found = np.frombuffer(stored, np.uint8, (size + 7) // 8)
    if not size % 8:
        return found
    found = found.copy()  # what stands behind the end means nothing
    found[-1] &= (1 << size % 8) - 1
    return found


def has_valid_codes(column: WordsColumn) -> bool:
    """Whether there is a word for each value."""
    low, high = column.codes.min(initial=0), column.codes.max(initial=-1)
    return bool(low >= 0 and high < len(column.words))


def is_as_stamped(shapes: ShapeSet, number: int, column: SharedColumn) -> bool:
    """Whether texts are as long as the stamps of their shapes say: lines are put together by it."""
    values = column.values
    if isinstance(values, WordsColumn):
        length: I32 = values.words.length[values.codes]
    elif isinstance(values, BytesColumn):
        length = values.values.length
    else:
        return True
    stamps = shapes.stamps
    mine = stamps.column == number
    filled = column.starts[1:] > column.starts[:-1]
    if not filled.any():
        return True
    first = column.starts[:-1][filled]
    least, most = np.minimum.reduceat(length, first), np.maximum.reduceat(length, first)
    return bool(
        (least >= stamps.least[mine][filled]).all() and (most <= stamps.most[mine][filled]).all()
    )
