"""What takes how much room in a block? Rows, shapes, and bytes of every file and column, as data.

For `narfi inspect`; the answer is plain JSON, the same for all formats.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from narfi.core.errors import AppError, ErrorKind
from storage.block.footer import reading
from storage.block.format3.index_object import decode_index
from storage.block.format3.opening import FAMILIES, FILES, FOOTER
from storage.block.format3.stored import StoredFamily, family_from_json
from storage.block.layout import COMMITS, INDEX, MANIFEST, STREAMS
from storage.block.manifest import Manifest, parse_manifest
from storage.block.shape_file import template_of
from storage.lines.template import Template

Content = dict[str, Any]


class NotABlockError(AppError):
    """The folder holds no (whole) block."""

    kind = ErrorKind.NOT_FOUND


def describe_block(folder: Path) -> Content:
    """What is in a block; raises `NotABlockError`, and `DamagedBlockError`."""
    commit = next((folder / name for name in COMMITS if (folder / name).is_file()), None)
    if commit is None:
        raise NotABlockError(f"{folder} is not a block: {MANIFEST} is missing, and {INDEX} too")
    data = commit.read_bytes()
    manifest = parse_manifest(str(commit), data)
    if commit.name == INDEX:
        files = list(_families(str(commit), data))
    else:
        files = [_file(folder / name) for name in manifest.objects]
    return {
        "block_id": manifest.row.block_id,
        "format_version": manifest.row.format_version,
        "tenant": manifest.row.tenant,
        "level": manifest.row.level,
        "rows": manifest.row.rows,
        "plain_rows": sum(file["plain_rows"] for file in files),
        "shapes": sum(len(file["shapes"]) for file in files),
        "streams": _streams(files),
        "min_ts": manifest.row.min_ts,
        "max_ts": manifest.row.max_ts,
        "line_bytes": manifest.row.line_bytes,
        "stored_bytes": manifest.row.stored_bytes,
        "objects": _objects(manifest, commit.name, len(data)),
        "files": files,
    }


def _objects(manifest: Manifest, commit: str, size: int) -> dict[str, int]:
    return {**manifest.objects, commit: size}


def _streams(files: list[Content]) -> int:
    return next((int(file["rows"]) for file in files if file["name"] == STREAMS), 0)


def _families(key: str, data: bytes) -> Iterator[Content]:
    """The files of format 3: what the index says of them."""
    head, blobs = decode_index(key, data)
    stored = {found["file"]: family_from_json(found) for found in head[FAMILIES]}
    for name, (_, _, size) in head[FILES].items():
        if name == STREAMS:
            streams = blobs[STREAMS]
            yield _described(name, pq.read_metadata(pa.BufferReader(streams)), len(streams))
            continue
        footer = pq.read_metadata(pa.BufferReader(blobs[FOOTER + name]))
        found = _described(name, footer, size)
        family = stored.get(name)
        if family is not None:
            found |= _family(family)
        yield found


def _family(family: StoredFamily) -> Content:
    return {
        "family": family.name,
        "plain_rows": family.plain_rows,
        "shapes": [_shape(shape.template, shape.rows) for shape in family.shapes],
    }


def _file(path: Path) -> Content:
    """A file of formats 1 and 2."""
    with reading(str(path)):
        footer = pq.read_metadata(path)
    found = _described(path.name, footer, path.stat().st_size)
    if path.name != STREAMS:
        template = template_of(footer)
        if template is None:
            found["plain_rows"] = footer.num_rows
        else:
            found["shapes"] = [_shape(template, footer.num_rows)]
    return found


def _shape(template: Template, rows: int) -> Content:
    return {"kind": template.kind.value, "template": template.text(), "rows": rows}


def _described(name: str, footer: pq.FileMetaData, size: int) -> Content:
    columns: dict[str, Content] = {}
    for group in range(footer.num_row_groups):
        found = footer.row_group(group)
        for place in range(found.num_columns):
            chunk = found.column(place)
            column = columns.setdefault(
                chunk.path_in_schema,
                {
                    "name": chunk.path_in_schema,
                    "bytes": 0,
                    "uncompressed_bytes": 0,
                    "compression": chunk.compression,
                    "encodings": sorted(chunk.encodings),
                },
            )
            column["bytes"] += chunk.total_compressed_size
            column["uncompressed_bytes"] += chunk.total_uncompressed_size
    return {
        "name": name,
        "bytes": size,
        "rows": footer.num_rows,
        "row_groups": footer.num_row_groups,
        "plain_rows": 0,
        "shapes": [],
        "columns": list(columns.values()),
    }
