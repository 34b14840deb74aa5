"""How are the times, places and structured metadata of rows read? From rows.parquet, checked."""

from functools import partial
from typing import cast

import numpy as np

from narfi.core.columns import I32, I64
from storage.block.footer import DamagedBlockError
from storage.block.format3.access import Access
from storage.block.format3.opening import Families
from storage.block.format3.parquet import read_together, single
from storage.block.format3.rows_file import TIME_COLUMNS, times_of
from storage.block.layout import METADATA_PREFIX, METADATA_REST, ROW_COLUMN
from storage.block.metadata import from_arrow
from storage.lines.shaped import Index
from storage.metadata import Metadata, concat_metadata
from storage.scan import Columns


def read_times_and_rows(found: Families, access: Access) -> tuple[I64, list[I32]]:
    """The timestamps of all rows in ns; for each family the row of the block at each place."""
    names = [name for name in TIME_COLUMNS if name in found.rows.places]
    families = [(family.file, [ROW_COLUMN]) for family in found.families]
    table, *others = read_together(access.objects, [(found.rows, names), *families])
    ts = times_of([(name, single(table.column(name))) for name in names])
    check_times(found, ts)
    rows = [single(other.column(ROW_COLUMN)).to_numpy(zero_copy_only=False) for other in others]
    return ts, rows


def check_times(found: Families, ts: I64) -> None:
    """Whether each stream begins and ends when the index says; raises `DamagedBlockError`.

    So the file of another block, of equal size, is not taken for this one's.
    """
    table, key = found.table, found.rows.key
    if len(ts) != int(table.rows.sum()):
        raise DamagedBlockError(key, f"it has {len(ts)} rows, and its streams {table.rows.sum()}")
    ends, there = np.cumsum(table.rows), table.rows > 0
    first, last = ts[(ends - table.rows)[there]], ts[ends[there] - 1]
    if (first != table.first_ts[there]).any() or (last != table.last_ts[there]).any():
        raise DamagedBlockError(key, "its times are not those of the streams")


def read_metadata(found: Families, rows: slice | I64, columns: Columns, access: Access) -> Metadata:
    """Structured metadata of rows in any order, or of a run of them."""
    names = metadata_columns(found, columns)
    first, last = _ends(rows)
    if not names or first > last:
        return Metadata()

    def whole(group: int) -> Metadata:
        load = partial(_metadata, found, group, names, access)
        read = access.remembered((METADATA_REST, group, *names), load, keep=True)
        assert isinstance(read, Metadata)
        return read

    bounds = found.rows.bounds
    low, high = (np.searchsorted(bounds, [first, last], side="right") - 1).tolist()
    if low == high:
        return whole(low).take(_behind(rows, int(bounds[low])))
    places = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    group = np.searchsorted(bounds, places, side="right") - 1
    order = np.argsort(group, kind="stable")
    edges = np.searchsorted(group[order], np.arange(1, len(bounds) - 1))
    parts = []
    for number, mine in enumerate(np.split(order, edges)):
        if len(mine):
            parts.append((whole(number).take(places[mine] - bounds[number]), len(mine)))
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return concat_metadata(parts).take(back)


def _ends(rows: Index) -> tuple[int, int]:
    """The least and the largest."""
    if isinstance(rows, slice):
        return rows.start, rows.stop - 1
    return (int(rows.min()), int(rows.max())) if len(rows) else (0, -1)


def _behind(rows: Index, first: int) -> Index:
    """The rows counted from the first."""
    return slice(rows.start - first, rows.stop - first) if isinstance(rows, slice) else rows - first


def metadata_columns(found: Families, columns: Columns) -> list[str]:
    """The columns of rows.parquet that have what is asked for."""
    if columns.metadata is False:
        return []
    rest = [METADATA_REST] if found.has_rest else []
    if columns.metadata is True:
        return [*found.dictionaries, *rest]
    own = [METADATA_PREFIX + name for name in sorted(columns.metadata)]
    stored = [name for name in own if name in found.dictionaries]
    return stored + (rest if len(stored) < len(own) else [])


def _metadata(found: Families, group: int, names: list[str], access: Access) -> tuple[object, int]:
    words = [name for name in names if name != METADATA_REST]
    table = found.rows.read(access.objects, names, words, group=group, stats=access.stats)
    metadata = from_arrow(table)
    for name, column in metadata.columns.items():
        if column.is_encoded and column.codes.max(initial=-1) >= len(column.values):
            raise DamagedBlockError(found.rows.key, f"metadata {name} has codes without texts")
    return metadata, 64 + metadata.nbytes()


def rest_names(found: Families, access: Access) -> frozenset[str]:
    """Names in the shared metadata column."""
    if not found.has_rest:
        return frozenset()

    def load() -> tuple[object, int]:
        names = from_arrow(found.rows.read(access.objects, [METADATA_REST])).names()
        return names, 64 + sum(64 + len(name) for name in names)

    return cast(frozenset[str], access.remembered((METADATA_REST, "names"), load, keep=True))
