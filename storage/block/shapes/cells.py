"""Where are the values of a family's shapes? In a table of cells, one for each hole of a shape.

Invariant: the lines of a group are cut as its first one, byte for byte between the holes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.columns import I32, I64, Mask, Spans
from narfi.core.kernels.shape_cells import gather_cells, profile_cells, same_cells
from narfi.core.kernels.shape_values import PROFILE_SIZE
from storage.block.shapes.cut import CutLines
from storage.block.shapes.group import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Values of cells; those of cell c are places `bounds[c]` to `bounds[c + 1]`.

    The cells of group g are `first[g]` to `first[g + 1]`, in the order of its holes.
    """

    groups: Sequence[Group]
    lines: Spans  # of all groups, one behind the other
    first: I64
    bounds: I64
    start: I64
    length: I32

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def values(self, cells: Sequence[int]) -> Spans:
        """The values of some cells, one behind the other."""
        bounds = self.bounds
        if len(cells) == 1:
            only = slice(int(bounds[cells[0]]), int(bounds[cells[0] + 1]))
            return Spans(self.lines.data, self.start[only], self.length[only])
        places = [slice(a, b) for a, b in zip(bounds[cells], bounds[1:][cells], strict=True)]
        return Spans(
            self.lines.data,
            np.concatenate([self.start[place] for place in places]),
            np.concatenate([self.length[place] for place in places]),
        )

    def text(self, cell: int) -> bytes:
        """The first value of a cell."""
        place = int(self.bounds[cell])
        begin = int(self.start[place])
        return self.lines.data[begin : begin + int(self.length[place])].tobytes()

    def same(self) -> Mask:
        """The cells of which all values are equal."""
        out = np.empty(len(self), np.bool_)
        same_cells(self.lines.data, self.start, self.length, self.bounds, out)
        return out


def cells_of(found: CutLines, groups: Sequence[Group]) -> Cells:
    """The cells of all groups; lines that are not cut as the first of their group are left out."""
    cells, fits = _gathered(found, groups)
    if fits.all():
        return cells
    ends = np.cumsum([len(group.rows) for group in groups])
    kept = [
        Group(group.rows[fits[end - len(group.rows) : end]], group.cut)
        for group, end in zip(groups, ends.tolist(), strict=True)
    ]
    cells, fits = _gathered(found, kept)
    assert fits.all(), "what fits the first line of a group fits it again"
    return cells


def _gathered(found: CutLines, groups: Sequence[Group]) -> tuple[Cells, Mask]:
    sizes = np.array([len(group.rows) for group in groups], np.int64)
    holes = np.array([found.count(int(group.rows[0])) for group in groups], np.int64)
    rows = np.concatenate([group.rows for group in groups])
    lines = found.lines.take(rows)
    bounds = np.zeros(int(holes.sum()) + 1, np.int64)
    np.cumsum(np.repeat(sizes, holes), out=bounds[1:])
    first, group_from = np.zeros(len(groups) + 1, np.int64), np.zeros(len(groups) + 1, np.int64)
    np.cumsum(holes, out=first[1:])
    np.cumsum(sizes, out=group_from[1:])
    start, length = np.zeros(int(bounds[-1]), np.int64), np.zeros(int(bounds[-1]), np.int32)
    fits = np.empty(len(rows), np.bool_)
    gather_cells(
        lines.data,
        lines.start,
        lines.length,
        rows,
        group_from,
        bounds[first[:-1]],
        found.how,
        found.hole_from,
        found.hole_count,
        found.hole_start,
        found.hole_length,
        found.hole_kind,
        start,
        length,
        fits,
    )
    cells = Cells(
        groups=groups, lines=lines, first=first, bounds=bounds, start=start, length=length
    )
    return cells, fits


def profiles(values: Spans, bounds: I64) -> I64:
    """The profile (`shape_values.profile`) of each cell of the values, `[cell, place]`."""
    out = np.empty((len(bounds) - 1, PROFILE_SIZE), np.int64)
    profile_cells(values.data, values.start, values.length, bounds, out)
    return out
