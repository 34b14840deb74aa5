"""How do two metric expressions combine? Arithmetic, comparison and set operations.

Matching is by all labels, `on(...)` or `ignoring(...)`, step by step (reference/logql.md §12).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from logql.ast import BinaryOperation, VectorMatching
from narfi.core.errors import InternalError
from querier.metrics.matrix import F64, Mask2, Matrix
from querier.result import LabelPairs

COMPARISONS = frozenset(("==", "!=", ">", ">=", "<", "<="))
SET_OPERATIONS = frozenset(("and", "or", "unless"))


def compute(op: str, left: F64 | float, right: F64 | float) -> F64:
    """One arithmetic or comparison (1/0) operation; division and modulo by zero give NaN."""
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    with np.errstate(all="ignore"):
        match op:
            case "+":
                return a + b
            case "-":
                return a - b
            case "*":
                return a * b
            case "/":
                return np.where(b == 0, np.nan, a / b)
            case "%":
                return np.where(b == 0, np.nan, np.fmod(a, b))
            case "^":
                return np.power(a, b)
            case _:
                return _compare(op, a, b).astype(np.float64)


def _compare(op: str, a: F64, b: F64) -> NDArray[np.bool_]:
    function = _COMPARE[op]
    return np.asarray(function(a, b), np.bool_)


_COMPARE: dict[str, np.ufunc] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}


def with_scalar(
    op: str, matrix: Matrix, scalar: float, *, scalar_left: bool, return_bool: bool
) -> Matrix:
    """A vector and a literal; a comparison without `bool` keeps the vector's value."""
    a, b = (scalar, matrix.values) if scalar_left else (matrix.values, scalar)
    result = compute(op, a, b)
    if op in COMPARISONS and not return_bool:
        return Matrix(
            matrix.labels, matrix.values, matrix.present & (result != 0), matrix.ordered
        ).nonempty()
    return Matrix(matrix.labels, result, matrix.present, matrix.ordered)


def signature_key(
    matching: VectorMatching | None,
) -> Callable[[LabelPairs], LabelPairs]:
    """The labels by which series of both sides find each other."""
    if matching is None:
        return lambda pairs: pairs
    names = frozenset(matching.labels)
    if matching.on:
        return lambda pairs: tuple(p for p in pairs if p[0] in names)
    return lambda pairs: tuple(p for p in pairs if p[0] not in names)


def set_operation(expr: BinaryOperation, left: Matrix, right: Matrix) -> Matrix:
    """`and`, `or`, `unless` by the matching signature, step by step."""
    key = signature_key(expr.matching)
    left_numbers, right_numbers, count = _numbered(left.labels, right.labels, key)
    if expr.op == "or":
        there = _present_by_signature(left, left_numbers, count)
        extra = right.present & ~there[right_numbers]
        return _union(left, Matrix(right.labels, right.values, extra).nonempty())
    there = _present_by_signature(right, right_numbers, count)[left_numbers]
    keep = left.present & (there if expr.op == "and" else ~there)
    return Matrix(left.labels, left.values, keep).nonempty()


