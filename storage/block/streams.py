"""How is a stream table stored? One row per stream, sorted by labels (streams.parquet)."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from storage.batch import StreamTable
from storage.stream_labels import from_map

SCHEMA = pa.schema(
    [
        pa.field("stream", pa.int32(), nullable=False),
        pa.field("fingerprint", pa.uint64(), nullable=False),
        pa.field("labels", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("first_row", pa.int64(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("first_ts", pa.int64(), nullable=False),
        pa.field("last_ts", pa.int64(), nullable=False),
        pa.field("line_bytes", pa.int64(), nullable=False),
    ]
)


def encode_streams(table: StreamTable) -> bytes:
    """The table as Parquet bytes."""
    columns = {
        "stream": pa.array(np.arange(len(table), dtype=np.int32)),
        "fingerprint": pa.array([found.fingerprint() for found in table.labels], pa.uint64()),
        "labels": pa.array(
            [list(found.pairs) for found in table.labels],
            pa.map_(pa.string(), pa.string()),
        ),
        "first_row": pa.array(table.first_row),
        "rows": pa.array(table.rows),
        "first_ts": pa.array(table.first_ts),
        "last_ts": pa.array(table.last_ts),
        "line_bytes": pa.array(table.line_bytes),
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns, schema=SCHEMA), out, compression="zstd")
    return out.getvalue()


def decode_streams(data: bytes) -> StreamTable:
    """The table from Parquet bytes; no object is made per stream."""
    # no threads: there is nothing to wait for, and a process that ends while one begins is aborted
    found = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False).read(use_threads=False)
    fingerprints, first_row, rows, first_ts, last_ts, line_bytes = (
        found.column(name).combine_chunks().to_numpy(zero_copy_only=False)
        for name in ("fingerprint", "first_row", "rows", "first_ts", "last_ts", "line_bytes")
    )
    labels = from_map(_single(found.column("labels")), fingerprints)
    return StreamTable(
        labels=labels,
        first_row=first_row,
        rows=rows,
        first_ts=first_ts,
        last_ts=last_ts,
        line_bytes=line_bytes,
    )


def _single(chunked: pa.ChunkedArray) -> pa.Array:
    combined = chunked.combine_chunks()
    return combined.chunk(0) if isinstance(combined, pa.ChunkedArray) else combined
