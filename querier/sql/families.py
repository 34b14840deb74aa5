"""What does SQL read of blocks of format 3? Family files, joined with the rows of their blocks.

Which shapes a file has stands in the block's index; a hole is named as its column is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq

from querier.sql.line_text import name_sql, quoted
from storage.block.format3.index_object import decode_index
from storage.block.format3.opening import OpenFamily, open_families
from storage.block.format3.parquet import StoredFile
from storage.block.layout import (
    DATA,
    INDEX,
    LINE_COLUMN,
    METADATA_PREFIX,
    METADATA_REST,
    REST_COLUMN,
    ROWS,
)
from storage.lines.template import Template
from storage.objects.base import ObjectError

FILE = "narfi:file"
"""A column for the path of the file: no field has such a name by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsFile:
    """rows.parquet of a block."""

    path: Path
    in_ms: bool
    has_rest_of_ms: bool
    metadata: tuple[str, ...]
    has_rest: bool


@dataclass(frozen=True, slots=True)
class FamilyShape:
    """A shape of a family file, its holes named as the columns are."""

    number: int
    template: Template
    own: Template  # as it is, with names of fields
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyFile:
    """A family of a block."""

    path: Path
    rows_file: RowsFile
    binary: frozenset[str]  # columns
    plain_rows: int
    shapes: tuple[FamilyShape, ...]
    views: dict[int, str] = field(default_factory=dict)  # name of the view of each shape

    def shapes_of(self, number: int) -> list[FamilyShape]:
        """The shape of the number."""
        return [shape for shape in self.shapes if shape.number == number]


def read_families(folder: Path) -> list[FamilyFile]:
    """The families of a block; raises `ObjectError` for one that SQL cannot read."""
    key = folder / INDEX
    try:
        data = key.read_bytes()
    except OSError as error:
        raise ObjectError(f"block {folder} cannot be read: {error.strerror}") from error
    found = open_families(str(folder), str(key), *decode_index(str(key), data))
    if (folder / DATA).exists():
        message = f"block {folder} is packed: only what compaction made of it can be read by SQL"
        raise ObjectError(message)
    rows = _rows_file(folder / ROWS, found.rows)
    return [_family(folder, family, rows) for family in found.families]


def _rows_file(path: Path, file: StoredFile) -> RowsFile:
    kind = str(file.footer.schema.column(file.places["ts"]).logical_type).lower()
    names = [n.removeprefix(METADATA_PREFIX) for n in file.places if n.startswith(METADATA_PREFIX)]
    return RowsFile(
        path=path,
        in_ms="milliseconds" in kind,
        has_rest_of_ms=REST_COLUMN in file.places,
        metadata=tuple(sorted(names)),
        has_rest=METADATA_REST in file.places,
    )


def _family(folder: Path, family: OpenFamily, rows: RowsFile) -> FamilyFile:
    names = [column.name for column in family.stored.columns]
    shapes = []
    for number, shape in enumerate(family.stored.shapes):
        holes = zip(shape.template.holes, shape.columns, strict=True)
        renamed = tuple(replace(hole, name=names[column]) for hole, column in holes)
        template = replace(shape.template, holes=renamed)
        shapes.append(FamilyShape(number, template, shape.template, shape.rows))
    return FamilyFile(
        path=folder / family.file.name,
        rows_file=rows,
        binary=_binary(family.file.footer, [*names, LINE_COLUMN]),
        plain_rows=family.stored.plain_rows,
        shapes=tuple(shapes),
    )


def _binary(footer: pq.FileMetaData, names: Iterable[str]) -> frozenset[str]:
    columns = [footer.schema.column(place) for place in range(len(footer.schema))]
    wanted = set(names)
    return frozenset(
        column.path
        for column in columns
        if column.path in wanted
        and column.physical_type == "BYTE_ARRAY"
        and column.logical_type.type != "STRING"
    )


def files_sql(paths: Sequence[Path], *, numbered: bool = False) -> str:
    """A table of all columns of some Parquet files, and `FILE`."""
    files = ", ".join(quoted(str(path)) for path in paths)
    return (
        f"read_parquet([{files}], union_by_name = true, hive_partitioning = false, "
        f"filename = {quoted(FILE)}{', file_row_number = true' if numbered else ''})"
    )


def rows_sql(files: Sequence[RowsFile]) -> str:
    """A table of the rows of blocks: folder, row, stream, ts in ns, columns of metadata."""
    alike: dict[tuple[bool, bool], list[RowsFile]] = {}
    for file in dict.fromkeys(files):
        alike.setdefault((file.in_ms, file.has_rest_of_ms), []).append(file)
    selects = []
    for (_, has_rest), group in alike.items():
        ts = f"epoch_ns(ts) + {REST_COLUMN}" if has_rest else "epoch_ns(ts)"
        names = sorted({METADATA_PREFIX + name for file in group for name in file.metadata})
        names += [METADATA_REST] if any(file.has_rest for file in group) else []
        columns = ["row", "stream", f"{ts} AS ts", *map(name_sql, names)]
        selects.append(
            f"SELECT parse_dirpath({name_sql(FILE)}) AS folder, {', '.join(columns)} "
            f"FROM {files_sql([file.path for file in group])}"
        )
    return f"({' UNION ALL BY NAME '.join(selects)})"
