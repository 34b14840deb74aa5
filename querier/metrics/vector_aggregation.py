"""How are series combined at each step? sum, avg, topk and their kin (reference/logql.md §11)."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from logql.ast import Grouping, VectorAggregation
from querier.budget import Account
from querier.metrics.cells import CELLS_AT_ONCE, new_cells
from querier.metrics.matrix import F64, Mask2, Matrix, group_series
from querier.result import LabelPairs

Groups = NDArray[np.int64]

TEMPORARY_BYTES = 48
"""Of a cell while it is worked on."""


def grouping_key(grouping: Grouping | None) -> Callable[[LabelPairs], LabelPairs]:
    """The labels of the group that a series belongs to."""
    if grouping is None:
        return lambda pairs: ()
    names = frozenset(grouping.labels)
    if grouping.without:
        removed = names | {"__name__"}
        return lambda pairs: tuple([p for p in pairs if p[0] not in removed])
    return lambda pairs: tuple([p for p in pairs if p[0] in names])


def aggregate(expr: VectorAggregation, matrix: Matrix, account: Account) -> Matrix:
    """Apply one vector aggregation to its evaluated operand; the account pays for the result."""
    if expr.op in ("sort", "sort_desc"):
        return _sort(matrix, account, descending=expr.op == "sort_desc")
    key = grouping_key(expr.grouping)
    if expr.op in ("topk", "bottomk", "approx_topk"):
        assert expr.parameter is not None
        return _select(matrix, int(expr.parameter), key, account, largest=expr.op != "bottomk")
    if not len(matrix):
        return matrix
    groups, labels = group_series(matrix.labels, key)
    values, present = new_cells(len(labels), matrix.steps, account)
    reduce = _REDUCERS[expr.op]
    for steps in _step_runs(matrix, account):
        there = matrix.present[:, steps]
        counts = _sum_rows(there.astype(np.float64), groups, len(labels))
        values[:, steps] = reduce(matrix.values[:, steps], there, groups, counts)
        np.greater(counts, 0, out=present[:, steps])
    return Matrix(labels, values, present)


def _step_runs(matrix: Matrix, account: Account) -> Iterator[slice]:
    """All steps in runs of about `CELLS_AT_ONCE` cells; steps are independent of each other."""
    count = max(1, CELLS_AT_ONCE // max(len(matrix), 1))
    for first in range(0, matrix.steps, count):
        account.check()
        with account.held(len(matrix) * min(count, matrix.steps) * TEMPORARY_BYTES):
            yield slice(first, min(first + count, matrix.steps))


def _sum_rows(values: F64, groups: Groups, count: int) -> F64:
    """Sum the rows of each group."""
    out = np.zeros((count, values.shape[1]))
    np.add.at(out, groups, values)
    return out


def _sum(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    return _sum_rows(np.where(present, values, 0.0), groups, len(counts))


def _avg(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    with np.errstate(invalid="ignore", divide="ignore"):
        return _sum(values, present, groups, counts) / counts


def _count(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    return counts


def _min(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    out = np.full(counts.shape, np.nan)
    np.fmin.at(out, groups, np.where(present, values, np.nan))
    return out


def _max(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    out = np.full(counts.shape, np.nan)
    np.fmax.at(out, groups, np.where(present, values, np.nan))
    return out


def _stdvar(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    with np.errstate(invalid="ignore", divide="ignore"):
        means = _avg(values, present, groups, counts)
        deviation = np.where(present, (values - means[groups]) ** 2, 0.0)
        variance = _sum_rows(deviation, groups, len(counts)) / counts
        return np.where(counts == 1, 0.0, variance)  # also of a single infinity


def _stddev(values: F64, present: Mask2, groups: Groups, counts: F64) -> F64:
    return np.sqrt(_stdvar(values, present, groups, counts))


_REDUCERS: dict[str, Callable[[F64, Mask2, Groups, F64], F64]] = {
    "sum": _sum,
    "avg": _avg,
    "count": _count,
    "min": _min,
    "max": _max,
    "stddev": _stddev,
    "stdvar": _stdvar,
}


def _select(
    matrix: Matrix,
    k: int,
    key: Callable[[LabelPairs], LabelPairs],
    account: Account,
    *,
    largest: bool,
) -> Matrix:
    """Keep the k largest or smallest series per group and step, with their own labels."""
    if not len(matrix):
        return matrix
    groups, _ = group_series(matrix.labels, key)
    sizes = np.bincount(groups)
    before = np.repeat(np.cumsum(sizes) - sizes, sizes)  # of the group at each sorted place
    chosen = np.arange(len(groups)) - before < k
    account.charge(matrix.nbytes)
    keep = np.zeros(matrix.present.shape, np.bool_)
    for steps in _step_runs(matrix, account):
        there, numbers = matrix.present[:, steps], matrix.values[:, steps]
        values = numbers if largest else -numbers
        # NaN comes behind every number, absent cells behind NaN
        rank = np.where(np.isnan(values), -np.inf, values)
        group = np.broadcast_to(groups[:, np.newaxis], there.shape)
        order = np.lexsort((-rank, np.isnan(values), ~there, group), axis=0)[chosen]
        columns = np.broadcast_to(np.arange(there.shape[1]), order.shape)
        keep[order, steps.start + columns] = there[order, columns]
    return Matrix(matrix.labels, matrix.values, keep).nonempty(account)


def _sort(matrix: Matrix, account: Account, *, descending: bool) -> Matrix:
    """Order by the value at the only step of an instant query; NaN last."""
    if matrix.steps != 1:
        return matrix
    values = matrix.values[:, 0]
    order = np.lexsort((-values if descending else values, np.isnan(values)))
    account.charge(matrix.nbytes)
    result = matrix.take(order)
    return Matrix(result.labels, result.values, result.present, ordered=True)
