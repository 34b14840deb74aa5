"""Which patterns do the lines have, and how often when? (reference/http-api.md §4.7)

Lines are counted by mask (tokens with digits left out) in a kernel; masks of equal length that
differ in few words are then merged, as Drain does it, largest first. Works on stored lines of any
time range; lines of a shape are counted from its columns (shape_patterns.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I64, LabelColumn, Spans
from narfi.core.kernels.mask_scan import KINDS, mask_hashes
from narfi.core.text.masks import HOLE, mask
from querier.shape_patterns import Outline, Words, count_shape, pattern_of
from storage.batch import LogBatch, Metadata

MIN_HITS = 30
MAX_PATTERNS = 300
MAX_MASKS = 50_000
"""Distinct masks that are counted; of free text that never repeats, the rest is left out."""
MERGED_MASKS = 3_000
"""Masks that are compared with each other; rarer ones stay as they are."""
SIMILARITY = 0.7
"""Share of equal words above which masks are one pattern."""
LEVEL = "detected_level"
_KINDS = np.frombuffer(KINDS, np.uint8)


@dataclass(slots=True)
class Pattern:
    """A pattern, the level of its lines, and lines by bucket."""

    text: str
    level: str
    counts: NDArray[np.int64]

    @property
    def hits(self) -> int:
        """Lines in all buckets."""
        return int(self.counts.sum())


@dataclass(slots=True)
class PatternCounts:
    """Counts lines by mask, level and bucket of `step_ns` from `start_ns`."""

    start_ns: int
    step_ns: int
    buckets: int
    _masks: dict[tuple[int, str], tuple[bytes, NDArray[np.int64]]] = field(default_factory=dict)
    _shaped: "Counts" = field(default_factory=dict)
    _texts: dict[Outline, dict[Words, str]] = field(default_factory=dict)

    def add(self, batch: LogBatch) -> None:
        """Count the lines of a batch; no Python value per line."""
        assert batch.lines is not None
        if not len(batch):
            return
        levels = (batch.metadata or Metadata()).columns.get(LEVEL) or LabelColumn.absent(len(batch))
        bucket = np.clip((batch.ts - self.start_ns) // self.step_ns, 0, self.buckets - 1)
        shape = batch.lines.shape()
        if shape is None:
            self._add_plain(batch.lines.spans(), levels, bucket)
            return
        texts = [*levels.texts, ""]  # code -1 is the last
        counted = count_shape(shape, levels.codes, bucket, self.buckets)
        known = self._texts.setdefault(counted.outline, {})
        for found in counted.groups:
            text = known.get(found.words)
            if text is None:
                text = known[found.words] = pattern_of(counted.outline, found.words)
            _count(self._shaped, (text, texts[found.code]), found.counts)

    def _add_plain(self, lines: Spans, levels: LabelColumn, bucket: I64) -> None:
        hashes = np.empty(len(lines), np.uint64)
        mask_hashes(lines.data, lines.start, lines.length, _KINDS, hashes)
        texts = [*levels.texts, ""]
        distinct, first, which = np.unique(
            _mixed(hashes, levels.codes), return_index=True, return_inverse=True
        )
        counts = np.zeros((len(distinct), self.buckets), np.int64)
        np.add.at(counts, (which, bucket), 1)
        codes = levels.codes[first].tolist()
        for k, (row, code) in enumerate(zip(first.tolist(), codes, strict=True)):
            key = (int(hashes[row]), texts[code])
            known = self._masks.get(key)
            if known is not None:
                known[1].__iadd__(counts[k])
            elif len(self._masks) < MAX_MASKS:
                begin = int(lines.start[row])
                line = lines.data[begin : begin + int(lines.length[row])].tobytes()
                self._masks[key] = (line, counts[k])

    def patterns(self) -> list[Pattern]:
        """Merged patterns with enough hits, most frequent first."""
        counted = {key: counts.copy() for key, counts in self._shaped.items()}
        for (_, level), (line, counts) in self._masks.items():
            _count(counted, (mask(line), level), counts.copy())
        found = [Pattern(text, level, counts) for (text, level), counts in counted.items()]
        found.sort(key=lambda p: (-p.hits, p.text, p.level))
        merged = [*merge_patterns(found[:MERGED_MASKS]), *found[MERGED_MASKS:]]
        frequent = [p for p in merged if p.hits >= MIN_HITS]
        return sorted(frequent, key=lambda p: (-p.hits, p.text))[:MAX_PATTERNS]


Counts = dict[tuple[str, str], NDArray[np.int64]]
"""Lines by bucket, of each mask and level."""


def _count(into: Counts, key: tuple[str, str], counts: NDArray[np.int64]) -> None:
    known = into.get(key)
    if known is not None:
        known += counts
    elif len(into) < MAX_MASKS:
        into[key] = counts


def _mixed(hashes: NDArray[np.uint64], codes: NDArray[np.int32]) -> NDArray[np.uint64]:
    salt = (codes + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return hashes ^ salt


def merge_patterns(patterns: Iterable[Pattern]) -> list[Pattern]:
    """Patterns of one level and number of words that share enough words become one."""
    groups: dict[tuple[str, int], list[tuple[list[str], Pattern]]] = {}
    for pattern in patterns:
        words = pattern.text.split(" ")
        group = groups.setdefault((pattern.level, len(words)), [])
        for known, target in group:
            if _alike(known, words):
                known[:] = [a if a == b else HOLE for a, b in zip(known, words, strict=True)]
                target.counts = target.counts + pattern.counts
                break
        else:
            group.append((words, Pattern(pattern.text, pattern.level, pattern.counts)))
    result = []
    for group in groups.values():
        for words, pattern in group:
            pattern.text = " ".join(words)
            result.append(pattern)
    return result


def _alike(a: Sequence[str], b: Sequence[str]) -> bool:
    """Whether enough words are equal; a hole equals anything but does not count as a word."""
    same = sum(x == y and x != HOLE for x, y in zip(a, b, strict=True))
    holes = sum(x == HOLE or y == HOLE for x, y in zip(a, b, strict=True))
    words = len(a) - holes
    return same == words if words < 3 else same / words >= SIMILARITY
