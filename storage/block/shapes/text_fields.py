"""Which holes of texts are one field? Texts name nothing: those that agree in place and in form.

Values of one form have the same type, or begin and end alike, or are cut alike, so that a column of
them is typed as each of its cells would be.
"""

from collections.abc import Sequence

import numpy as np

from narfi.core.columns import I64, Spans
from narfi.core.kernels.shape_cells import alike_cells
from storage.block.shapes.cells import Cells, profiles
from storage.block.shapes.cut import cut
from storage.block.shapes.infer import MAX_PARTS, affixes, likely_type
from storage.lines.template import HoleType

Form = tuple[object, ...]
"""Equal for cells of which the values have one form."""

ANY: Form = ("any",)
SAMPLED = 64
"""Values of a cell that are cut to see whether all are alike; a column is looked at whole."""


def forms(cells: Cells, chosen: Sequence[int]) -> list[Form]:
    """The form of each of the chosen cells."""
    if not chosen:
        return []
    found: list[Form] = []
    values, bounds = _of(cells, chosen)
    stats = profiles(values, bounds)
    inner: list[int] = []
    ends: list[tuple[bytes, bytes]] = []
    for place, cell in enumerate(chosen):
        first = cells.text(cell)
        kind = likely_type(stats[place], first)
        found.append(ANY if kind is None else _typed(kind))
        if kind is None:
            around = affixes(first, stats[place])
            if any(around):
                inner.append(place)
                ends.append(around)
    for place, form in zip(inner, _between(cells, [chosen[p] for p in inner], ends), strict=True):
        found[place] = form
    rest = [place for place, form in enumerate(found) if form is ANY]
    for place, form in zip(rest, _cut_alike(cells, [chosen[p] for p in rest]), strict=True):
        found[place] = form
    return found


def _of(cells: Cells, chosen: Sequence[int]) -> tuple[Spans, I64]:
    """(values of some cells, where those of each begin)."""
    bounds = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(np.diff(cells.bounds)[list(chosen)], out=bounds[1:])
    return cells.values(list(chosen)), bounds


def _typed(kind: HoleType) -> Form:
    fixed = kind.least == kind.scale
    return kind.kind, kind.scale if fixed else -1, kind.width, kind.layout


def _between(
    cells: Cells, chosen: Sequence[int], ends: Sequence[tuple[bytes, bytes]]
) -> list[Form]:
    """Forms of values without what all of a cell begin and end with."""
    if not chosen:
        return []
    values, bounds = _of(cells, chosen)
    sizes = np.diff(bounds)
    before = np.repeat(np.array([len(prefix) for prefix, _ in ends], np.int64), sizes)
    around = np.repeat(np.array([len(a) + len(b) for a, b in ends], np.int32), sizes)
    inner = Spans(values.data, values.start + before, values.length - around)
    stats = profiles(inner, bounds)
    found: list[Form] = []
    for place, (cell, (prefix, suffix)) in enumerate(zip(chosen, ends, strict=True)):
        text = cells.text(cell)
        kind = likely_type(stats[place], text[len(prefix) : len(text) - len(suffix)])
        found.append(ANY if kind is None else (prefix, suffix, *_typed(kind)))
    return found


def _cut_alike(cells: Cells, chosen: Sequence[int]) -> list[Form]:
    """Forms of values that are cut alike, as runs of letters and digits; by a sample of each."""
    if not chosen:
        return []
    sizes = np.diff(cells.bounds)[list(chosen)]
    places = [
        np.arange(int(cells.bounds[cell]), int(cells.bounds[cell + 1]), 1 + size // SAMPLED)
        for cell, size in zip(chosen, sizes.tolist(), strict=True)
    ]
    picked = np.concatenate(places)
    bounds = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum([len(mine) for mine in places], out=bounds[1:])
    found = cut(Spans(cells.lines.data, cells.start[picked], cells.length[picked]), fine=True)
    same = np.empty(len(chosen), np.bool_)
    alike_cells(found.skeleton, bounds, same)
    first = bounds[:-1]
    count = found.hole_count[first]
    good = same & (count >= 2) & (count <= MAX_PARTS) & (found.how[first] != 0)
    return [
        ("cut", skeleton) if is_good else ANY
        for skeleton, is_good in zip(found.skeleton[first].tolist(), good.tolist(), strict=True)
    ]
