"""What is known of a block of format 3 without reading columns? All of it is in the index.

Shapes of a family, and footers, are decoded when somebody asks for them: a question is mostly about
a few families.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from narfi.core.columns import I64, Mask
from storage.batch import StreamTable
from storage.block.footer import DamagedBlockError
from storage.block.format3.known_needles import KnownNeedles
from storage.block.format3.parquet import StoredFile
from storage.block.format3.stored import (
    StoredFamily,
    family_from_json,
    holes_of,
    line_bytes_of,
    rows_of,
)
from storage.block.layout import METADATA_PREFIX, METADATA_REST, ROWS, STREAMS
from storage.block.streams import decode_streams
from storage.lines.shape_set import ShapeSet
from storage.lines.template import Template

FAMILIES = "families"
FILES = "files"
BLOOMS = "bloom_crc32c"
GROUPS = "row_groups"
FOOTER = "footer:"
FOOTER_FACTOR = 3
"""Memory of a decoded footer, in its stored size."""
HOLE_BYTES = 500
SECTION_BYTES = 1_000
PLACE_BYTES = 4
"""Memory of a hole of a template, of a section else, and of a shape for each column, about."""


@dataclass(frozen=True, kw_only=True)
class OpenFamily:
    """A family and its file."""

    number: int
    file: StoredFile
    index_key: str
    content: Mapping[str, Any]  # what the index says of it
    firsts: I64  # place of the first row of each shape, of the plain lines, and the end

    @cached_property
    def stored(self) -> StoredFamily:
        """Its columns and shapes; raises `DamagedBlockError`."""
        try:
            return family_from_json(self.content)
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            raise DamagedBlockError(self.index_key, error) from error

    @cached_property
    def shapes(self) -> ShapeSet:
        """Its shapes as a set; raises as `stored`."""
        shapes = self.stored.shapes
        return ShapeSet([one.template for one in shapes], [one.columns for one in shapes])

    @property
    def bounds(self) -> I64:
        """The first place of each row group, and the end."""
        return self.file.bounds

    @cached_property
    def line_bytes(self) -> float:
        """Of a line, on average."""
        return sum(line_bytes_of(self.content)) / max(int(self.firsts[-1]), 1)

    def bounds_in(self, group: int) -> I64:
        """`firsts` counted from the first place of a row group, and cut to it."""
        low, high = self.bounds[group : group + 2]
        found: I64 = np.clip(self.firsts, low, high) - low
        return found

    def is_shaped(self, group: int) -> bool:
        """Whether most lines of a row group have a shape."""
        return bool(self._shaped[group])

    @cached_property
    def _shaped(self) -> Mask:
        low, high = self.bounds[:-1], self.bounds[1:]
        plain, end = (np.clip(first, low, high) - low for first in self.firsts[-2:])
        found: Mask = 2 * plain >= end
        return found

    @cached_property
    def known_needles(self) -> KnownNeedles:
        """What was looked for before."""
        return KnownNeedles()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Rows of one shape, or plain lines, of a family: what other formats have in a file.

    Its places count from its first row; it is cut where the row groups of the file are.
    """

    number: int  # among the sections of the block
    family: OpenFamily
    shape: int  # in the family; its number of shapes for plain lines
    first_group: int  # of the file
    bounds: I64  # first place in each of its row groups, and the end
    line_bytes: float  # of a line, on average

    @property
    def template(self) -> Template | None:
        """None: plain lines."""
        if self.shape == len(self.family.firsts) - 2:
            return None
        return self.family.stored.shapes[self.shape].template

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
    nbytes: int  # of memory, about, when all of it is decoded
    dictionaries: tuple[str, ...] = field(init=False)  # columns of structured metadata
    has_rest: bool = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(name for name in self.rows.places if name.startswith(METADATA_PREFIX))
        object.__setattr__(self, "dictionaries", names)
        object.__setattr__(self, "has_rest", METADATA_REST in self.rows.places)


def open_families(
    prefix: str, key: str, head: Mapping[str, Any], blobs: Mapping[str, bytes]
) -> Families:
    """What a decoded index says; raises `DamagedBlockError`."""
    try:
        return _families(prefix, key, head, blobs)
    except (KeyError, TypeError, ValueError, OSError, AssertionError) as error:
        raise DamagedBlockError(key, error) from error


def _families(
    prefix: str, key: str, head: Mapping[str, Any], blobs: Mapping[str, bytes]
) -> Families:
    def file(name: str) -> StoredFile:
        object_, offset, size = head[FILES][name]
        footer = blobs[FOOTER + name]
        return StoredFile.of(
            key=f"{prefix}/{object_}",
            name=name,
            place=(offset, size),
            footer=footer,
            object_size=head["objects"][object_],
            object_sum=head["crc32c"][object_],
            bloom_sums=head[BLOOMS].get(name, {}),
            counts=head.get(GROUPS, {}).get(name),
        )

    families, sections = [], list[Section]()
    for number, content in enumerate(head[FAMILIES]):
        family = _open(number, file(content["file"]), key, content)
        families.append(family)
        sections += _sections(family, len(sections))
    table, rows = decode_streams(blobs[STREAMS]), file(ROWS)
    holes = sum(holes_of(content) for content in head[FAMILIES])
    places = sum(len(one["shapes"]) * len(one["columns"]) for one in head[FAMILIES])
    footers = sum(len(found.stored_footer) for found in (rows, *(f.file for f in families)))
    return Families(
        table=table,
        rows=rows,
        families=tuple(families),
        sections=tuple(sections),
        nbytes=table.nbytes
        + FOOTER_FACTOR * footers
        + HOLE_BYTES * holes
        + PLACE_BYTES * places
        + SECTION_BYTES * len(sections),
    )


def _open(number: int, file: StoredFile, key: str, content: Mapping[str, Any]) -> OpenFamily:
    firsts = np.append(0, np.cumsum(rows_of(content), dtype=np.int64))
    if int(firsts[-1]) != int(file.bounds[-1]):
        raise ValueError(f"{file.name} has {file.bounds[-1]} rows, its shapes {firsts[-1]}")
    return OpenFamily(number=number, file=file, index_key=key, content=content, firsts=firsts)


def _sections(family: OpenFamily, number: int) -> Sequence[Section]:
    bounds, firsts = family.file.bounds, family.firsts
    groups = (np.searchsorted(bounds, firsts[:-1], side="right") - 1).tolist()
    lasts = np.searchsorted(bounds, firsts[1:] - 1, side="right").tolist()
    places, sizes = firsts.tolist(), line_bytes_of(family.content)
    found: list[Section] = []
    for shape, (group, last, size) in enumerate(zip(groups, lasts, sizes, strict=True)):
        first, end = places[shape : shape + 2]
        if first == end:
            continue
        cuts = bounds[group : last + 1] - first
        cuts[0], cuts[-1] = 0, end - first
        found.append(
            Section(
                number=number + len(found),
                family=family,
                shape=shape,
                first_group=group,
                bounds=cuts,
                line_bytes=size / (end - first),
            )
        )
    return found
