"""How do two metric expressions combine? Arithmetic, comparison and set operations.

Matching is by all labels, `on(...)` or `ignoring(...)`, step by step (reference/logql.md §12).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from logql.ast import BinaryOperation, VectorMatching
from logql.operators import COMPARISONS, PLAIN
from narfi.core.errors import InternalError
from querier.budget import Account
from querier.metrics.cells import series_runs
from querier.metrics.matrix import F64, Mask2, Matrix
from querier.result import LabelPairs

PIECE_BYTES = 32
"""Of a cell that two series give: the value and what is known of it, in pieces and together."""
ROWS_AT_ONCE = 256
"""Series that are matched between two looks at the deadline."""


def compute(op: str, left: F64 | float, right: F64 | float) -> F64:
    """One operation on every cell; what `logql.operators.fold` gives for each."""
    a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
    with np.errstate(all="ignore"):
        if op in PLAIN:
            return np.asarray(PLAIN[op](a, b), np.float64)
        match op:
            case "/":
                return np.where(b == 0, np.nan, a / b)
            case "%":
                return np.where(b == 0, np.nan, np.fmod(a, b))
            case "^":
                return np.power(a, b)
            case _:
                return np.asarray(COMPARISONS[op](a, b), np.float64)


def with_scalar(
    op: str, matrix: Matrix, scalar: float, *, scalar_left: bool, return_bool: bool
) -> Matrix:
    """A vector and a literal; a comparison without `bool` keeps the vector's value."""
    a, b = (scalar, matrix.values) if scalar_left else (matrix.values, scalar)
    result = compute(op, a, b)
    if op in COMPARISONS and not return_bool:
        kept = matrix.present & (result != 0)
        return _nonempty(Matrix(matrix.labels, matrix.values, kept, matrix.ordered))
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


def set_operation(expr: BinaryOperation, left: Matrix, right: Matrix, account: Account) -> Matrix:
    """`and`, `or`, `unless` by the matching signature, step by step."""
    key = signature_key(expr.matching)
    left_numbers, right_numbers, count = _numbered(left.labels, right.labels, key)
    if expr.op == "or":
        there = _present_by_signature(left, left_numbers, count, account)
        extra = right.present & ~there[right_numbers]
        return _union(left, _nonempty(Matrix(right.labels, right.values, extra)))
    there = _present_by_signature(right, right_numbers, count, account)[left_numbers]
    keep = left.present & (there if expr.op == "and" else ~there)
    return _nonempty(Matrix(left.labels, left.values, keep))


def _nonempty(matrix: Matrix) -> Matrix:
    """Without series that have no value; who asks for the operation has paid for the copy."""
    return matrix.nonempty(Account())


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


def _present_by_signature(
    matrix: Matrix, numbers: NDArray[np.int64], count: int, account: Account
) -> Mask2:
    there = np.zeros((count, matrix.steps), np.bool_)
    for run in series_runs(len(matrix), matrix.steps, account):
        np.logical_or.at(there, numbers[run], matrix.present[run])
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


def vector_operation(
    expr: BinaryOperation, left: Matrix, right: Matrix, account: Account
) -> Matrix:
    """Arithmetic or comparison between vectors, one-to-one or grouped; 500s as Loki's text."""
    matching = expr.matching
    swapped = matching is not None and matching.group == "right"
    sides = _Sides(right, left, True) if swapped else _Sides(left, right, False)
    key = signature_key(matching)
    many_numbers, one_numbers, count = _numbered(sides.many.labels, sides.one.labels, key)
    _refuse_two_at_a_step(sides, one_numbers, count, account)
    order = np.argsort(one_numbers, kind="stable")
    bounds = np.searchsorted(one_numbers[order], np.arange(count + 1))
    most = int(np.diff(bounds)[many_numbers].sum()) if count else 0
    with account.held(most * left.steps * PIECE_BYTES):
        pieces: list[_Piece] = []
        for row, number in enumerate(many_numbers.tolist()):
            if row % ROWS_AT_ONCE == 0:
                account.check()
            partners = order[bounds[number] : bounds[number + 1]]
            pieces += _match_row(expr, sides, row, partners)
        return _assemble(expr, pieces, many_numbers, left.steps)


def _refuse_two_at_a_step(
    sides: _Sides, numbers: NDArray[np.int64], count: int, account: Account
) -> None:
    """Of the one side, a signature may have one series with a value at each step."""
    size = count * sides.one.steps * 2
    with account.held(size):
        seen = np.zeros((count, sides.one.steps), np.uint8)  # 0, 1, or 2 for more
        twice = False
        for run in series_runs(len(sides.one), sides.one.steps, account):
            np.add.at(seen, numbers[run], sides.one.present[run].astype(np.uint8))
            twice = twice or bool((seen > 1).any())
            np.minimum(seen, 2, out=seen)
    if twice:
        side = "left" if sides.swapped else "right"
        message = (
            f"found duplicate series on the {side} hand-side;many-to-many matching not allowed: "
            "matching labels must be unique on one side"
        )
        raise InternalError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
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
        pieces.append(
            _Piece(many_row=row, labels=labels, values=values, matched=matched, kept=kept)
        )
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
    return _nonempty(Matrix(tuple(place), np.stack(values), np.stack(present)))


_AMBIGUOUS_ONE = (
    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
)
_AMBIGUOUS_GROUP = "multiple matches for labels: grouping labels must ensure unique matches"
