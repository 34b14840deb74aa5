"""How is structured metadata stored? A column per frequent name; the rest as JSON in one column.

Invariant: `from_arrow(to_arrow(metadata))` equals the metadata, row by row and name by name.
"""

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa

from narfi.core.columns import LabelColumn, Spans
from storage.batch import Metadata
from storage.block.layout import MAX_METADATA_COLUMNS, METADATA_PREFIX, METADATA_REST


def stored_names(metadata: Metadata) -> tuple[list[str], list[str]]:
    """(names with a column of their own, names that share one), each sorted."""
    names = sorted(metadata.columns)
    if len(names) <= MAX_METADATA_COLUMNS:
        return names, []
    counts = {name: int(metadata.columns[name].present().sum()) for name in names}
    frequent = sorted(names, key=lambda name: -counts[name])[:MAX_METADATA_COLUMNS]
    return sorted(frequent), sorted(set(names) - set(frequent))


def to_arrow(metadata: Metadata, own: Sequence[str], rest: Sequence[str]) -> dict[str, pa.Array]:
    """Parquet columns of a batch's metadata."""
    columns = {METADATA_PREFIX + name: _dictionary(metadata.columns[name]) for name in own}
    if rest:
        columns[METADATA_REST] = _rest(metadata, rest)
    return columns


def _dictionary(column: LabelColumn) -> pa.Array:
    codes = pa.array(column.codes, mask=column.codes < 0)
    values = column.values.to_arrow(text=True).cast(pa.string())
    return pa.DictionaryArray.from_arrays(codes, values)


def _rest(metadata: Metadata, names: Sequence[str]) -> pa.Array:
    rows: dict[int, dict[str, str]] = {}
    size = 0
    for name in names:
        column = metadata.columns[name]
        size = len(column)
        texts, codes = column.texts, column.codes
        for row in np.flatnonzero(codes >= 0).tolist():
            rows.setdefault(row, {})[name] = texts[codes[row]]
    return pa.array([orjson.dumps(rows[r]).decode() if r in rows else None for r in range(size)])


def from_arrow(table: pa.Table) -> Metadata:
    """The metadata columns of a table that was read."""
    columns: dict[str, LabelColumn] = {}
    for field in table.column_names:
        if field.startswith(METADATA_PREFIX):
            columns[field.removeprefix(METADATA_PREFIX)] = _column(table.column(field))
        elif field == METADATA_REST:
            columns |= _unpacked(table.column(field))
    return Metadata({name: c for name, c in columns.items() if c.present().any()})


def _column(chunked: pa.ChunkedArray) -> LabelColumn:
    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return LabelColumn(codes=codes, values=Spans.from_arrow(array.dictionary))


def _unpacked(chunked: pa.ChunkedArray) -> dict[str, LabelColumn]:
    rows = [orjson.loads(text) if text else {} for text in chunked.to_pylist()]
    names = sorted({name for row in rows for name in row})
    return {
        name: LabelColumn(
            spans=Spans.of(row[name].encode() if name in row else None for row in rows)
        )
        for name in names
    }
