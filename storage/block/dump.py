"""What is in a block? Annotated text for people: manifest, streams, row groups, first lines."""

from pathlib import Path

import orjson
import pyarrow.parquet as pq

from narfi.core.errors import AppError, ErrorKind
from storage.block.layout import LINE_COLUMN, MANIFEST, STREAMS
from storage.block.shape_file import template_of
from storage.block.streams import decode_streams

SHOWN_STREAMS = 20
SHOWN_LINES = 10
MAX_LINE = 160


class NotABlockError(AppError):
    """The folder holds no (whole) block."""

    kind = ErrorKind.NOT_FOUND


def dump_block(folder: Path) -> str:
    """The text; raises `NotABlockError`."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise NotABlockError(f"{folder} is not a block: {MANIFEST} is missing")
    content = orjson.loads(manifest.read_bytes())
    out = [f"block {content['block_id']}  (format {content['format_version']})"]
    out += [
        f"  {name:<14} {content[name]}"
        for name in ("tenant", "rows", "streams", "min_ts", "max_ts", "line_bytes", "level")
    ]
    stored = sum(content["objects"].values())
    ratio = content["line_bytes"] / stored if stored else 0
    out.append(f"  {'stored':<14} {stored} bytes, {ratio:.1f} times smaller than the lines")
    out += _streams(folder)
    for name in content["objects"]:
        if name != STREAMS:
            out += _file(folder / name)
    return "\n".join(out) + "\n"


def _streams(folder: Path) -> list[str]:
    data = (folder / STREAMS).read_bytes()
    table = decode_streams(data)
    out = ["", f"{STREAMS}  {len(data)} bytes: rows, line bytes, labels"]
    for ordinal in range(min(len(table), SHOWN_STREAMS)):
        rows, size = int(table.rows[ordinal]), int(table.line_bytes[ordinal])
        out.append(f"  {ordinal:>5} {rows:>9} {size:>12}  {table.labels[ordinal].text()}")
    if len(table) > SHOWN_STREAMS:
        out.append(f"  … {len(table) - SHOWN_STREAMS} more")
    return out


def _file(path: Path) -> list[str]:
    """A shape, or the plain lines."""
    file = pq.ParquetFile(path)
    footer = file.metadata
    size = path.stat().st_size
    out = ["", f"{path.name}  {footer.num_rows} rows, {size} bytes, {footer.num_row_groups} groups"]
    template = template_of(footer)
    if template is not None:
        out.append(f"  {template.kind}: {template.text()}")
    if footer.num_row_groups:
        group = footer.row_group(0)
        out.append("  columns of row group 0: encoding, compressed, uncompressed bytes")
        for number in range(group.num_columns):
            column = group.column(number)
            encodings = ",".join(column.encodings)
            out.append(
                f"  {column.path_in_schema:<28} {encodings:<40} {column.compression:<6} "
                f"{column.total_compressed_size:>10} {column.total_uncompressed_size:>10}"
            )
    if footer.num_row_groups and template is None:
        out += ["", "first lines: stream, ts, line"]
        # without threads: a process that ends while some begin is aborted now and then
        wanted = ["stream", "ts", LINE_COLUMN]
        rows = file.read_row_group(0, columns=wanted, use_threads=False).slice(0, SHOWN_LINES)
        for row in rows.to_pylist():
            line = row[LINE_COLUMN]
            text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
            out.append(f"  {row['stream']:>5} {row['ts']} {text[:MAX_LINE]}")
    return out
