"""How does a draft become a block? An object a file, the manifest last; nothing is visible yet.

Invariant: rows are sorted by (stream, ts, tie) and the stream table describes them; asserted here
and by the reader.
"""

from collections.abc import Iterable, Iterator

import google_crc32c
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.columns import I32, I64
from storage.batch import LogBatch
from storage.block.draft import Draft, Part, PlainPart, ShapePart, parts_of
from storage.block.footer import bloom_checksums, footer_of
from storage.block.format3.writer import write_families
from storage.block.identity import BlockIdentity, Layout
from storage.block.layout import (
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
from storage.block.progress import Progress, part_of, told, untold
from storage.block.shape_file import encode_shape_file
from storage.block.shapes.encode import MIN_ROWS
from storage.block.shapes.families import families_of
from storage.block.shapes.least import flushed, least_rows
from storage.block.shapes.run import Run
from storage.block.shapes.warm import WarmEncoder
from storage.block.streams import encode_streams
from storage.block.utf8 import all_utf8
from storage.catalog.base import BlockRow
from storage.metadata import Metadata
from storage.objects.base import ObjectStore

MATCHED = 0.4
"""The share of a flush that is done when the shapes of all lines are known."""
COMPRESSION = "zstd"
COMPRESSION_LEVEL = 1
"""Level 3 is slower and no smaller on mixed logs (ratio 5.86 against 6.04, 0.6x the speed)."""


def write_run(
    run: LogBatch,
    identity: BlockIdentity,
    objects: ObjectStore,
    shape_min_lines: int = MIN_ROWS,
    encoder: WarmEncoder | None = None,
    layout: Layout = Layout(),  # noqa: B008 - immutable
    progress: Progress = untold,
) -> BlockRow:
    """Encode and put a merged run as a block; see `write_block`.

    `encoder` remembers the shapes of earlier blocks; without one, nothing is known. `progress` is
    told now and then which share of the work is done.
    """
    encoder = encoder or WarmEncoder()
    assert run.lines is not None
    rows = np.arange(len(run), dtype=np.int64)
    metadata = run.metadata or Metadata()
    draft, lines = Draft.of(run), run.lines.spans()
    this = Run(identity.tenant, draft.labels, run.stream, lines)
    if layout.version > 2:
        memory = encoder.families if shape_min_lines else None
        least = least_rows(shape_min_lines, flushed(lines.nbytes()))
        families = families_of(this, least, memory, progress)
        return write_families(
            draft, lines.length, metadata, families, identity, objects, packed=layout.packed
        )
    shapes = encoder.shapes(this, shape_min_lines, part_of(progress, 0.0, MATCHED))
    parts = parts_of(rows, lines, metadata, shapes)
    parts = told(parts, lambda part: len(part.rows), len(run), part_of(progress, MATCHED, 1.0))
    return write_block(draft, parts, identity, objects)


def write_block(
    draft: Draft, parts: Iterable[Part], identity: BlockIdentity, objects: ObjectStore
) -> BlockRow:
    """Encode and put a block; the row still has to be published. There is at least one row."""
    assert len(draft), "a block without rows is not needed"
    assert bool((np.diff(draft.stream) >= 0).all()), "rows are sorted by stream"
    prefix = block_prefix(identity.tenant, int(draft.ts.min()), identity.block_id)
    sizes: dict[str, int] = {}
    sums: dict[str, int] = {}
    footers: dict[str, int] = {}
    blooms: dict[str, dict[str, int]] = {}

    def put(name: str, content: bytes) -> None:
        objects.put(f"{prefix}/{name}", content, settled=False)
        sizes[name], sums[name] = len(content), google_crc32c.value(content)

    line_bytes = np.zeros(len(draft.labels), np.int64)
    shapes = rows = 0
    for part in parts:
        rows += len(part.rows)
        sizes_of_lines = np.bincount(draft.stream[part.rows], part.lengths(), len(draft.labels))
        line_bytes += sizes_of_lines.astype(np.int64)
        if isinstance(part, ShapePart):
            name, content = SHAPE.format(number=shapes), encode_shape_file(part, draft).to_pybytes()
            shapes += 1
        else:
            name, content = LINES, encode_lines(part, draft).to_pybytes()
        put(name, content)
        footers[name] = google_crc32c.value(footer_of(content))
        if isinstance(part, ShapePart):
            blooms[name] = bloom_checksums(content)
    assert rows == len(draft), "every row is in one part"
    put(STREAMS, encode_streams(draft.table(line_bytes)))
    row = identity.row(draft, int(line_bytes.sum()), sum(sizes.values()), version=2)
    checks = {"crc32c": sums, "footer_crc32c": footers, "bloom_crc32c": blooms}
    content = identity.manifest(row, len(draft.labels), sizes) | checks
    text = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    objects.put(f"{prefix}/{MANIFEST}", text)  # settles the whole folder
    return row


def encode_lines(part: PlainPart, draft: Draft) -> pa.Buffer:
    """lines.parquet, encoded row group by row group so that no second copy of all lines exists."""
    metadata = part.metadata
    own, rest = stored_names(metadata)
    text = all_utf8(part.lines)
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
        for first, end in row_groups(part.lines.length):
            group = slice(first, end)
            numbers = part.rows[group]
            columns = {
                "stream": pa.array(draft.stream[numbers]),
                "ts": pa.array(draft.ts[numbers]),
                ROW_COLUMN: pa.array(numbers.astype(np.int32)),
                LINE_COLUMN: part.lines.take(group).to_arrow(text=text),
                **to_arrow(metadata.take(group), own, rest, end - first),
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
