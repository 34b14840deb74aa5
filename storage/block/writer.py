"""How does a run become a block? Three objects, the manifest last; nothing is visible yet.

Invariant: rows are sorted by (stream, ts, tie) and the stream table describes them; asserted here
and by the reader.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64, U8, Spans
from narfi.core.tenant import TenantId
from storage.batch import LogBatch, Metadata
from storage.block.footer import footer_of
from storage.block.layout import (
    FORMAT_VERSION,
    LINE_COLUMN,
    LINES,
    MANIFEST,
    METADATA_PREFIX,
    METADATA_REST,
    ROW_COLUMN,
    ROW_GROUP_BYTES,
    ROW_GROUP_ROWS,
    SHAPE,
    STREAMS,
    block_prefix,
)
from storage.block.metadata import stored_names, to_arrow
from storage.block.shape_file import encode_shape_file
from storage.block.shapes.encode import MIN_ROWS, encode_shapes
from storage.block.streams import encode_streams
from storage.catalog.base import BlockRow
from storage.objects.base import ObjectStore

COMPRESSION = "zstd"
COMPRESSION_LEVEL = 1
"""Level 3 is slower and no smaller on mixed logs (ratio 5.86 against 6.04, 0.6x the speed)."""


@dataclass(frozen=True, slots=True)
class BlockIdentity:
    """Who a block is, apart from its content."""

    block_id: str
    tenant: TenantId
    cut_id: str
    level: int
    created_ns: int


def write_block(
    run: LogBatch, identity: BlockIdentity, objects: ObjectStore, shape_min_lines: int = MIN_ROWS
) -> BlockRow:
    """Encode and put a block; the row still has to be published. The run must not be empty."""
    assert run.lines is not None
    assert len(run), "an empty run needs no block"
    assert bool((np.diff(run.stream) >= 0).all()), "rows are sorted by stream"
    min_ts, max_ts = int(run.table.first_ts.min()), int(run.table.last_ts.max())
    prefix = block_prefix(identity.tenant, min_ts, identity.block_id)
    streams = encode_streams(run.table)
    objects.put(f"{prefix}/{STREAMS}", streams)
    sizes, sums = {STREAMS: len(streams)}, {STREAMS: google_crc32c.value(streams)}
    footers: dict[str, int] = {}
    for name, buffer in _line_files(run, shape_min_lines):
        content = buffer.to_pybytes()
        objects.put(f"{prefix}/{name}", content)
        sizes[name], sums[name] = len(content), google_crc32c.value(content)
        footers[name] = google_crc32c.value(footer_of(content))
    row = BlockRow(
        identity.block_id,
        identity.tenant,
        identity.cut_id,
        min_ts,
        max_ts,
        len(run),
        int(run.table.line_bytes.sum()),
        sum(sizes.values()),
        identity.level,
        FORMAT_VERSION,
        identity.created_ns,
    )
    objects.put(f"{prefix}/{MANIFEST}", manifest(row, len(run.table), sizes, sums, footers))
    return row


def _line_files(run: LogBatch, shape_min_lines: int) -> Iterator[tuple[str, pa.Buffer]]:
    """(name, content) of each shape, then of the plain lines when there are any."""
    assert run.lines is not None
    plain = np.ones(len(run), np.bool_)
    for number, shape in enumerate(encode_shapes(run.lines.spans(), shape_min_lines)):
        plain[shape.rows] = False
        yield SHAPE.format(number=number), encode_shape_file(shape, run)
    rows = np.flatnonzero(plain)
    if len(rows):
        yield LINES, encode_lines(run if len(rows) == len(run) else run.take(rows), rows)


def manifest(
    row: BlockRow,
    streams: int,
    sizes: dict[str, int],
    sums: dict[str, int],
    footers: dict[str, int],
) -> bytes:
    """The block's description, written last: a folder without it is not a block."""
    content = {
        "format_version": row.format_version,
        "block_id": row.block_id,
        "tenant": row.tenant,
        "cut_id": row.cut_id,
        "level": row.level,
        "created_ns": row.created_ns,
        "min_ts": row.min_ts,
        "max_ts": row.max_ts,
        "rows": row.rows,
        "streams": streams,
        "line_bytes": row.line_bytes,
        "objects": sizes,
        "crc32c": sums,
        "footer_crc32c": footers,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def encode_lines(run: LogBatch, numbers: I64) -> pa.Buffer:
    """lines.parquet, encoded row group by row group so that no second copy of all lines exists.

    `numbers` are the rows' numbers in the block.
    """
    assert run.lines is not None
    metadata = run.metadata or Metadata()
    own, rest = stored_names(metadata)
    text = _all_utf8(run)
    schema = _schema(own, bool(rest), text=text)
    sink = pa.BufferOutputStream()
    writer = pq.ParquetWriter(
        sink,
        schema,
        compression=COMPRESSION,
        compression_level=COMPRESSION_LEVEL,
        use_dictionary=[name for name in schema.names if name.startswith(METADATA_PREFIX)],
        column_encoding={
            "stream": "PLAIN",
            "ts": "DELTA_BINARY_PACKED",
            ROW_COLUMN: "DELTA_BINARY_PACKED",
            LINE_COLUMN: "DELTA_LENGTH_BYTE_ARRAY",
            **({METADATA_REST: "PLAIN"} if rest else {}),
        },
        write_statistics=["stream", "ts"],
        write_page_checksum=True,
        store_schema=False,
        data_page_size=ROW_GROUP_BYTES,
    )
    with writer:
        for first, end in row_groups(run.lines.lengths()):
            rows = np.arange(first, end)
            lines = run.lines.take(rows).spans().to_arrow(text=text)
            columns = {
                "stream": pa.array(run.stream[first:end]),
                "ts": pa.array(run.ts[first:end]),
                ROW_COLUMN: pa.array(numbers[first:end].astype(np.int32)),
                LINE_COLUMN: lines,
                **to_arrow(metadata.take(rows), own, rest),
            }
            writer.write_table(
                pa.table([columns[name] for name in schema.names], schema=schema),
                row_group_size=end - first,
            )
    return sink.getvalue()


def _schema(own: list[str], has_rest: bool, *, text: bool) -> pa.Schema:
    fields = [
        pa.field("stream", pa.int32(), nullable=False),
        pa.field("ts", pa.int64(), nullable=False),
        pa.field(ROW_COLUMN, pa.int32(), nullable=False),
        pa.field(
            LINE_COLUMN,
            pa.large_string() if text else pa.large_binary(),
            nullable=False,
        ),
    ]
    kind = pa.dictionary(pa.int32(), pa.string())
    fields.extend(pa.field(METADATA_PREFIX + name, kind) for name in own)
    if has_rest:
        fields.append(pa.field(METADATA_REST, pa.string()))
    return pa.schema(fields)


def _all_utf8(run: LogBatch) -> bool:
    """Whether the line column may be declared as text for other readers.

    When the whole buffer is UTF-8 and no line begins inside a character, every line is; only
    otherwise the lines are looked at one by one.
    """
    assert run.lines is not None
    spans = run.lines.spans()
    filled = spans.start[spans.length > 0]
    if not len(filled):
        return True
    inside = (spans.data[filled] & 0xC0) == 0x80
    ends = filled + spans.length[spans.length > 0]
    ends = ends[ends < len(spans.data)]
    cut = (spans.data[ends] & 0xC0) == 0x80
    if not inside.any() and not cut.any() and _is_utf8(spans.data):
        return True
    return _each_is_utf8(spans)


def _is_utf8(data: U8) -> bool:
    offsets = np.array([0, len(data)], np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    try:
        pa.Array.from_buffers(pa.large_string(), 1, buffers).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _each_is_utf8(spans: Spans) -> bool:
    for first in range(0, len(spans), ROW_GROUP_ROWS):
        rows = np.arange(first, min(first + ROW_GROUP_ROWS, len(spans)))
        try:
            spans.take(rows).to_arrow(text=True).validate(full=True)
        except pa.ArrowInvalid:
            return False
    return True


def row_groups(lengths: I32) -> Iterator[tuple[int, int]]:
    """`[first, end)` rows of each group: bounded in rows and in line bytes."""
    ends: I64 = np.cumsum(lengths, dtype=np.int64)
    first, base = 0, 0
    while first < len(lengths):
        by_bytes = int(np.searchsorted(ends, base + ROW_GROUP_BYTES, side="right"))
        end = min(first + ROW_GROUP_ROWS, max(by_bytes, first + 1), len(lengths))
        yield first, end
        base = int(ends[end - 1])
        first = end
