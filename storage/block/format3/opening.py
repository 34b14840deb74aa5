"""What is known of a block of format 3 without reading columns? All of it is in the index."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from narfi.core.columns import I64
from storage.batch import StreamTable
from storage.block.footer import DamagedBlockError
from storage.block.format3.index_object import decode_index
from storage.block.format3.parquet import StoredFile
from storage.block.format3.stored import StoredFamily, family_from_json
from storage.block.layout import METADATA_PREFIX, METADATA_REST, ROWS, STREAMS
from storage.block.streams import decode_streams
from storage.lines.shape_set import ShapeSet
from storage.lines.template import Template

FAMILIES = "families"
FILES = "files"
BLOOMS = "bloom_crc32c"
FOOTER = "footer:"
HOLE_BYTES = 500
SECTION_BYTES = 1_000
PLACE_BYTES = 4
"""Memory of a hole of a template, of a section else, and of a shape for each column, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFamily:
    """A family and its file."""

    number: int
    file: StoredFile
    stored: StoredFamily
    firsts: I64  # place of the first row of each shape, of the plain lines, and the end
    shapes: ShapeSet
    line_bytes: float  # of a line, on average

    @property
    def bounds(self) -> I64:
        """The first place of each row group, and the end."""
        return self.file.bounds

    def bounds_in(self, group: int) -> I64:
        """`firsts` counted from the first place of a row group, and cut to it."""
        low, high = self.bounds[group : group + 2]
        found: I64 = np.clip(self.firsts, low, high) - low
        return found

    def is_shaped(self, group: int) -> bool:
        """Whether most lines of a row group have a shape."""
        bounds = self.bounds_in(group)
        return bool(2 * bounds[-2] >= bounds[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Rows of one shape, or plain lines, of a family: what other formats have in a file.

    Its places count from its first row; it is cut where the row groups of the file are.
    """

    number: int  # among the sections of the block
    family: OpenFamily
    shape: int  # in the family; its number of shapes for plain lines
    template: Template | None  # None: plain lines
    first_group: int  # of the file
    bounds: I64  # first place in each of its row groups, and the end
    line_bytes: float  # of a line, on average

    @property
    def first(self) -> int:
        """Its first place in the file."""
        return int(self.family.firsts[self.shape])

    def group_of(self, unit: int) -> int:
        """The row group of the file in which the unit-th piece lies."""
        return self.first_group + unit

    def base(self, unit: int) -> int:
        """The place in the row group of the first row of a piece."""
        group = self.group_of(unit)
        return self.first + int(self.bounds[unit]) - int(self.family.file.bounds[group])


@dataclass(frozen=True, slots=True, kw_only=True)
class Families:
    """Everything in the index but the manifest."""

    table: StreamTable
    rows: StoredFile
    families: tuple[OpenFamily, ...]
    sections: tuple[Section, ...]
    dictionaries: tuple[str, ...] = field(init=False)  # columns of structured metadata
    has_rest: bool = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(name for name in self.rows.places if name.startswith(METADATA_PREFIX))
        object.__setattr__(self, "dictionaries", names)
        object.__setattr__(self, "has_rest", METADATA_REST in self.rows.places)

    @property
    def nbytes(self) -> int:
        """Memory, about."""
        holes = sum(len(s.template.holes) for s in self.sections if s.template is not None)
        footers = self.rows.footer.serialized_size
        footers += sum(family.file.footer.serialized_size for family in self.families)
        return (
            self.table.nbytes
            + 3 * int(footers)
            + HOLE_BYTES * holes
            + SECTION_BYTES * len(self.sections)
            + PLACE_BYTES * sum(len(f.stored.columns) * len(f.shapes) for f in self.families)
        )


def open_families(prefix: str, key: str, data: bytes) -> Families:
    """What an index says; raises `DamagedBlockError`."""
    head, blobs = decode_index(key, data)
    try:
        return _families(prefix, head, blobs)
    except (KeyError, TypeError, ValueError, OSError, AssertionError) as error:
        raise DamagedBlockError(key, error) from error


def _families(prefix: str, head: dict[str, Any], blobs: dict[str, bytes]) -> Families:
    def file(name: str) -> StoredFile:
        object_, offset, size = head[FILES][name]
        footer = blobs[FOOTER + name]
        return StoredFile.of(
            key=f"{prefix}/{object_}",
            name=name,
            place=(offset, size),
            footer=footer,
            object_size=head["objects"][object_],
            bloom_sums=head[BLOOMS].get(name, {}),
        )

    families, sections = [], list[Section]()
    for number, content in enumerate(head[FAMILIES]):
        family = _open(number, file(content["file"]), family_from_json(content))
        families.append(family)
        sections += _sections(family, len(sections))
    return Families(
        table=decode_streams(blobs[STREAMS]),
        rows=file(ROWS),
        families=tuple(families),
        sections=tuple(sections),
    )


def _open(number: int, file: StoredFile, stored: StoredFamily) -> OpenFamily:
    counts = [*(shape.rows for shape in stored.shapes), stored.plain_rows]
    size = sum(shape.line_bytes for shape in stored.shapes) + stored.plain_bytes
    firsts = np.append(0, np.cumsum(counts, dtype=np.int64))
    if int(firsts[-1]) != int(file.bounds[-1]):
        raise ValueError(f"{file.name} has {file.bounds[-1]} rows, its shapes {firsts[-1]}")
    return OpenFamily(
        number=number,
        file=file,
        stored=stored,
        firsts=firsts,
        shapes=ShapeSet(
            [shape.template for shape in stored.shapes],
            [shape.columns for shape in stored.shapes],
        ),
        line_bytes=size / max(stored.rows, 1),
    )


def _sections(family: OpenFamily, number: int) -> Sequence[Section]:
    stored, bounds = family.stored, family.file.bounds
    parts = [(shape.template, shape.rows, shape.line_bytes) for shape in stored.shapes]
    found: list[Section] = []
    for shape, (template, rows, size) in enumerate(
        [*parts, (None, stored.plain_rows, stored.plain_bytes)]
    ):
        if not rows:
            continue
        first, end = family.firsts[shape : shape + 2].tolist()
        group = int(np.searchsorted(bounds, first, side="right")) - 1
        last = int(np.searchsorted(bounds, end - 1, side="right"))
        cuts = np.clip(bounds[group : last + 1], first, end) - first
        found.append(
            Section(
                number=number + len(found),
                family=family,
                shape=shape,
                template=template,
                first_group=group,
                bounds=cuts,
                line_bytes=size / rows,
            )
        )
    return found
