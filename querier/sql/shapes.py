"""Which shapes do the visible blocks have? Files with equal templates, over all blocks, as one.

A `Shape` is what a user sees as one view. Its files are kept in parts of which the columns are
stored alike; a hole whose type differs from part to part is text in the view.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson
import pyarrow.parquet as pq

from querier.sql.families import FamilyFile, read_families
from storage.block.layout import (
    LINE_COLUMN,
    LINES,
    MANIFEST,
    METADATA_PREFIX,
    METADATA_REST,
    ROW_COLUMN,
    STREAMS,
    block_prefix,
)
from storage.block.shape_file import template_of
from storage.catalog.base import BlockRow
from storage.lines.template import HoleKind, Template
from storage.objects.base import ObjectError

PLAIN = "plain"
OWN_COLUMNS = ("ts", "labels", "metadata", "line")
"""Columns of every view; a field of such a name gets a suffix."""
SUFFIX = "_extracted"


@dataclass(slots=True, kw_only=True)
class Part:
    """Files that one SELECT can read; `template` is None for plain lines."""

    template: Template | None
    blobs: frozenset[str]
    """Columns that are binary."""
    files: dict[Path, int] = field(default_factory=dict)
    """And how many rows each has."""
    metadata: dict[str, None] = field(default_factory=dict)
    """Names of structured metadata with a column, in any file."""
    has_rest: bool = False
    numbered: bool = False
    """Some file has a column for the row in the block."""
    unnumbered: bool = False
    """Some file is the whole block: its rows are those of the block."""
    families: list[tuple[FamilyFile, int]] = field(default_factory=list)
    """Instead of files: families, and the number of the shape there."""

    @property
    def rows(self) -> int:
        """Of all files, as their footers say."""
        shapes = (one for family, number in self.families for one in family.shapes_of(number))
        return sum(self.files.values()) + sum(one.rows for one in shapes)

    def only(self, folders: Collection[Path]) -> "Part":
        """Of some of the blocks."""
        return replace(
            self,
            files={path: rows for path, rows in self.files.items() if path.parent in folders},
            families=[one for one in self.families if one[0].path.parent in folders],
        )


@dataclass(slots=True)
class Shape:
    """Lines of equal templates; `PLAIN` is those of none."""

    name: str
    rows: int = 0
    parts: dict[tuple[object, ...], Part] = field(default_factory=dict)

    @property
    def template(self) -> Template | None:
        """A template of the shape; constants and names are those of all."""
        return next(iter(self.parts.values())).template

    def is_typed(self, number: int) -> HoleKind | None:
        """NUMBER or TIME where the hole is that in all parts; None: shown as text."""
        kinds = {
            part.template.holes[number].type.kind
            for part in self.parts.values()
            if part.template is not None
        }
        kind = kinds.pop()
        return kind if not kinds and kind in (HoleKind.NUMBER, HoleKind.TIME) else None

    def column_names(self) -> list[str]:
        """What each hole is called in the view."""
        assert self.template is not None
        used = set(OWN_COLUMNS)
        names = []
        for hole in self.template.holes:
            name = hole.name
            while name.lower() in used:
                name += SUFFIX
            used.add(name.lower())
            names.append(name)
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The visible blocks of a tenant as SQL needs them."""

    folders: tuple[Path, ...]
    shapes: tuple[Shape, ...]
    """Named, the largest of each kind first."""
    plain: Shape
    families: tuple[FamilyFile, ...] = ()
    times: Mapping[Path, tuple[int, int]] = field(default_factory=dict)
    """Of each folder the first and the last time in it, ns."""

    @property
    def rows(self) -> int:
        """All rows."""
        plain = self.plain.rows + sum(family.plain_rows for family in self.families)
        return plain + sum(shape.rows for shape in self.shapes)

    def only(self, folders: Collection[Path]) -> "Stored":
        """The files of some of the blocks, their shapes named as they are."""

        def some(shape: Shape) -> Shape:
            parts = {key: part.only(folders) for key, part in shape.parts.items()}
            return Shape(shape.name, sum(one.rows for one in parts.values()), parts)

        return Stored(
            folders=tuple(folder for folder in self.folders if folder in folders),
            shapes=tuple(map(some, self.shapes)),
            plain=some(self.plain),
            families=tuple(one for one in self.families if one.path.parent in folders),
            times={folder: times for folder, times in self.times.items() if folder in folders},
        )


