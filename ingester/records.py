"""How is a push kept in the journal? As received where nothing was changed, else its accepted rest.

Codec 1: the snappy-compressed protobuf body as it came. Codec 2: the accepted, enriched batch as an
Arrow IPC stream (LZ4), streams by ordinal with their labels in the schema's metadata. Codec 3: as
2, with the names of structured metadata that few entries have in one column. Replaying codec 1
decodes and enriches again but judges nothing.
"""

from dataclasses import replace

import numpy as np
import orjson
import pyarrow as pa

from ingester.accepted import Accepted
from ingester.admit import Room, unsnappy
from ingester.decided import limits_when_accepted
from ingester.enrich import enrich
from ingester.metadata_names import normalise_names
from ingester.streams import StreamResolver
from narfi.core.columns import I64, Spans
from narfi.core.errors import AppError
from narfi.core.label_column import CodedColumn
from narfi.core.labels import Labels
from narfi.core.limits import Limits
from narfi.core.wire.push_protobuf import decode_push_protobuf
from storage.batch import LogBatch, StreamTable
from storage.journal.base import StoredRecord
from storage.lines.plain import PlainLines
from storage.metadata import Metadata, Triples

CODEC_PROTOBUF = 1
CODEC_ARROW = 2
CODEC_TRIPLES = 3

_LABELS = b"narfi.labels"
_NAMES = b"narfi.names"
_ANY_SIZE = Room(most_decompressed=1 << 32)
"""What was accepted once is read again, whatever the settings are now."""
_METADATA = "metadata."
_RARE = "metadata_rare"


class RecordError(AppError):
    """A journal record cannot be decoded by this version."""


def batch_of(accepted: Accepted, metadata: Metadata) -> LogBatch:
    """The accepted entries as a batch of the streams that the push named."""
    push, streams, stream = accepted.push, accepted.streams, accepted.push.stream
    used = np.bincount(stream, minlength=len(streams)) > 0
    if not used.all():  # streams of which nothing was accepted, or that had no entry
        streams = tuple(streams[number] for number in np.flatnonzero(used).tolist())
        stream = (np.cumsum(used) - 1).astype(np.int32)[stream]
    none: I64 = np.zeros(len(streams), np.int64)
    table = StreamTable(
        labels=tuple(s.labels for s in streams),
        first_row=none,
        rows=none,
        first_ts=none,
        last_ts=none,
        line_bytes=none,
    )
    rows = np.arange(len(push), dtype=np.int64)
    return LogBatch(
        table=table,
        stream=stream,
        ts=push.ts,
        rows=rows,
        lines=PlainLines(push.lines),
        metadata=metadata,
    )


def codec_of(batch: LogBatch) -> int:
    """How `encode_batch` writes it: codec 2 where that can hold it."""
    rare = None if batch.metadata is None else batch.metadata.rare
    return CODEC_ARROW if rare is None else CODEC_TRIPLES


def encode_batch(batch: LogBatch) -> bytes:
    """A batch as `codec_of` says."""
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


def decode_record_body(record: StoredRecord, limits: Limits, resolver: StreamResolver) -> LogBatch:
    """The batch of a journal record; `limits` are today's, for records that kept none."""
    if record.codec == CODEC_PROTOBUF:
        return _from_protobuf(record.body, limits_when_accepted(record.decided, limits), resolver)
    if record.codec in (CODEC_ARROW, CODEC_TRIPLES):
        return _from_arrow(record.body)
    message = f"journal record {record.position} has codec {record.codec}, unknown to this version"
    raise RecordError(message)


def _from_protobuf(body: bytes, limits: Limits, resolver: StreamResolver) -> LogBatch:
    push = decode_push_protobuf(unsnappy(body, _ANY_SIZE), check_times=False)
    if len(push.pairs):
        push = replace(push, pairs=normalise_names(push.pairs))
    accepted = Accepted(push, resolver.resolve(push.labels, limits), whole=True)
    return batch_of(accepted, enrich(accepted, limits))


def _from_arrow(body: bytes) -> LogBatch:
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