def _numbered(
    left: Sequence[LabelPairs],
    right: Sequence[LabelPairs],
    key: Callable[[LabelPairs], LabelPairs],
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    numbers: dict[LabelPairs, int] = {}
    sides = [
        np.array([numbers.setdefault(key(pairs), len(numbers)) for pairs in side], np.int64)
        for side in (left, right)
    ]
    return sides[0], sides[1], len(numbers)


def _present_by_signature(matrix: Matrix, numbers: NDArray[np.int64], count: int) -> Mask2:
    there = np.zeros((count, matrix.steps), np.bool_)
    np.logical_or.at(there, numbers, matrix.present)
    return there


def _union(a: Matrix, b: Matrix) -> Matrix:
    """Rows of both; series with equal labels become one."""
    place = {pairs: row for row, pairs in enumerate(a.labels)}
    values, present = a.values.copy(), a.present.copy()
    fresh: list[int] = []
    for row, pairs in enumerate(b.labels):
        known = place.get(pairs)
        if known is None:
            fresh.append(row)
        else:
            values[known] = np.where(b.present[row], b.values[row], values[known])
            present[known] |= b.present[row]
    rest = b.take(fresh)
    return Matrix(
        a.labels + rest.labels,
        np.concatenate([values, rest.values]),
        np.concatenate([present, rest.present]),
    )


@dataclass(frozen=True, slots=True)
class _Sides:
    """`many` may have several series per signature, `one` must not (as written: swapped or not)."""

    many: Matrix
    one: Matrix
    swapped: bool


def vector_operation(expr: BinaryOperation, left: Matrix, right: Matrix) -> Matrix:
    """Arithmetic or comparison between vectors, one-to-one or grouped; 500s as Loki's text."""
    matching = expr.matching
    swapped = matching is not None and matching.group == "right"
    sides = _Sides(right, left, True) if swapped else _Sides(left, right, False)
    key = signature_key(matching)
    many_numbers, one_numbers, count = _numbered(sides.many.labels, sides.one.labels, key)
    one_row = _single_rows(sides, one_numbers, count)
    rows = np.flatnonzero((one_row[many_numbers] >= 0) if count else np.zeros(0))
    results = [
        _match_row(expr, sides, int(row), partners)
        for row in rows.tolist()
        for partners in [np.flatnonzero(one_numbers == many_numbers[row])]
    ]
    pieces = [piece for found in results for piece in found]
    return _assemble(expr, pieces, many_numbers, left.steps)


def _single_rows(sides: _Sides, numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """A row of the one side per signature (-1: none); refuses two at the same step."""
    seen = np.zeros((count, sides.one.steps), np.int64)
    np.add.at(seen, numbers, sides.one.present.astype(np.int64))
    if (seen > 1).any():
        side = "left" if sides.swapped else "right"
        message = (
            f"found duplicate series on the {side} hand-side;many-to-many matching not allowed: "
            "matching labels must be unique on one side"
        )
        raise InternalError(message)
    rows = np.full(count, -1, np.int64)
    rows[numbers] = np.arange(len(numbers))
    return rows


@dataclass(frozen=True, slots=True)
class _Piece:
    """The result of one series of the many side with one partner."""

    many_row: int
    labels: LabelPairs
    values: F64
    matched: NDArray[np.bool_]  # both sides have a value
    kept: NDArray[np.bool_]  # ... and a filtering comparison holds


def _match_row(
    expr: BinaryOperation, sides: _Sides, row: int, partners: NDArray[np.int64]
) -> list[_Piece]:
    pieces = []
    for partner in partners.tolist():
        matched = sides.many.present[row] & sides.one.present[partner]
        if not matched.any():
            continue
        mine, other = sides.many.values[row], sides.one.values[partner]
        a, b = (other, mine) if sides.swapped else (mine, other)
        values = compute(expr.op, a, b)
        kept = matched
        if expr.op in COMPARISONS and not expr.return_bool:
            kept = matched & (values != 0)
            values = a
        labels = _result_labels(expr.matching, sides.many.labels[row], sides.one.labels[partner])
        pieces.append(_Piece(row, labels, values, matched, kept))
    return pieces


def _result_labels(
    matching: VectorMatching | None, many: LabelPairs, one: LabelPairs
) -> LabelPairs:
    if matching is None:
        return many
    if matching.group is None:
        return signature_key(matching)(many)
    found = dict(many)
    source = dict(one)
    for name in matching.include:
        if source.get(name):
            found[name] = source[name]
        else:
            found.pop(name, None)
    return tuple(sorted(found.items()))


def _assemble(
    expr: BinaryOperation, pieces: list[_Piece], numbers: NDArray[np.int64], steps: int
) -> Matrix:
    """Merge pieces of equal labels; two at the same step are an ambiguous match."""
    grouped = expr.matching is not None and expr.matching.group is not None
    place: dict[LabelPairs, int] = {}
    used: dict[object, NDArray[np.bool_]] = {}
    values: list[F64] = []
    present: list[NDArray[np.bool_]] = []
    for piece in pieces:
        number = int(numbers[piece.many_row])
        unit: object = (number, piece.labels) if grouped else number
        before = used.get(unit)
        if before is not None and (before & piece.matched).any():
            raise InternalError(_AMBIGUOUS_GROUP if grouped else _AMBIGUOUS_ONE)
        used[unit] = piece.matched if before is None else before | piece.matched
        row = place.setdefault(piece.labels, len(values))
        if row == len(values):
            values.append(np.where(piece.kept, piece.values, np.nan))
            present.append(piece.kept.copy())
        else:
            values[row] = np.where(piece.kept, piece.values, values[row])
            present[row] |= piece.kept
    if not values:
        return Matrix((), np.zeros((0, steps)), np.zeros((0, steps), np.bool_))
    return Matrix(tuple(place), np.stack(values), np.stack(present)).nonempty()


_AMBIGUOUS_ONE = (
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
)
_AMBIGUOUS_GROUP = "multiple matches for labels: grouping labels must ensure unique matches"
