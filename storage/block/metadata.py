"""How is structured metadata stored? A column per frequent name; the rest as JSON in one column.

Invariant: `from_arrow(to_arrow(metadata))` equals the metadata, row by row and name by name.
"""

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa

from narfi.core.columns import Spans
from narfi.core.label_column import CodedColumn, LabelColumn
from storage.block.layout import MAX_METADATA_COLUMNS, METADATA_PREFIX, METADATA_REST
from storage.metadata import Metadata, Triples


def stored_names(metadata: Metadata) -> tuple[list[str], list[str]]:
    """(names with a column of their own, names that share one), each sorted."""
    names = sorted(metadata.names())
    if len(names) <= MAX_METADATA_COLUMNS:
        return names, []
    counts = metadata.counts()
    frequent = sorted(names, key=lambda name: -counts[name])[:MAX_METADATA_COLUMNS]
    return sorted(frequent), sorted(set(names).difference(frequent))


def to_arrow(
    metadata: Metadata, own: Sequence[str], rest: Sequence[str], rows: int
) -> dict[str, pa.Array]:
    """Parquet columns of the metadata of so many rows."""
    columns: dict[str, pa.Array] = {}
    for name in own:
        found = metadata.get(name)
        columns[METADATA_PREFIX + name] = _dictionary(found or CodedColumn.absent(rows))
    if rest:
        columns[METADATA_REST] = _rest(metadata.select(rest), rows)
    return columns


def _dictionary(column: LabelColumn) -> pa.Array:
    codes = pa.array(column.codes, mask=column.codes < 0)
    values = column.values.to_arrow(text=True).cast(pa.string())
    return pa.DictionaryArray.from_arrays(codes, values)


def _rest(metadata: Metadata, size: int) -> pa.Array:
    """A JSON object for each row that has any of the names; they are in order."""
    rows: dict[int, dict[str, str]] = {}
    for row, name, value in sorted(metadata.items(), key=lambda item: item[:2]):
        rows.setdefault(row, {})[name] = value
    return pa.array(
        [orjson.dumps(rows[r]).decode() if r in rows else None for r in range(size)], pa.string()
    )


def from_arrow(table: pa.Table) -> Metadata:
    """The metadata columns of a table that was read; names that share a column are triples."""
    columns: dict[str, LabelColumn] = {}
    rare: Triples | None = None
    for field in table.column_names:
        if field.startswith(METADATA_PREFIX):
            columns[field.removeprefix(METADATA_PREFIX)] = _column(table.column(field))
        elif field == METADATA_REST:
            rare = _unpacked(table.column(field))
    return Metadata({name: c for name, c in columns.items() if c.present().any()}, rare)


def _column(chunked: pa.ChunkedArray) -> LabelColumn:
    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return CodedColumn(codes=codes, values=Spans.from_arrow(array.dictionary))


def _unpacked(chunked: pa.ChunkedArray) -> Triples | None:
    numbers: dict[str, int] = {}
    rows: list[int] = []
    names: list[int] = []
    values: list[bytes] = []
    for row, text in enumerate(chunked.to_pylist()):
        if text:
            found = orjson.loads(text)
            rows.extend([row] * len(found))
            names.extend(numbers.setdefault(name, len(numbers)) for name in found)
            values.extend(value.encode() for value in found.values())
    return Triples.of(
        len(chunked),
        tuple(numbers),
        np.array(rows, np.int32),
        np.array(names, np.int32),
        Spans.of(values),
    )
