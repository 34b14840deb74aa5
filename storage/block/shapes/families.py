"""What are the families of a block? Streams that print alike; their shapes over shared columns.

Invariant: every row of a run is in exactly one family, and there in one shape or plain. A fault of
ours costs space, not lines: a family that cannot be made is all plain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import structlog

from narfi.core.columns import I64
from storage.block.family import Family, FamilyColumn, FamilyShape
from storage.block.metrics import REFUSED_SHAPES
from storage.block.progress import Progress, part_of, untold
from storage.block.shapes.alike import Alike, alike
from storage.block.shapes.cells import Cells, cells_of
from storage.block.shapes.columns import FamilyColumns, checked
from storage.block.shapes.cut import cut
from storage.block.shapes.encode import MAX_SHOWN
from storage.block.shapes.family_memory import FamilyMemory, learn, learn_again, match_known
from storage.block.shapes.group import Group, family_groups
from storage.block.shapes.layouts import Layout, affordable, layout_of
from storage.block.shapes.least import LeastRows
from storage.block.shapes.matched import Scratch
from storage.block.shapes.run import Run
from storage.block.shapes.sample import learn_sample
from storage.block.shapes.vain import note_vain, worth_cutting

log = structlog.get_logger(__name__)

MATCHED = 0.4
"""The share of a family that is done when the shapes of its lines are known."""


def families_of(
    run: Run,
    least: LeastRows,
    memory: FamilyMemory | None = None,
    progress: Progress = untold,
) -> Iterator[Family]:
    """The families of a run of lines, whose rows they name; one is in memory at a time.

    `memory` is what is remembered of earlier blocks; without it all lines are cut, and no encoding
    is tried. `progress` is told of each family when its lines were matched, when it is made, and
    when the next one is asked for.
    """
    if not len(run.lines):
        return
    families = alike(run.labels, run.stream, run.lines)
    keeps = memory is not None
    if memory is None:
        memory = FamilyMemory()
    else:
        _learn_sample(run, families, memory, least)
    try:
        with memory.scratch() as scratch:
            done, bounds = 0, np.searchsorted(run.stream, np.arange(len(run.labels) + 1))
            for mine in families:
                rows, part = _part_of(run, mine.streams, bounds)
                end = done + len(rows)
                told = part_of(progress, done / len(run.lines), end / len(run.lines))
                maker = _Maker(part, least, memory, scratch, keeps=keeps)
                told(MATCHED)
                family = _of_block(maker.family(mine), rows)
                told((MATCHED + 1.0) / 2)
                yield family
                told(1.0)
                done = end
    except Exception:
        memory.distrust(run.tenant)  # the next try knows nothing that could be the cause
        raise


def _part_of(run: Run, streams: Sequence[int], bounds: I64) -> tuple[I64, Run]:
    """The rows of some streams (ascending), and those alone as a run.

    `bounds` are the first row of each stream, and the end. Rows that lie together are not copied.
    """
    sizes = np.diff(bounds)[streams]
    rows = np.concatenate([np.arange(bounds[k], bounds[k + 1]) for k in streams])
    first, end = int(bounds[streams[0]]), int(bounds[streams[-1] + 1])
    lines = run.lines.take(slice(first, end) if end - first == len(rows) else rows)
    stream = np.repeat(np.arange(len(streams), dtype=np.int32), sizes)
    labels = [run.labels[number] for number in streams]
    return rows, Run(run.tenant, labels, stream, lines)


def _of_block(family: Family, rows: I64) -> Family:
    """The family of a part of a run, with the rows of the run."""
    shapes = [FamilyShape(s.template, rows[s.rows], s.columns) for s in family.shapes]
    return replace(family, shapes=shapes, plain_rows=rows[family.plain_rows])


def _learn_sample(
    run: Run, families: Sequence[Alike], memory: FamilyMemory, least: LeastRows
) -> None:
    if memory.is_distrusted(run.tenant):
        return
    try:
        learn_sample(run, families, memory, least)
    except Exception as error:
        memory.distrust(run.tenant)
        REFUSED_SHAPES.inc()
        log.error("nothing could be learnt of a sample of lines", exc_info=error)


class _Maker:
    """Makes one family: its lines that match known shapes, and those that are left, cut.

    All that it needs is as large as the family, not as the block.
    """

    def __init__(
        self,
        run: Run,
        least: LeastRows,
        memory: FamilyMemory,
        scratch: Scratch,
        *,
        keeps: bool,
    ) -> None:
        """`run` has the lines of the family; `keeps`: whether what is learnt is ever asked for."""
        self._run, self._least, self._memory, self._keeps = run, least, memory, keeps
        self._known = match_known(run, memory, scratch, least)
        self._unmatched = self._known.left()
        worth = worth_cutting(run, self._unmatched, self._known.candidates.vain, least)
        self._left = self._unmatched[worth]
        self._found = cut(run.lines.take(self._left), fine=False)
        self._gained = [self._left[:0]]

    def family(self, of: Alike) -> Family:
        """The family; its rows are those of the run."""
        family = self._family(of.name)
        if not self._keeps:
            return family
        gained = np.concatenate(self._gained)
        note_vain(
            self._run, self._unmatched, gained, self._known.candidates.vain, self._memory.known
        )
        return self._with_encodings(family, of.first)

    def _with_encodings(self, family: Family, app: str) -> Family:
        encodings, tenant = self._memory.encodings, self._run.tenant
        columns = [
            FamilyColumn(c.name, c.values, encodings.of((tenant, app, c.name), c.values))
            for c in family.columns
        ]
        return replace(family, columns=columns)

    def _family(self, name: str) -> Family:
        known = list(self._known.rows)
        try:
            groups = family_groups(self._found, np.arange(len(self._left)), self._least)
            layouts = [layout_of(self._found, group) for group in groups]
            fields = self._known.fields(known)
            return self._shaped(name, known, affordable(groups, layouts, fields))
        except Exception as error:
            self._memory.known.forget_all(self._run.tenant)  # nothing that could be the cause
            REFUSED_SHAPES.inc()
            log.error("a family could not be made, its lines stay plain", exc_info=error)
            return self._of(name, (), ())

    def _shaped(
        self,
        name: str,
        known: Sequence[int],
        groups: tuple[Sequence[Group], Sequence[Layout]],
    ) -> Family:
        made, cells = self._gathered(known, groups)
        shapes, columns = made.made()
        good = checked(shapes, columns, self._run.lines)
        if not good.all():
            bad = np.flatnonzero(~good).tolist()
            REFUSED_SHAPES.inc(len(bad))
            log.error("shapes could not be made", shape=shapes[bad[0]].template.text()[:MAX_SHOWN])
            for number in (known[k] for k in bad if k < len(known)):
                self._memory.known.forget(self._run.tenant, self._known.candidates.known[number])
            known = [k for number, k in enumerate(known) if good[number]]
            kept = [k for k in range(len(groups[0])) if good[len(good) - len(groups[0]) + k]]
            groups = [groups[0][k] for k in kept], [groups[1][k] for k in kept]
            made, cells = self._gathered(known, groups)
            shapes, columns = made.made()
            assert checked(shapes, columns, self._run.lines).all(), "what is left was good"
        for place, number in enumerate(known):
            if place in made.outgrown:
                shape = self._known.candidates.known[number]
                self._memory.known.forget(self._run.tenant, shape)
            else:
                became = shapes[place]
                learn_again(self._run, self._memory, self._known, number, became, columns)
        self._gained += [self._left[group.rows] for group in groups[0]]
        if cells is not None and self._keeps:
            for group, draft in zip(cells.groups, made.drafts[len(known) :], strict=True):
                learn(self._run, self._memory, self._found, group, draft)
        return self._of(name, shapes, columns)

    def _gathered(
        self, known: Sequence[int], groups: tuple[Sequence[Group], Sequence[Layout]]
    ) -> tuple[FamilyColumns, Cells | None]:
        made = FamilyColumns()
        for number in known:
            made.add_known(*self._known.draft(number))
        if not groups[0]:
            return made, None
        cells = cells_of(self._found, groups[0])
        made.add_groups(cells, groups[1], self._left)
        return made, cells

    def _of(
        self, name: str, shapes: Sequence[FamilyShape], columns: Sequence[FamilyColumn]
    ) -> Family:
        """The family of shapes; rows in none of them are plain."""
        plain = np.ones(len(self._run.lines), np.bool_)
        for shape in shapes:
            plain[shape.rows] = False
        plain_rows = np.flatnonzero(plain)
        return Family(
            name=name,
            shapes=shapes,
            columns=columns,
            plain_rows=plain_rows,
            plain=self._run.lines.take(plain_rows),
        )
