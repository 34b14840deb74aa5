"""What are the families of a block? Streams that print alike; their shapes over shared columns.

Invariant: every row of a run is in exactly one family, and there in one shape or plain. A fault of
ours costs space, not lines: a family that cannot be made is all plain.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import structlog

from narfi.core.columns import I64
from storage.block.family import Family
from storage.block.metrics import REFUSED_SHAPES
from storage.block.shapes.alike import Alike, alike
from storage.block.shapes.cells import cells_of
from storage.block.shapes.columns import FamilyFault, affordable, layout_of, typed
from storage.block.shapes.cut import CutLines, cut
from storage.block.shapes.encodings import Encodings
from storage.block.shapes.group import family_groups
from storage.block.shapes.run import Run

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeastRows:
    """From how many lines on a shape pays, by how its lines are cut."""

    text: int
    keyed: int  # JSON and logfmt: their columns are there anyway


FLUSHED = LeastRows(64, 1)
"""For a block as it is flushed."""
MERGED = LeastRows(16, 1)
"""For blocks that are merged: they are read more often than written."""


def families_of(run: Run, least: LeastRows, encodings: Encodings | None = None) -> Iterator[Family]:
    """The families of a run of lines, whose rows they name; one is in memory at a time.

    `encodings` remembers how fields of earlier blocks are written; without it all are tried.
    """
    encodings = encodings or Encodings()
    if not len(run.lines):
        return
    found = cut(run.lines, fine=False)
    for mine in alike(run.labels, run.stream, found):
        of_stream = np.zeros(len(run.labels), np.bool_)
        of_stream[mine.streams] = True
        rows = np.flatnonzero(of_stream[run.stream])
        family = _family(found, mine, rows, least)
        columns = [
            replace(c, encoding=encodings.of((run.tenant, family.name, c.name), c.values))
            for c in family.columns
        ]
        yield replace(family, columns=columns)


def _family(found: CutLines, mine: Alike, rows: I64, least: LeastRows) -> Family:
    try:
        return _shaped(found, mine, rows, least)
    except Exception as error:
        REFUSED_SHAPES.inc()
        log.error("a family could not be made, its lines stay plain", exc_info=error)
        return _plain(found, mine, rows)


def _shaped(found: CutLines, mine: Alike, rows: I64, least: LeastRows) -> Family:
    groups = family_groups(found, rows, least.text, least.keyed)
    groups, layouts = affordable(groups, [layout_of(found, group) for group in groups])
    if not groups:
        return _plain(found, mine, rows)
    cells = cells_of(found, groups)
    try:
        shapes, columns = typed(cells, layouts)
    except FamilyFault as fault:
        REFUSED_SHAPES.inc(len(fault.groups))
        log.error("a shape could not be made, its lines stay plain", exc_info=fault)
        good = [number for number in range(len(groups)) if number not in fault.groups]
        if not good:
            return _plain(found, mine, rows)
        cells = cells_of(found, [groups[number] for number in good])
        shapes, columns = typed(cells, [layouts[number] for number in good])
    left = np.ones(len(found.lines), np.bool_)
    for shape in shapes:
        left[shape.rows] = False
    plain = rows[left[rows]]
    return Family(
        name=mine.name,
        shapes=shapes,
        columns=columns,
        plain_rows=plain,
        plain=found.lines.take(plain),
    )


def _plain(found: CutLines, mine: Alike, rows: I64) -> Family:
    return Family(
        name=mine.name, shapes=(), columns=(), plain_rows=rows, plain=found.lines.take(rows)
    )
