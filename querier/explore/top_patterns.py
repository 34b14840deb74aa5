"""Which patterns do the rows of a query have, and is that new against the range before?

Patterns are those of `patterns.py`, of all levels together, since a line filter finds all of them.
Compared ranges are read as one, in twice as many buckets, so that both have the same patterns.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from logql.ast import LineFilter, LineOp, LineOperand
from logql.format import format_stage
from narfi.core.columns import I64
from querier.explore.histogram import Buckets
from querier.explore.pattern_merge import MIN_HITS, Pattern
from querier.explore.patterns import LEVEL, GroupLines, PatternCounts, bucket_edges
from querier.explore.question import Question
from querier.operators.base import Demand
from querier.reading.admission import check_length

MANY_ROWS = 1000
"""As many times the rows of a pattern: of fewer rows, rarer patterns are shown."""


class Change(StrEnum):
    """What became of a pattern since the range before."""

    NEW = "new"
    GONE = "gone"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopPattern:
    """A pattern of the asked range; times are those of buckets."""

    text: str
    level: str  # that most of its lines have
    counts: I64  # by bucket
    before: int | None  # lines in the range before; None: not compared
    example: bytes

    @property
    def hits(self) -> int:
        """Lines in the range."""
        return int(self.counts.sum())

    @property
    def change(self) -> Change | None:
        """Against the range before."""
        if self.before is None:
            return None
        if not self.before:
            return Change.NEW
        return Change.SAME if self.hits else Change.GONE

    @property
    def filter(self) -> str:
        """The stage that finds its lines."""
        return format_stage(LineFilter(LineOp.PATTERN, (LineOperand(self.text),)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TopPatterns:
    """Those with the most lines first, of either range."""

    patterns: tuple[TopPattern, ...]
    buckets: Buckets
    rows: int  # of the asked range
    exact: bool  # no line was left out because there were too many masks


def top_patterns(question: Question, limit: int, count: int, *, compare: bool) -> TopPatterns:
    """The patterns of a query, with their lines in so many buckets."""
    buckets = Buckets.over(question.time_range, count)
    first_ns, before = buckets.start_ns, 0
    if compare:
        before = count
        first_ns -= count * buckets.step_ns
        check_length(first_ns, buckets.end_ns, question.limits)
    whole = replace(question, time_range=(first_ns, buckets.end_ns), kept=question.kept.of_large)
    edges = bucket_edges(first_ns, buckets.step_ns, before + count)
    counts = PatternCounts(edges=edges, budget=question.budget)
    demand = Demand(frozenset((LEVEL,)), errors=False)
    for partial in whole.partials(question.query, demand, GroupLines()):
        for found in partial.found:
            counts.add(found)
        question.budget.release(partial.charged)
    by_bucket = counts.by_bucket
    least = max(1, min(MIN_HITS, int(by_bucket.sum()) // MANY_ROWS))
    patterns = _of_all_levels(counts.patterns(least), before, compare=compare)
    ordered = sorted(patterns, key=lambda one: (-max(one.hits, one.before or 0), one.text))
    return TopPatterns(
        patterns=tuple(ordered[:limit]),
        buckets=buckets,
        rows=int(by_bucket[before:].sum()),
        exact=not counts.left_out,
    )


def _of_all_levels(
    patterns: Iterable[Pattern], before: int, *, compare: bool
) -> Iterator[TopPattern]:
    """Patterns of one text together; the first `before` buckets are those of the range before."""
    by_text: dict[str, list[Pattern]] = {}
    for pattern in patterns:
        by_text.setdefault(pattern.text, []).append(pattern)
    for text, found in by_text.items():
        hits = Counter({one.level: one.hits for one in found})
        counts = sum((one.counts for one in found[1:]), found[0].counts)
        yield TopPattern(
            text=text,
            level=max(hits, key=lambda level: (hits[level], level)),
            counts=counts[before:],
            before=int(counts[:before].sum()) if compare else None,
            example=max(found, key=lambda one: one.hits).example,
        )
