"""Which patterns do the lines have, and how often when? (reference/http-api.md §4.7)

Lines are counted by mask (tokens with digits left out) and level; what such a token has in common
in all lines of a mask stays text. Masks are then merged to patterns (pattern_merge.py). Works on
stored lines of any time range; lines of a shape are counted from its columns (mask_groups.py).
"""

from dataclasses import dataclass, field

import numpy as np

from narfi.core.columns import I64
from narfi.core.label_column import CodedColumn
from narfi.core.text.masks import MARK, as_text, masked
from querier.budget import Budget
from querier.explore.mask_groups import LineGroups, cells_of, group_lines, group_shape
from querier.explore.pattern_merge import MIN_HITS, CountedMask, Pattern, merge_masks
from querier.reading.view import View
from querier.rules import Rule, Rules
from storage.batch import LogBatch
from storage.metadata import Metadata
from storage.scan import Columns, ScanRequest

MAX_PATTERNS = 300
MAX_MASKS = 50_000
"""Distinct masks that are counted; of free text that never repeats, the rest is left out."""
MAX_CELLS = 1 << 24
"""Counters of all masks: with many buckets fewer masks are counted."""
MIN_MASKS = 1_000
MERGED_MASKS = 10_000
"""Masks that are merged, the most frequent ones."""
LEVEL = "detected_level"
MASK_BYTES = 600
"""Of a mask beside its counts and lines, about."""


@dataclass(slots=True, kw_only=True)
class PatternCounts:
    """Counts lines by mask, level and bucket of `step_ns` from `start_ns`."""

    start_ns: int
    step_ns: int
    buckets: int
    budget: Budget = field(default_factory=Budget)
    _masks: dict[tuple[int, str], CountedMask] = field(default_factory=dict)
    _edges: I64 = field(init=False)

    def __post_init__(self) -> None:
        edges = (self.start_ns + k * self.step_ns for k in range(self.buckets))
        self._edges = np.array([min(max(e, -(2**63)), 2**63 - 1) for e in edges], np.int64)

    def add(self, batch: LogBatch) -> None:
        """Count the lines of a batch; no Python value per line."""
        assert batch.lines is not None
        if not len(batch):
            return
        levels = (batch.metadata or Metadata()).get(LEVEL) or CodedColumn.absent(len(batch))
        # places among the edges, since differences of far times do not fit 64 bits
        bucket = np.maximum(np.searchsorted(self._edges, batch.ts, side="right") - 1, 0)
        shape = batch.lines.shape()
        if shape is None:
            groups = group_lines(batch.lines.spans(), levels.codes, bucket)
        else:
            groups = group_shape(shape, levels.codes, bucket)
        self._take(groups, [*levels.texts, ""])  # code -1 is the last

    def _take(self, groups: LineGroups, levels: list[str]) -> None:
        most = min(MAX_MASKS, max(MIN_MASKS, MAX_CELLS // self.buckets))
        examples, offset = groups.examples, groups.offset.tolist()
        hashes, codes = groups.hashes.tolist(), groups.codes.tolist()
        for number, (low, high) in enumerate(cells_of(groups)):
            key = (hashes[number], levels[codes[number]])
            known = self._masks.get(key)
            if known is None and len(self._masks) >= most:
                continue
            shared = groups.shared[offset[number] : offset[number + 1]].tolist()
            if known is None or any(value != MARK for value in known.values):
                begin = int(examples.start[number])
                line = examples.data[begin : begin + int(examples.length[number])].tobytes()
                found = masked(line)
                values = [
                    as_text(line[first : first + size]) + ("" if first + size == end else MARK)
                    for (first, end), size in zip(found.places, shared, strict=True)
                ]
                if known is None:
                    self.budget.charge(self.buckets * 8 + len(line) * 3 + MASK_BYTES)
                    counts = np.zeros(self.buckets, np.int64)
                    known = CountedMask(
                        text=found.text, level=key[1], line=line, values=values, counts=counts
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
        patterns = merge_masks(ordered[:MERGED_MASKS], min_hits)
        return sorted(patterns, key=lambda p: (-p.hits, p.text, p.level))[:MAX_PATTERNS]


def patterns_of(
    view: View,
    time_range: tuple[int, int],
    step_ns: int,
    budget: Budget,
    rules: Rules,
) -> list[Pattern]:
    """Patterns of the lines of a view with their counts in buckets of the step."""
    start = time_range[0] - time_range[0] % step_ns
    buckets = max(1, -(-(time_range[1] - start) // step_ns))
    counts = PatternCounts(start_ns=start, step_ns=step_ns, buckets=buckets, budget=budget)
    columns = Columns(metadata=frozenset((LEVEL,)))
    plain = Rule.SHAPE_COLUMNS not in rules
    for found in view.sources:
        request = ScanRequest(
            streams=found.streams,
            start_ns=time_range[0],
            end_ns=time_range[1],
            columns=columns,
            plain=plain,
        )
        for row_group in found.source.row_groups(request):
            budget.check()
            counts.add(found.kept(found.source.read(row_group, request)))
    return counts.patterns()
