"""`| label op value`: which rows stay by their labels (reference/logql.md §7)."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from logql import ast
from narfi.core.columns import Mask
from narfi.core.label_column import CodedColumn, LabelColumn
from narfi.core.matchers import Matcher
from narfi.core.text.ip import compile_ip
from narfi.core.units import format_bytes, parse_bytes, parse_float
from querier.operators.fields import set_errors
from querier.operators.frame import ERROR, Frame
from querier.operators.numbers import Numbers, converted, durations, plain_numbers

ERROR_NAME = "LabelFilterErr"
_COMPARE: dict[ast.CompareOp, Callable[[np.ndarray, float], Mask]] = {
    ast.CompareOp.EQ: operator.eq,
    ast.CompareOp.NE: operator.ne,
    ast.CompareOp.GT: operator.gt,
    ast.CompareOp.GE: operator.ge,
    ast.CompareOp.LT: operator.lt,
    ast.CompareOp.LE: operator.le,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which rows stay, and which got an error (codes index `details`, 0 is none)."""

    keep: Mask
    failed: np.ndarray
    details: tuple[str, ...]


class LabelFilterOperator:
    """Keeps the rows that satisfy a filter; unparsable values stay, with an error."""

    def __init__(self, stage: ast.LabelFilterStage) -> None:
        self._filter = stage.filter

    def apply(self, frame: Frame) -> Frame:
        """The rows that stay."""
        if not len(frame):
            return frame
        return apply_filter(frame, self._filter)


def apply_filter(frame: Frame, found: ast.LabelFilter) -> Frame:
    """The rows that satisfy the filter; an error of a row is set unless it has one already."""
    verdict = judge(frame, found)
    frame = with_errors(frame, verdict)
    keep = verdict.keep
    return frame if keep.all() else frame.take(np.flatnonzero(keep))


def with_errors(frame: Frame, verdict: Verdict) -> Frame:
    """The errors of a verdict set, where a row has none yet."""
    failed = verdict.failed
    if not failed.any():
        return frame
    if frame.error is not None:
        failed = np.where(frame.error.spans.length > 0, 0, failed)
    return set_errors(frame, ERROR_NAME, failed, verdict.details)


def judge(frame: Frame, found: ast.LabelFilter) -> Verdict:
    """The verdict of a filter on every row."""
    match found:
        case ast.StringLabelFilter():
            return _plain(_match(frame, found.matcher))
        case ast.IpFilter():
            return _plain(_address(frame, found))
        case ast.NumberFilter():
            column = frame.label(found.name)
            if _is_refuted(column.bounds(), found.op, found.value):
                return _plain(np.zeros(len(frame), np.bool_))
            numbers = plain_numbers(column, _number)
            return _compared(numbers, found.op, found.value)
        case ast.DurationFilter():
            numbers = durations(frame.label(found.name), 1)
            return _compared(numbers, found.op, float(found.value_ns))
        case ast.BytesFilter():
            numbers = converted(frame.label(found.name), _bytes)
            return _compared(numbers, found.op, float(printed_size(found.value)))
        case ast.AndFilter():
            left = judge(frame, found.left)
            return _and(left, judge(with_errors(frame, left), found.right))
        case ast.OrFilter():
            left = judge(frame, found.left)
            return _or(left, judge(with_errors(frame, left), found.right))
        case _:
            assert_never(found)


def printed_size(value: int) -> int:
    """The size as the canonical query says it: rounded to what `format_bytes` prints.

    The recorded server hands queries on as text, so `12KiB` is compared as `12kB` (a quirk).
    """
    return parse_bytes(format_bytes(value))


def _number(text: str) -> float:
    """As Go parses label values; digits may be parted by underscores."""
    return parse_float(text.replace("_", "") if text[:1].isdigit() else text)


def _bytes(text: str) -> float:
    return float(parse_bytes(text))


def _plain(keep: Mask) -> Verdict:
    return Verdict(keep, np.zeros(len(keep), np.int32), ("",))


def _compared(numbers: Numbers, op: ast.CompareOp, value: float) -> Verdict:
    """A missing label drops the row; a value that cannot be parsed keeps it."""
    keep = _COMPARE[op](numbers.values, value) | (numbers.failed > 0)
    return Verdict(keep & numbers.present, numbers.failed, numbers.messages)


def _is_refuted(bounds: tuple[float, float] | None, op: ast.CompareOp, value: float) -> bool:
    """Whether no number within the bounds compares so; every row has a number then."""
    if bounds is None:
        return False
    low, high = bounds
    match op:
        case ast.CompareOp.EQ:
            return value < low or value > high
        case ast.CompareOp.GT:
            return high <= value
        case ast.CompareOp.GE:
            return high < value
        case ast.CompareOp.LT:
            return low >= value
        case ast.CompareOp.LE:
            return low > value
        case _:
            return False


def _merged(a: Verdict, b: Verdict, keep: Mask, b_counts: Mask) -> Verdict:
    """The first error of a row stays; `b_counts`: rows in which b was looked at."""
    later = np.where(b_counts & (b.failed > 0), b.failed + len(a.details) - 1, 0)
    failed = np.where(a.failed > 0, a.failed, later)
    return Verdict(keep, failed.astype(np.int32), (*a.details, *b.details[1:]))


def _and(a: Verdict, b: Verdict) -> Verdict:
    return _merged(a, b, a.keep & b.keep, a.keep)


def _or(a: Verdict, b: Verdict) -> Verdict:
    return _merged(a, b, a.keep | b.keep, ~a.keep)


def _match(frame: Frame, matcher: Matcher) -> Mask:
    """A string matcher, tried once per distinct value; a missing label is empty.

    `__error__` means the row's error; its details cannot be asked for.
    """
    column = frame.label(matcher.name)
    if matcher.name == ERROR:
        column = frame.error or CodedColumn.absent(len(frame))
    accepted = np.array([matcher.matches(text) for text in (*column.texts, "")])
    result: Mask = accepted[column.codes]
    return result


def _address(frame: Frame, found: ast.IpFilter) -> Mask:
    """A missing label drops the row; a row with an error stays."""
    addresses = compile_ip(found.pattern)
    column: LabelColumn = frame.label(found.name)
    hits = np.array([addresses.holds(t) != found.negated for t in column.texts] + [False])
    keep: Mask = hits[column.codes]
    if frame.error is not None:
        keep = keep | (frame.error.spans.length > 0)
    return keep
