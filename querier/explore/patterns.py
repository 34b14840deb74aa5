"""Which patterns do the lines have, and how often when? (reference/http-api.md §4.7)

Lines are counted by mask (tokens with digits left out) and level; what such a token has in common
in all lines of a mask stays text. Masks are then merged to patterns (pattern_merge.py). Works on
stored lines of any time range; lines of a shape are counted from its columns (mask_groups.py).
Leaf tasks group lines; their groups are few, and are counted here in the order of the tasks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from logql.ast import Selector
from narfi.core.columns import I64
from narfi.core.label_column import LabelColumn
from narfi.core.matchers import Matcher
from narfi.core.text.masks import MARK, as_text, masked
from querier.budget import Budget
from querier.executors.leaf import Executor, Leaf, planned_context
from querier.explore.mask_groups import LineGroups, cells_of, group_lines, group_shape
from querier.explore.pattern_merge import MIN_HITS, CountedMask, Pattern, merge_masks
from querier.operators.base import Demand
from querier.operators.frame import Frame
from querier.plan.nodes import Scan
from querier.plan.tasks import plan_tasks
from querier.reading.view import View
from querier.result import QueryStats
from querier.rules import Rule, Rules
from storage.lines.base import LineColumn
from storage.scan import Columns

MAX_PATTERNS = 300
MAX_MASKS = 50_000
"""Distinct masks that are counted; of free text that never repeats, the rest is left out."""
MAX_CELLS = 1 << 24
"""Counters of all masks: with many buckets fewer masks are counted."""
MIN_MASKS = 1_000
MERGED_MASKS = 10_000
"""Masks that are merged, the most frequent ones."""
LEVEL = "detected_level"
EXAMPLE_BYTES = 32
"""Of the example of a group: where it is, its mask and its level."""
MASK_BYTES = 600
"""Of a mask beside its counts and lines, about."""


@dataclass(frozen=True, slots=True)
class LevelGroups:
    """The groups of the lines of a batch, and the levels that their codes stand for."""

    groups: LineGroups
    levels: tuple[str, ...]  # the last one is that of code -1

    def nbytes(self) -> int:
        """Memory of the arrays and of the examples."""
        found = self.groups
        cells = found.group.nbytes + found.bucket.nbytes + found.count.nbytes
        tokens = found.offset.nbytes + found.shared.nbytes
        return len(found.codes) * EXAMPLE_BYTES + found.examples.nbytes() + cells + tokens


@dataclass(frozen=True, slots=True)
class GroupsPartial:
    """What a leaf task found, batch by batch."""

    found: tuple[LevelGroups, ...]
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLines:
    """Groups the lines of a leaf by mask, level and bucket of `step_ns` from `start_ns`."""

    start_ns: int
    step_ns: int
    buckets: int

    def run(self, leaf: Leaf) -> GroupsPartial:
        """The groups of each batch; no Python value per line."""
        account, edges = leaf.budget.account(), self.edges()
        found = []
        for frame in leaf.frames():
            for groups in level_groups(frame, edges):
                leaf.budget.check()
                account.charge(groups.nbytes())
                found.append(groups)
        return GroupsPartial(tuple(found), account.used)

    def edges(self) -> I64:
        """Where buckets begin, ns."""
        edges = (self.start_ns + k * self.step_ns for k in range(self.buckets))
        return np.array([min(max(e, -(2**63)), 2**63 - 1) for e in edges], np.int64)


def level_groups(frame: Frame, edges: I64) -> Iterator[LevelGroups]:
    """The groups of the lines of a frame; `edges`: where buckets begin.

    Lines of a shape are grouped by themselves where they are many.
    """
    if not len(frame):
        return
    levels = frame.label(LEVEL)
    # places among the edges, since differences of far times do not fit 64 bits
    bucket = np.maximum(np.searchsorted(edges, frame.ts, side="right") - 1, 0)
    parts = frame.lines.parts()
    if len(parts) == 1:
        yield _groups(frame.lines, levels, bucket)
        return
    for rows in parts:
        yield _groups(frame.lines.take(rows), levels.take(rows), bucket[rows])


def _groups(lines: LineColumn, levels: LabelColumn, bucket: I64) -> LevelGroups:
    shape = lines.shape()
    if shape is None:
        groups = group_lines(lines.spans(), levels.codes, bucket)
        groups = replace(groups, examples=groups.examples.packed())  # not with all of the lines
    else:
        groups = group_shape(shape, levels.codes, bucket)
    return LevelGroups(groups, (*levels.texts, ""))


@dataclass(slots=True, kw_only=True)
class PatternCounts:
    """Counts groups of lines by mask, level and bucket."""

    buckets: int
    budget: Budget = field(default_factory=Budget)
    rows: int = 0
    left_out: int = 0
    """Rows of masks beyond those that are counted."""
    _masks: dict[tuple[int, str], CountedMask] = field(default_factory=dict)

    def add(self, found: LevelGroups) -> None:
        """Count the groups of a batch."""
        self._take(found.groups, found.levels)

    def _take(self, groups: LineGroups, levels: Sequence[str]) -> None:
        most = min(MAX_MASKS, max(MIN_MASKS, MAX_CELLS // self.buckets))
        examples, offset = groups.examples, groups.offset.tolist()
        hashes, codes = groups.hashes.tolist(), groups.codes.tolist()
        alike, summed = groups.alike.tolist(), np.append(0, np.cumsum(groups.count)).tolist()
        for number, (low, high) in enumerate(cells_of(groups)):
            key = (hashes[number], levels[codes[number]])
            known = self._masks.get(key)
            hits = summed[high] - summed[low]
            self.rows += hits
            if known is None and len(self._masks) >= most:
                self.left_out += hits
                continue
            if known is None or known.may_differ(alike[number]):
                shared = groups.shared[offset[number] : offset[number + 1]].tolist()
                begin = int(examples.start[number])
                line = examples.data[begin : begin + int(examples.length[number])].tobytes()
                found = masked(line)
                values = [
                    as_text(line[first : first + size]) + ("" if first + size == end else MARK)
                    if size
                    else MARK
                    for (first, end), size in zip(found.places, shared, strict=True)
                ]
                if known is None:
                    self.budget.charge(self.buckets * 8 + len(line) * 3 + MASK_BYTES)
                    counts = np.zeros(self.buckets, np.int64)
                    known = CountedMask(
                        text=found.text,
                        level=key[1],
                        line=line,
                        values=values,
                        counts=counts,
                        kept={alike[number]},
                    )
                    self._masks[key] = known
                else:
                    known.keep(values)
            known.counts[groups.bucket[low:high]] += groups.count[low:high]

    def patterns(self, min_hits: int = MIN_HITS) -> list[Pattern]:
        """Merged patterns with enough hits, most frequent first."""
        found: dict[tuple[str, str], CountedMask] = {}
        for counted in self._masks.values():  # masks that differ in bytes that are no characters
            known = found.setdefault((counted.text, counted.level), counted)
            if known is not counted:
                known.keep(counted.values)
                known.counts = known.counts + counted.counts
        ordered = sorted(found.values(), key=lambda m: (-m.hits, m.text, m.level))
        self.left_out += sum(m.hits for m in ordered[MERGED_MASKS:])
        patterns = merge_masks(ordered[:MERGED_MASKS], min_hits)
        return sorted(patterns, key=lambda p: (-p.hits, p.text, p.level))[:MAX_PATTERNS]


def patterns_scan(matchers: Sequence[Matcher], time_range: tuple[int, int], rules: Rules) -> Scan:
    """The lines and levels of the streams of a selector."""
    return Scan(
        selector=Selector(tuple(matchers)),
        time_range=time_range,
        stages=(),
        demand=Demand(frozenset((LEVEL,)), errors=False),
        columns=Columns(metadata=frozenset((LEVEL,))),
        typed=Rule.SHAPE_COLUMNS in rules,
    )


def patterns_of(
    view: View, scan: Scan, step_ns: int, budget: Budget, executor: Executor
) -> list[Pattern]:
    """Patterns of the lines of a view with their counts in buckets of the step."""
    start_ns = scan.time_range[0] - scan.time_range[0] % step_ns
    buckets = max(1, -(-(scan.time_range[1] - start_ns) // step_ns))
    compute = GroupLines(start_ns=start_ns, step_ns=step_ns, buckets=buckets)
    tasks = plan_tasks(view, scan, compute, budget.allowance(), QueryStats(), whole=True)
    counts = PatternCounts(buckets=buckets, budget=budget)
    for partial in executor.leaves(tasks.specs, planned_context(budget, scan, tasks)):
        for found in partial.found:
            counts.add(found)
        budget.release(partial.charged)
    return counts.patterns()
