"""How is stored what every entry has? Its stream, time and metadata, in the block's order, once.

Times are stored in ms, and what is left of them in ns beside it where some entries have no such
rest; where all have one, a single column in ns is smaller.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64
from storage.block.layout import METADATA_REST, REST_COLUMN, ROW_COLUMN, SHAPE_GROUP_ROWS
from storage.block.metadata import stored_names, to_arrow
from storage.metadata import Metadata

NS_PER_MS = 1_000_000
MS_SHARE = 16
"""Times are split where one of so many is of whole ms: the split costs 3 % of the others."""
TIME_COLUMNS = ("ts", REST_COLUMN)
TIMES_LEVEL = 1
"""Of zstd: higher ones find no more in deltas."""


def encode_rows(
    stream: I32, ts: I64, metadata: Metadata, level: int, *, pack_times: bool = False
) -> pa.Buffer:
    """rows.parquet of a block; `level` of zstd.

    `pack_times`: zstd for times too. Where streams are quiet between bursts, deltas of 32 rows are
    as wide as the gap: 3 % fewer bytes, for half a millisecond more to read 250,000 rows.
    """
    metadata = metadata.without_absent()
    own, rest = stored_names(metadata)
    columns = {
        ROW_COLUMN: pa.array(np.arange(len(ts), dtype=np.int32)),
        "stream": pa.array(stream),
        **_times(ts),
        **to_arrow(metadata, own, rest, len(ts)),
    }
    ordered = [ROW_COLUMN, "stream", *(name for name in TIME_COLUMNS if name in columns)]
    bare = () if pack_times else TIME_COLUMNS
    plain = [*ordered, METADATA_REST] if rest else ordered
    table = pa.table(
        columns,
        schema=pa.schema(
            [pa.field(n, a.type, nullable=n not in ordered) for n, a in columns.items()]
        ),
    )
    sink = pa.BufferOutputStream()
    writer = pq.ParquetWriter(
        sink,
        table.schema,
        compression={n: "NONE" if n in bare else "ZSTD" for n in columns},
        compression_level={
            n: TIMES_LEVEL if n in TIME_COLUMNS else level for n in columns if n not in bare
        },
        use_dictionary=[name for name in columns if name not in plain],
        column_encoding={
            n: "PLAIN" if n == METADATA_REST else "DELTA_BINARY_PACKED" for n in plain
        },
        write_statistics=ordered[:3],
        write_page_checksum=True,
        store_schema=False,
        data_page_size=1 << 25,
    )
    with writer:
        for first in range(0, len(ts), SHAPE_GROUP_ROWS):
            part = table.slice(first, SHAPE_GROUP_ROWS)
            writer.write_table(part, row_group_size=len(part))
    return sink.getvalue()


def _times(ts: I64) -> dict[str, pa.Array]:
    ms, rest = np.divmod(ts, NS_PER_MS)
    whole = int((rest == 0).sum())
    if whole * MS_SHARE < len(ts):
        return {"ts": pa.array(ts).cast(pa.timestamp("ns"))}
    found = {"ts": pa.array(ms).cast(pa.timestamp("ms"))}
    if whole < len(ts):
        found[REST_COLUMN] = pa.array(rest.astype(np.int32))
    return found


def times_of(columns: Iterable[tuple[str, pa.Array]]) -> I64:
    """The timestamps in ns, from the columns of `TIME_COLUMNS` that there are."""
    found: I64 | None = None
    for name, array in columns:
        if name == REST_COLUMN:
            assert found is not None, "it stands behind the ms"
            found = found + array.to_numpy(zero_copy_only=False)
        else:
            values: I64 = array.view(pa.int64()).to_numpy(zero_copy_only=False)
            found = values * NS_PER_MS if array.type.unit == "ms" else values
    assert found is not None
    return found
