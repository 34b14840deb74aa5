"""How are numbers of a field written? By trial on one page, remembered for the fields of a family.

What is smallest depends on what the numbers are: few ones, counters, times, sizes. It stays so from
block to block, so a field is tried once (and anew when its type changes). A decision that does not
fit any more costs bytes, nothing else.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I64
from narfi.core.kernels.shape_values import count_distinct
from narfi.core.tenant import TenantId
from storage.lines.holes import HoleColumn, IntegerColumn
from storage.lines.template import HoleKind

DICTIONARY, DELTA = "RLE_DICTIONARY", "DELTA_BINARY_PACKED"
SPLIT, PLAIN = "BYTE_STREAM_SPLIT", "PLAIN"
PAGE = 2048
"""Values that are tried, side by side."""
MIN_TRIED = 2048
MIN_GUESSED = 256
"""Fewer values are deltas, unless they are a dictionary."""
NEAR_SHARE = 8
"""Neighbours are near each other when they differ by so much less than all do."""
FEW_SHARE = 4
"""A dictionary is tried when each number is there so often on average."""
LEVEL = 1
MAX_REMEMBERED = 1 << 16

Field = tuple[TenantId, str, str]
"""Tenant, an app of the family, name of the column."""


class Encodings:
    """What was decided, of one store; thread-safe. What was not used for longest is forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[object, ...], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, field: Field, column: HoleColumn) -> str | None:
        """The Parquet encoding of the field; None where there is nothing to decide."""
        if not isinstance(column, IntegerColumn) or len(column) < MIN_TRIED:
            return encoding_of(column)
        key = (*field, column.type.kind, column.type.scale)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        found = encoding_of(column)
        assert found is not None
        with self._lock:
            self._known[key] = found
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return found


def encoding_of(column: HoleColumn) -> str | None:
    """The Parquet encoding of a column; None where there is nothing to decide."""
    if not isinstance(column, IntegerColumn):
        return None
    values = column.values
    if len(values) < MIN_TRIED:
        return guessed(values)
    return smallest(values, narrow=column.type.kind is HoleKind.IPV4)


def guessed(values: I64) -> str:
    """The encoding of few values: a trial would cost more than it saves, or decide by chance."""
    if is_few(values):
        return DICTIONARY
    if len(values) < MIN_GUESSED:
        return DELTA
    spread = float(values.max()) - float(values.min()) + 1.0
    steps = float(np.abs(np.diff(values)).mean()) + 1.0
    return DELTA if steps < spread / NEAR_SHARE else SPLIT  # near ones: times, counters


def smallest(values: I64, *, narrow: bool = False) -> str:
    """The encoding in which a page of the values takes least; `narrow`: as they fit an int32."""
    first = max(0, (len(values) - PAGE) // 2)
    page = values[first : first + PAGE]
    tried = [DELTA, SPLIT, PLAIN, *([DICTIONARY] if is_few(page) else [])]
    array = pa.array(page.astype(np.uint32).view(np.int32) if narrow else page)
    sizes = page_sizes(array, tried)
    return min(tried, key=lambda encoding: sizes[encoding])


def is_few(values: I64) -> bool:
    """Whether there are few distinct numbers, each of them often."""
    limit = len(values) // FEW_SHARE
    size = 16
    while size < 2 * limit + 2:
        size *= 2
    table, used = np.empty(size, np.int64), np.zeros(size, np.int64)
    return count_distinct(values, limit, table, used) <= limit


def page_sizes(array: pa.Array, encodings: Sequence[str]) -> dict[str, int]:
    """Bytes of a page of the values in each encoding, with zstd."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(dict.fromkeys(encodings, array)),
        sink,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[encoding for encoding in encodings if encoding == DICTIONARY],
        column_encoding={name: name for name in encodings if name != DICTIONARY},
        write_statistics=False,
        store_schema=False,
    )
    written = pq.read_metadata(pa.BufferReader(sink.getvalue())).row_group(0)
    return {name: written.column(k).total_compressed_size for k, name in enumerate(encodings)}