def find_shapes(objects: Path, blocks: Sequence[BlockRow]) -> Stored:
    """Read the footers of all files of the blocks."""
    folders = [objects / block_prefix(b.tenant, b.min_ts, b.block_id) for b in blocks]
    shapes: dict[tuple[object, ...], Shape] = {}
    plain = Shape(PLAIN)
    families: list[FamilyFile] = []
    for block, folder in zip(blocks, folders, strict=True):
        if block.format_version > 2:
            found = read_families(folder)
            families += found
            for family in found:
                _add_family(family, shapes)
            continue
        for path in _files(folder):
            _add(path, shapes, plain)
    named = _named(shapes.values())
    for shape in named:
        for part in shape.parts.values():
            for family, number in part.families:
                family.views[number] = shape.name
    times = {f: (b.min_ts, b.max_ts) for f, b in zip(folders, blocks, strict=True)}
    return Stored(
        folders=tuple(folders), shapes=named, plain=plain, families=tuple(families), times=times
    )


def _add_family(family: FamilyFile, shapes: dict[tuple[object, ...], Shape]) -> None:
    for found in family.shapes:
        own = found.own
        key = (own.kind, own.constants, tuple(hole.name for hole in own.holes))
        shape = shapes.setdefault(key, Shape(""))
        blobs = family.binary & {hole.name for hole in found.template.holes}
        cut = ("family", *found.template.cut_key())
        part = shape.parts.setdefault((cut, blobs), Part(template=found.template, blobs=blobs))
        assert part.template is not None
        part.template = part.template.joined(found.template)
        shape.rows += found.rows
        part.families.append((family, found.number))
        part.has_rest |= family.rows_file.has_rest
        part.metadata |= dict.fromkeys(family.rows_file.metadata)


def _files(folder: Path) -> list[Path]:
    try:
        manifest = orjson.loads((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise ObjectError(f"block {folder} cannot be read: {error.strerror}") from error
    names = manifest.get("objects", [LINES])
    return [folder / name for name in names if name != STREAMS]


def _add(path: Path, shapes: dict[tuple[object, ...], Shape], plain: Shape) -> None:
    try:
        footer = pq.read_metadata(path)
    except OSError as error:
        raise ObjectError(f"{path} cannot be read: {error}") from error
    if not footer.num_rows:
        return
    template = template_of(footer)
    columns = [footer.schema.column(i) for i in range(len(footer.schema))]
    names = {column.path for column in columns}
    binary = {
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and column.logical_type.type != "STRING"
    }
    if template is None:
        shape, blobs, cut = plain, frozenset(binary & {LINE_COLUMN}), ()
    else:
        key = (template.kind, template.constants, tuple(hole.name for hole in template.holes))
        shape = shapes.setdefault(key, Shape(""))
        blobs = frozenset(binary & {hole.name for hole in template.holes})
        cut = template.cut_key()
    part = shape.parts.setdefault((cut, blobs), Part(template=template, blobs=blobs))
    if template is not None and part.template is not None:
        part.template = part.template.joined(template)
    shape.rows += footer.num_rows
    part.files[path] = footer.num_rows
    part.has_rest |= METADATA_REST in names
    part.numbered |= ROW_COLUMN in names
    part.unnumbered |= ROW_COLUMN not in names
    part.metadata |= dict.fromkeys(
        sorted(n.removeprefix(METADATA_PREFIX) for n in names if n.startswith(METADATA_PREFIX))
    )


def _named(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    counts: dict[str, int] = {}
    ordered = sorted(shapes, key=lambda shape: -shape.rows)
    for shape in ordered:
        assert shape.template is not None
        kind = shape.template.kind.value
        counts[kind] = counts.get(kind, 0) + 1
        shape.name = f"shape_{kind}_{counts[kind]}"
    return tuple(ordered)
