"""What do streams print of which nothing is known? Some of their lines are cut, and shapes learnt.

So a first block costs what a later one does: most of its lines match what a sample of them taught,
and are parsed in the pass that matches. Only frequent shapes are learnt here, since types are as
sure as there are values; lines of all others are cut as ever.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from storage.block.shapes.alike import Alike
from storage.block.shapes.cells import cells_of
from storage.block.shapes.columns import SAMPLED_WORDS, FamilyColumns
from storage.block.shapes.cut import cut
from storage.block.shapes.family_memory import FamilyMemory, learn
from storage.block.shapes.group import family_groups
from storage.block.shapes.layouts import affordable, layout_of
from storage.block.shapes.least import LeastRows
from storage.block.shapes.run import Run

SHARE = 16
"""One of so many lines is looked at."""
MIN_ROWS = 1 << 15
"""Fewer lines are cut at once."""
LEARNT = LeastRows(64, 64)
"""Lines of the sample that make a shape."""


def learn_sample(
    run: Run, families: Sequence[Alike], memory: FamilyMemory, least: LeastRows
) -> None:
    """Learn shapes of the streams of a run that have none; `families` are those of the run.

    `least` is what a shape of the run needs: others would match in vain.
    """
    new = memory.known.unknown(run.tenant, run.labels)
    rows = np.flatnonzero(new[run.stream])
    if len(rows) < MIN_ROWS:
        return
    picked = rows[::SHARE]
    some = Run(run.tenant, run.labels, run.stream[picked], run.lines.take(picked))
    found = cut(some.lines, fine=False)
    wanted = replace(LEARNT, hole_bytes=least.hole_bytes // SHARE)
    for family in families:
        mine = np.flatnonzero(np.isin(some.stream, family.streams))
        groups = family_groups(found, mine, wanted)
        layouts = [layout_of(found, group) for group in groups]
        groups, layouts = affordable(groups, layouts, set())
        if groups:
            cells = cells_of(found, groups)
            made = FamilyColumns()
            made.add_groups(cells, layouts, np.arange(len(picked)), SAMPLED_WORDS)
            for group, draft in zip(cells.groups, made.drafts, strict=True):
                learn(some, memory, found, group, draft)
