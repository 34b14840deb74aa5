"""What is in a block? Annotated text for people: what it is, its streams, files and columns."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.block.describe import describe_block
from storage.block.format3.index_object import decode_index
from storage.block.layout import INDEX, LINE_COLUMN, LINES, STREAMS
from storage.block.streams import decode_streams

SHOWN_STREAMS = 20
SHOWN_SHAPES = 20
SHOWN_LINES = 10
MAX_LINE = 160


def dump_block(folder: Path) -> str:
    """The text; raises `NotABlockError`."""
    content = describe_block(folder)
    out = [f"block {content['block_id']}  (format {content['format_version']})"]
    names = ("tenant", "rows", "plain_rows", "shapes", "streams", "min_ts", "max_ts", "line_bytes")
    out += [f"  {name:<14} {content[name]}" for name in (*names, "level")]
    stored = content["stored_bytes"]
    ratio = content["line_bytes"] / stored if stored else 0
    out.append(f"  {'stored':<14} {stored} bytes, {ratio:.1f} times smaller than the lines")
    out += _streams(folder, content["format_version"])
    for file in content["files"]:
        if file["name"] != STREAMS:
            out += _file(file)
    if (folder / LINES).is_file():
        out += _first_lines(folder / LINES)
    return "\n".join(out) + "\n"


def _streams(folder: Path, format_version: int) -> list[str]:
    if format_version > 2:
        data = decode_index(INDEX, (folder / INDEX).read_bytes())[1][STREAMS]
    else:
        data = (folder / STREAMS).read_bytes()
    table = decode_streams(data)
    out = ["", f"{STREAMS}  {len(data)} bytes: rows, line bytes, labels"]
    for ordinal in range(min(len(table), SHOWN_STREAMS)):
        rows, size = int(table.rows[ordinal]), int(table.line_bytes[ordinal])
        out.append(f"  {ordinal:>5} {rows:>9} {size:>12}  {table.labels[ordinal].text()}")
    if len(table) > SHOWN_STREAMS:
        out.append(f"  … {len(table) - SHOWN_STREAMS} more")
    return out


def _file(file: dict[str, Any]) -> list[str]:
    """Its shapes and columns."""
    name = f"{file['name']} ({file['family']})" if "family" in file else file["name"]
    sizes = f"{file['rows']} rows, {file['bytes']} bytes, {file['row_groups']} groups"
    out = ["", f"{name}  {sizes}"]
    shapes = file["shapes"]
    for shape in shapes[:SHOWN_SHAPES]:
        out.append(f"  {shape['rows']:>9} {shape['kind']}: {shape['template'][:MAX_LINE]}")
    if len(shapes) > SHOWN_SHAPES:
        out.append(f"  … {len(shapes) - SHOWN_SHAPES} more")
    if file["plain_rows"]:
        out.append(f"  {file['plain_rows']:>9} plain lines")
    if file["columns"]:
        out.append("  columns: encoding, compressed, uncompressed bytes")
    out += [
        f"  {column['name']:<28} {','.join(column['encodings']):<40} {column['compression']:<6} "
        f"{column['bytes']:>10} {column['uncompressed_bytes']:>10}"
        for column in file["columns"]
    ]
    return out


def _first_lines(path: Path) -> list[str]:
    """Of format 1 and 2, which have all plain lines in one file."""
    file = pq.ParquetFile(pa.memory_map(str(path)))
    if not file.metadata.num_row_groups:
        return []
    out = ["", "first lines: stream, ts, line"]
    # without threads: a process that ends while some begin is aborted now and then
    wanted = ["stream", "ts", LINE_COLUMN]
    rows = file.read_row_group(0, columns=wanted, use_threads=False).slice(0, SHOWN_LINES)
    for row in rows.to_pylist():
        line = row[LINE_COLUMN]
        text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
        out.append(f"  {row['stream']:>5} {row['ts']} {text[:MAX_LINE]}")
    return out
