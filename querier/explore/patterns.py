"""Which patterns do the lines have, and how often when? (reference/http-api.md §4.7)

Lines are counted by mask (tokens with digits left out) and level; what such a token has in common
in all lines of a mask stays text. Masks are then merged to patterns (pattern_merge.py). Works on
stored lines of any time range; lines of a shape are counted from its columns (mask_groups.py).
Leaf tasks group lines, whatever the range; here the rows of groups are counted by bucket, in the
order of the tasks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from logql.ast import Selector
from narfi.core.columns import I64, Mask
from narfi.core.matchers import Matcher
from narfi.core.text.masks import MARK, as_text, masked
from querier.budget import Budget
from querier.executors.leaf import Executor, Leaf, planned_context
from querier.explore.group_times import GroupTimes
from querier.explore.mask_groups import (
    LineGroups,
    group_lines,
    group_shape,
    joined,
    tokens_of,
)
from querier.explore.pattern_merge import MIN_HITS, CountedMask, Pattern, merge_masks
from querier.operators.base import Demand
from querier.operators.frame import Frame
from querier.plan.nodes import Scan
from querier.plan.tasks import plan_tasks
from querier.reading.view import View
from querier.result import QueryStats
from querier.rules import Rule, Rules
from storage.scan import Columns

LEVEL = "detected_level"
MAX_PATTERNS = 300
MAX_MASKS = 50_000
"""Distinct masks that are counted; of free text that never repeats, the rest is left out."""
MAX_CELLS = 1 << 24
"""Counters of all masks: with many buckets fewer masks are counted."""
MIN_MASKS = 1_000
MERGED_MASKS = 10_000
"""Masks that are merged, the most frequent ones."""
MASK_BYTES = 600
"""Of a mask beside its counts and lines, about."""
LEVEL_SALT, MASK_SALT = 0x9E3779B97F4A7C15, np.uint64(0xC2B2AE3D27D4EB4F)
FEW_MASKS = 64
MOST_KEPT = 1 << 16
"""Names of values that are remembered, of all masks."""


@dataclass(frozen=True, slots=True)
class LevelGroups:
    """The groups of the lines of a batch, when these are, and the levels behind the codes."""

    groups: LineGroups
    times: GroupTimes
    levels: tuple[str, ...]  # the last one is that of code -1

    def nbytes(self) -> int:
        """Memory."""
        return self.groups.nbytes() + self.times.nbytes()


@dataclass(frozen=True, slots=True)
class GroupsPartial:
    """What a leaf task found, batch by batch."""

    found: tuple[LevelGroups, ...]
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True)
class GroupLines:
    """Groups the lines of a leaf by mask and level.

    It knows of no buckets: what is found of a block is kept for questions of any range.
    """

    def run(self, leaf: Leaf) -> GroupsPartial:
        """The groups of each batch; no Python value per line."""
        account, found = leaf.budget.account(), []
        for frame in leaf.frames():
            leaf.budget.check()
            if len(frame):
                found.append(level_groups(frame))
                account.charge(found[-1].nbytes())
        return GroupsPartial(tuple(found), account.used)


def level_groups(frame: Frame) -> LevelGroups:
    """The groups of the lines of a frame.

    Lines of a shape are grouped by themselves where they are many.
    """
    levels = frame.label(LEVEL)
    codes, parts = levels.codes, frame.lines.parts()
    number, found, first = np.empty(len(frame), np.int32), list[LineGroups](), 0
    for rows in parts:
        lines = frame.lines if len(parts) == 1 else frame.lines.take(rows)
        shape = lines.shape()
        if shape is None:
            grouped = group_lines(lines.spans(), codes[rows])
        else:
            grouped = group_shape(shape, codes[rows])
        number[rows] = grouped.number + first
        first += len(grouped.groups)
        found.append(grouped.groups)
    times = GroupTimes.of(number, frame.ts, first)
    return LevelGroups(joined(found), times, (*levels.texts, ""))


def bucket_edges(start_ns: int, step_ns: int, buckets: int) -> I64:
    """Where buckets begin, ns."""
    edges = (start_ns + k * step_ns for k in range(buckets))
    return np.array([min(max(e, -(2**63)), 2**63 - 1) for e in edges], np.int64)


@dataclass(slots=True, kw_only=True)
class PatternCounts:
    """Counts groups of lines by mask, level and bucket.

    Python touches a mask when it is new, and its values when a group may have others.
    """

    edges: I64  # where buckets begin, ns
    budget: Budget = field(default_factory=Budget)
    _masks: list[CountedMask] = field(default_factory=list)
    _levels: dict[str, int] = field(default_factory=dict)
    _numbers: dict[int, int] = field(default_factory=dict)  # by hash and level
    _counts: I64 = field(init=False)  # [mask + 1, bucket]; of masks that are not counted first
    _open: Mask = field(default_factory=lambda: np.zeros(FEW_MASKS, np.bool_))
    """Whether something is known of the values of a mask."""
    _kept: set[int] = field(default_factory=set)
    """Names of values that masks kept: of `LineGroups.alike` and the mask."""
    _beyond: int = 0
    """Rows of masks beyond those that are merged."""

    def __post_init__(self) -> None:
        """Raises as `Budget.charge`; so do `add` and `patterns`."""
        self.budget.charge(FEW_MASKS * len(self.edges) * 8)
        self._counts = np.zeros((FEW_MASKS, len(self.edges)), np.int64)

    @property
    def by_bucket(self) -> I64:
        """All rows."""
        found: I64 = self._counts.sum(axis=0)
        return found

    @property
    def left_out(self) -> int:
        """Rows of masks beyond those that are counted or merged."""
        return int(self._counts[0].sum()) + self._beyond

    def add(self, found: LevelGroups) -> None:
        """Count the groups of a batch."""
        numbers = self._numbered(found.groups, found.levels)
        found.times.count(self.edges, numbers + 1, self._counts)
        self._keep(found.groups, numbers)

    def _numbered(self, groups: LineGroups, levels: Sequence[str]) -> I64:
        """The number of the mask of each group; -1 where there are too many masks."""
        known = [self._levels.setdefault(level, len(self._levels)) for level in levels]
        salts = np.array([(one + 1) * LEVEL_SALT % 2**64 for one in known], np.uint64)
        keys = (groups.hashes ^ salts[groups.codes]).tolist()
        numbers = np.array([self._numbers.get(key, -1) for key in keys], np.int64)
        most = min(MAX_MASKS, max(MIN_MASKS, MAX_CELLS // len(self.edges)))
        for number in np.flatnonzero(numbers < 0).tolist():
            mask = self._numbers.get(keys[number])
            if mask is None and len(self._masks) < most:
                mask = self._numbers[keys[number]] = len(self._masks)
                self._begin(groups, number, levels[groups.codes[number]])
            numbers[number] = -1 if mask is None else mask
        return numbers

    def _begin(self, groups: LineGroups, number: int, level: str) -> None:
        """A mask that was not seen before, as the group has it."""
        begin = int(groups.examples.start[number])
        line = groups.examples.data[begin : begin + int(groups.examples.length[number])].tobytes()
        self.budget.charge(len(line) * 3 + MASK_BYTES)
        found = masked(line)
        shared = groups.shared[groups.offset[number] : groups.offset[number + 1]].tolist()
        values = [
            _value(line[first:end], size)
            for (first, end), size in zip(found.places, shared, strict=True)
        ]
        mask, held = len(self._masks), self._counts.nbytes
        if mask + 1 >= len(self._counts):
            self.budget.charge(2 * held)  # the old ones are there until they are copied
            self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
            self.budget.release(held)
        counts = np.zeros(0, np.int64)  # until all are counted
        self._masks.append(
            CountedMask(text=found.text, level=level, line=line, values=values, counts=counts)
        )
        if mask >= len(self._open):
            self._open = np.concatenate([self._open, np.zeros_like(self._open)])
        self._open[mask] = any(value != MARK for value in values)

    def _keep(self, groups: LineGroups, numbers: I64) -> None:
        """Forget of the values of masks what the groups have not."""
        open_ = np.flatnonzero((numbers >= 0) & self._open[numbers])
        names = (groups.alike[open_] ^ (numbers[open_].astype(np.uint64) * MASK_SALT)).tolist()
        fresh = [k for k, name in enumerate(names) if name not in self._kept]
        if not fresh:
            return
        if len(self._kept) < MOST_KEPT:
            self._kept.update(names)
        chosen = open_[fresh]
        offset, first, size = tokens_of(groups, chosen)
        begins, data = groups.offset[chosen].tolist(), groups.examples.data
        for place, (mask, begin) in enumerate(zip(numbers[chosen].tolist(), begins, strict=True)):
            known = self._masks[mask]
            for k, value in enumerate(known.values):
                if value != MARK:
                    at = int(offset[place]) + k
                    token = data[first[at] : first[at] + size[at]].tobytes()
                    known.keep_at(k, _value(token, int(groups.shared[begin + k])))
            self._open[mask] = any(value != MARK for value in known.values)

    def patterns(self, min_hits: int = MIN_HITS) -> list[Pattern]:
        """Merged patterns with enough hits, most frequent first."""
        found: dict[tuple[str, str], CountedMask] = {}
        for mask, counts in zip(self._masks, self._counts[1:], strict=False):
            mask.counts = counts
        for counted in self._masks:  # masks that differ in bytes that are no characters
            known = found.setdefault((counted.text, counted.level), counted)
            if known is not counted:
                known.keep(counted.values)
                known.counts = known.counts + counted.counts
        ordered = sorted(found.values(), key=lambda m: (-m.hits, m.text, m.level))
        self._beyond = sum(m.hits for m in ordered[MERGED_MASKS:])
        patterns = merge_masks(ordered[:MERGED_MASKS], min_hits)
        return sorted(patterns, key=lambda p: (-p.hits, p.text, p.level))[:MAX_PATTERNS]


def _value(token: bytes, size: int) -> str:
    """What is known of a token of which all lines of a group have the first so many bytes."""
    if not size:
        return MARK
    return as_text(token[:size]) + ("" if size == len(token) else MARK)


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
    tasks = plan_tasks(view, scan, GroupLines(), budget.allowance(), QueryStats(), whole=True)
    counts = PatternCounts(edges=bucket_edges(start_ns, step_ns, buckets), budget=budget)
    for partial in executor.leaves(tasks.specs, planned_context(budget, scan, tasks)):
        for found in partial.found:
            counts.add(found)
        budget.release(partial.charged)
    return counts.patterns()
