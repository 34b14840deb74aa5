"""How is a shape stored? A Parquet file: stream, ts, row, a typed column per hole, metadata.

`row` is the entry's place in the block's order, so a file can be read alone or with the others. The
template with its stamps stands in the footer. docs/format/block.md describes every byte.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from storage.block.draft import Draft, ShapePart
from storage.block.hole_columns import choose_encoding, nearly_unique, to_column
from storage.block.layout import (
    METADATA_PREFIX,
    SHAPE_GROUP_BYTES,
    SHAPE_GROUP_ROWS,
    TEMPLATE_KEY,
)
from storage.block.metadata import stored_names, to_arrow
from storage.lines.holes import HoleColumn, IntegerColumn
from storage.lines.template import Hole, HoleKind, Template, from_json, to_json

BLOOM_FALSE_SHARE = 0.05
"""Groups that are read in vain; a filter takes about a byte a value."""


def encode_shape_file(part: ShapePart, draft: Draft) -> pa.Buffer:
    """The file of a shape; `draft` is the block that its rows point into."""
    shape = part.shape
    metadata = part.metadata.without_absent()
    own, rest = stored_names(metadata)
    order = {
        "stream": pa.array(draft.stream[shape.rows]),
        "ts": pa.array(draft.ts[shape.rows]),
        "row": pa.array(shape.rows.astype(np.int32)),
    }
    holes = list(zip(shape.template.holes, shape.columns, strict=True))
    columns = order | {hole.name: to_column(column) for hole, column in holes}
    columns |= to_arrow(metadata, own, rest, len(shape.rows))
    encodings = {"ts": ("DELTA_BINARY_PACKED", "NONE"), "row": ("DELTA_BINARY_PACKED", "ZSTD")}
    encodings |= {h.name: how for h, c in holes if (how := choose_encoding(c)) is not None}
    table = pa.table(
        columns,
        schema=pa.schema(
            [pa.field(n, a.type, nullable=n.startswith("metadata")) for n, a in columns.items()],
            metadata={TEMPLATE_KEY: orjson.dumps(to_json(shape.template))},
        ),
    )
    sink = pa.BufferOutputStream()
    writer = pq.ParquetWriter(
        sink,
        table.schema,
        compression={n: encodings.get(n, ("", "ZSTD"))[1] for n in columns},
        compression_level={n: 1 for n in columns if encodings.get(n, ("", "ZSTD"))[1] == "ZSTD"},
        use_dictionary=[n for n in columns if n not in encodings],
        column_encoding={n: found[0] for n, found in encodings.items()},
        write_statistics=[
            "stream",
            "ts",
            *(h.name for h, c in holes if isinstance(c, IntegerColumn)),
        ],
        write_page_checksum=True,
        store_schema=False,
        store_decimal_as_integer=True,
        data_page_size=SHAPE_GROUP_BYTES,
        dictionary_pagesize_limit=SHAPE_GROUP_BYTES,
        bloom_filter_options={
            h.name: {"ndv": min(len(shape.rows), SHAPE_GROUP_ROWS), "fpp": BLOOM_FALSE_SHARE}
            for h, c in holes
            if nearly_unique(c)
        }
        or None,
    )
    with writer:
        writer.add_key_value_metadata(
            {TEMPLATE_KEY: orjson.dumps(to_json(shape.template)).decode()}
        )
        for first, end in shape_row_groups(part):
            writer.write_table(table.slice(first, end - first), row_group_size=end - first)
    return sink.getvalue()


def _with_bounds(holes: Iterable[tuple[Hole, HoleColumn]]) -> list[str]:
    return [hole.name for hole, column in holes if isinstance(column, IntegerColumn)]


def shape_row_groups(part: ShapePart) -> Iterator[tuple[int, int]]:
    """`[first, end)` rows of each group: bounded in rows and, about, in bytes of lines."""
    rows = len(part.rows)
    size = int(part.lengths().sum(dtype=np.int64))
    each = max(1, min(SHAPE_GROUP_ROWS, rows * SHAPE_GROUP_BYTES // max(size, 1)))
    for first in range(0, rows, each):
        yield first, min(first + each, rows)


def template_of(footer: pq.FileMetaData) -> Template | None:
    """The template in a footer; None for plain lines."""
    text = (footer.metadata or {}).get(TEMPLATE_KEY.encode())
    return None if text is None else from_json(orjson.loads(text))


def dictionary_columns(template: Template) -> list[str]:
    """Holes that are read as dictionaries."""
    return [hole.name for hole in template.holes if hole.type.kind is HoleKind.WORDS]


def metadata_columns(footer: pq.FileMetaData) -> tuple[str, ...]:
    """Columns of structured metadata that have a name of their own."""
    names = [footer.schema.column(i).path for i in range(len(footer.schema))]
    return tuple(name for name in names if name.startswith(METADATA_PREFIX))
