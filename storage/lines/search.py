"""Which of n byte strings hold a text, or a match of a pattern?"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import pyarrow.compute as pc

from narfi.core.columns import Mask, Spans
from narfi.core.kernels.search import contains_each, contains_packed, fold_case
from narfi.core.patience import check_wanted
from narfi.core.regex import bytes_at_once, compile_regex
from storage.lines.literals import Clause, required


class Searched(Protocol):
    """n texts that are asked for a needle."""

    def __len__(self) -> int:
        """Number of texts."""
        ...

    def contains(self, needle: bytes) -> Mask:
        """Which of them contain the bytes."""
        ...


def spans_contain(spans: Spans, needle: bytes) -> Mask:
    """Which strings contain the needle; the empty needle is in all of them."""
    if not needle:
        return np.ones(len(spans), np.bool_)
    out = np.zeros(len(spans), np.bool_)
    search = contains_packed if spans.is_packed() else contains_each
    search(spans.data, spans.start, spans.length, np.frombuffer(needle, np.uint8), out)
    return out


def spans_contain_any(spans: Spans, needles: Clause) -> Mask:
    """Which strings contain one of the needles."""
    found = spans_contain(spans, needles[0])
    for needle in needles[1:]:
        found |= spans_contain(spans, needle)
    return found


def spans_match(spans: Spans, pattern: str) -> Mask:
    """Which strings an RE2 search finds; a wrong pattern raises `RegexSyntaxError`.

    RE2 looks only at those that hold what the pattern cannot do without.
    """
    compile_regex(pattern)
    need = required(pattern)
    if not need.clauses:
        return spans_searched(spans, pattern)
    texts = folded(spans) if need.folded else spans
    found = np.ones(len(spans), np.bool_)
    for clause in need.clauses:
        found &= spans_contain_any(texts, clause)
        if not found.any():
            return found
    if need.exact:
        return found
    rows = np.flatnonzero(found)
    found[rows] = spans_searched(spans.take(rows), pattern)
    return found


def may_match(lines: Searched, pattern: str) -> Mask:
    """Which lines hold what every match of a pattern holds; it is one that RE2 understands."""
    need, found = required(pattern), np.ones(len(lines), np.bool_)
    if need.folded:
        return found
    for clause in need.clauses:
        held = np.zeros(len(lines), np.bool_)
        for text in clause:
            held |= lines.contains(text)
        found &= held
        if not found.any():
            break
    return found


def folded(spans: Spans) -> Spans:
    """The strings with small ASCII letters in place of capital ones."""
    packed = spans.packed()
    fold_case(packed.data)
    return packed


def spans_searched(spans: Spans, pattern: str) -> Mask:
    """As `spans_match`, where all of them hold what the pattern requires."""
    found = np.zeros(len(spans), np.bool_)
    for run in wanted_runs(spans, pattern):
        # as text: `.` and classes see characters; bytes that are not UTF-8 match no character
        texts = spans.take(run).to_arrow(text=True)
        held = pc.match_substring_regex(texts, pattern).fill_null(False)
        found[run] = held.to_numpy(zero_copy_only=False)
    return found


def wanted_runs(spans: Spans, pattern: str) -> Iterator[slice]:
    """Runs of strings that take about a second to be searched at worst; of none, one empty run.

    A long string is a run of its own. In front of each it is asked whether the work is still
    wanted (`narfi/core/patience.py`).
    """
    most = bytes_at_once(pattern)
    before = np.cumsum(np.maximum(spans.length, 0), dtype=np.int64)
    first = taken = 0
    while first == 0 or first < len(spans):
        check_wanted()
        end = max(int(np.searchsorted(before, taken + most, side="right")), first + 1)
        yield slice(first, end)
        first, taken = end, int(before[end - 1]) if len(before) else 0
