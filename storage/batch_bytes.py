"""How does a batch of entries travel? As an Arrow IPC stream (LZ4), its labels in the metadata.

Streams are numbers into a list of label sets; names of structured metadata that few entries have
share one column. Records of the journal and answers of other processes' heads are such bytes.
"""

import numpy as np
import orjson
import pyarrow as pa

from narfi.core.columns import I64, Spans
from narfi.core.label_column import CodedColumn
from narfi.core.labels import Labels
from storage.batch import LogBatch, StreamTable
from storage.lines.plain import PlainLines
from storage.metadata import Metadata, Triples

_LABELS = b"narfi.labels"
_NAMES = b"narfi.names"
_METADATA = "metadata."
_RARE = "metadata_rare"


def encode_batch(batch: LogBatch) -> bytes:
    """The bytes of a batch; row numbers, and how far streams reach, are left out."""
    assert batch.lines is not None
    metadata = batch.metadata or Metadata()
    columns: dict[str, pa.Array] = {
        "stream": pa.array(batch.stream),
        "ts": pa.array(batch.ts),
        "line": batch.lines.spans().to_arrow(),
    }
    for name, column in metadata.columns.items():
        columns[_METADATA + name] = pa.DictionaryArray.from_arrays(
            pa.array(column.codes, mask=column.codes < 0), column.values.to_arrow()
        )
    about = {_LABELS: orjson.dumps([list(found.pairs) for found in batch.table.labels])}
    if metadata.rare is not None:
        columns[_RARE] = _lists(metadata.rare)
        about[_NAMES] = orjson.dumps(metadata.rare.names)
    record = pa.record_batch(columns)
    schema = record.schema.with_metadata(about)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_batch(record.replace_schema_metadata(about))
    return bytes(sink.getvalue())


def _lists(rare: Triples) -> pa.Array:
    """A list of (name number, value) for each row."""
    offsets = np.searchsorted(rare.row, np.arange(rare.rows + 1)).astype(np.int32)
    pairs = pa.StructArray.from_arrays(
        [pa.array(rare.name), rare.value.to_arrow()], names=["name", "value"]
    )
    return pa.ListArray.from_arrays(pa.array(offsets), pairs)


def _triples(lists: pa.Array, names: tuple[str, ...]) -> Triples | None:
    """What `_lists` was made of."""
    pairs = lists.flatten()
    row = np.repeat(np.arange(len(lists), dtype=np.int32), lists.value_lengths().to_numpy())
    name = pairs.field("name").to_numpy().astype(np.int32)
    return Triples.of(len(lists), names, row, name, Spans.from_arrow(pairs.field("value")))


def decode_batch(body: bytes) -> LogBatch:
    """The batch that `encode_batch` was given; rows are numbered from 0."""
    with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
        table = reader.read_all().combine_chunks()
    about = table.schema.metadata or {}
    pairs = orjson.loads(about[_LABELS])
    labels = tuple(Labels(tuple((name, value) for name, value in found)) for found in pairs)
    arrays = {
        name: table.column(name).chunk(0)
        for name in table.column_names
        if table.column(name).num_chunks
    }
    none: I64 = np.zeros(len(labels), np.int64)
    streams = StreamTable(
        labels=labels, first_row=none, rows=none, first_ts=none, last_ts=none, line_bytes=none
    )
    if not arrays:
        empty = np.zeros(0, np.int64)
        lines = PlainLines(Spans.of([]))
        return LogBatch(
            table=streams,
            stream=empty.astype(np.int32),
            ts=empty,
            rows=empty,
            lines=lines,
            metadata=Metadata(),
        )
    columns = {
        name.removeprefix(_METADATA): CodedColumn(
            codes=array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32),
            values=Spans.from_arrow(array.dictionary),
        )
        for name, array in arrays.items()
        if name.startswith(_METADATA)
    }
    rare = None
    if _RARE in arrays:
        rare = _triples(arrays[_RARE], tuple(orjson.loads(about[_NAMES])))
    return LogBatch(
        table=streams,
        stream=arrays["stream"].to_numpy(zero_copy_only=False),
        ts=arrays["ts"].to_numpy(zero_copy_only=False),
        rows=np.arange(table.num_rows, dtype=np.int64),
        lines=PlainLines(Spans.from_arrow(arrays["line"])),
        metadata=Metadata(columns, rare),
    )
