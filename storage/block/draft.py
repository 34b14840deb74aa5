"""What is a block before it is written? Rows in order, then their lines file by file.

Invariant: the parts of a draft hold every row exactly once, each part's rows ascending.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Spans
from narfi.core.labels import Labels
from storage.batch import LogBatch, StreamTable
from storage.block.shapes.encode import EncodedShape
from storage.lines.decode import line_lengths
from storage.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Draft:
    """The rows, sorted by (stream, ts, arrival), without lines; no stream is empty."""

    labels: tuple[Labels, ...]
    stream: I32
    ts: I64
    bounds: I64  # first row of each stream, and the end

    def __len__(self) -> int:
        return len(self.ts)

    @staticmethod
    def of(run: LogBatch) -> "Draft":
        """The rows of a merged run."""
        bounds = np.append(run.table.first_row, len(run))
        return Draft(tuple(run.table.labels), run.stream, run.ts, bounds)

    def table(self, line_bytes: I64) -> StreamTable:
        """The stream table, given the line bytes of each stream."""
        first, end = self.bounds[:-1], self.bounds[1:]
        return StreamTable(
            labels=self.labels,
            first_row=first,
            rows=end - first,
            first_ts=self.ts[first],
            last_ts=self.ts[end - 1],
            line_bytes=line_bytes,
        )


@dataclass(frozen=True, slots=True)
class ShapePart:
    """Rows of one shape, and their metadata."""

    shape: EncodedShape
    metadata: Metadata

    @property
    def rows(self) -> I64:
        """Ascending row numbers."""
        return self.shape.rows

    def lengths(self) -> I32:
        """Bytes of each line."""
        return line_lengths(self.shape.template, self.shape.columns, len(self.shape.rows))


@dataclass(frozen=True, slots=True)
class PlainPart:
    """Rows without a shape."""

    rows: I64
    lines: Spans
    metadata: Metadata

    def lengths(self) -> I32:
        """Bytes of each line."""
        return self.lines.length


Part = ShapePart | PlainPart


def parts_of(
    rows: I64, lines: Spans, metadata: Metadata, shapes: Iterable[EncodedShape]
) -> Iterator[Part]:
    """Rows with their lines as parts: the shapes that the lines have, then the rest."""
    plain = np.ones(len(rows), np.bool_)
    for shape in shapes:
        mine = shape.rows
        plain[mine] = False
        numbered = EncodedShape(rows[mine], shape.template, shape.columns)
        yield ShapePart(numbered, metadata.take(mine))
    rest = np.flatnonzero(plain)
    if len(rest) == len(rows):
        yield PlainPart(rows, lines, metadata)
    elif len(rest):
        yield PlainPart(rows[rest], lines.take(rest), metadata.take(rest))
