"""How is a metric expression computed? Bottom up, each node to a dense matrix or a number.

Invariant: every node sees the same grid of steps; a literal stays a number until it meets a vector.
"""

from typing import Protocol, assert_never

import numpy as np

from logql.ast import (
    BinaryOperation,
    Grouping,
    LabelReplace,
    Literal,
    LogQuery,
    MetricExpr,
    RangeAggregation,
    VectorAggregation,
    VectorLiteral,
)
from logql.operators import SET_OPERATORS
from narfi.core.errors import InternalError
from querier.budget import Account
from querier.executors.leaf import Executor
from querier.metrics.absent import absent_over_time
from querier.metrics.binary import (
    compute,
    set_operation,
    vector_operation,
    with_scalar,
)
from querier.metrics.grid import Grid
from querier.metrics.label_replace import label_replace
from querier.metrics.matrix import CELL_BYTES, Matrix, constant_matrix, empty_matrix
from querier.metrics.range_aggregation import (
    SUMMABLE,
    RangeScan,
    series_key,
)
from querier.metrics.vector_aggregation import aggregate
from querier.query import QueryOptions
from querier.reading.view import View
from querier.result import QueryStats

Value = Matrix | float

BINARY_COPIES = 2
"""Of both operands, while they are combined."""


class ViewMaker(Protocol):
    """Takes the views of one query."""

    def view(self, query: LogQuery, time_range: tuple[int, int], stats: QueryStats) -> View:
        """The sources of streams of the selector, for `[start, end)` ns.

        Lines that the first line filters drop may be missing.
        """
        ...


class Evaluator:
    """Evaluates one expression at the steps `start_ns + k * step_ns`."""

    def __init__(
        self,
        *,
        options: QueryOptions,
        executor: Executor,
        stats: QueryStats,
        views: ViewMaker,
        steps: tuple[int, int, int],
        account: Account,
    ) -> None:
        self._options, self._executor, self._stats = options, executor, stats
        self._views, self._account = views, account
        self._start_ns, self._step_ns, self._steps = steps

    def answer(self, expr: MetricExpr) -> Value:
        """The value of a whole query: `max_query_series` is looked at while it grows."""
        most = self._options.limits.max_query_series
        match expr:
            case RangeAggregation():
                return self._range(expr, outer=None, summed=False, most_series=most)
            case VectorAggregation():
                return self._vector(expr, most_series=most)
            case _:
                return self.value(expr)

    def value(self, expr: MetricExpr) -> Value:
        """A matrix, or a number for expressions of literals only."""
        match expr:
            case Literal():
                return expr.value
            case VectorLiteral():
                return self._constant(expr.value)
            case RangeAggregation():
                return self._range(expr, outer=None, summed=False)
            case VectorAggregation():
                return self._vector(expr)
            case BinaryOperation():
                return self._binary(expr)
            case LabelReplace():
                if isinstance(expr.expr, Literal):
                    message = (
                        "unexpected expr type (*syntax.LiteralExpr) for Evaluator type "
                        "(*logql.DefaultEvaluator) "
                    )
                    raise InternalError(message)
                return label_replace(expr, self.matrix(expr.expr), self._account)
            case _:
                assert_never(expr)

    def matrix(self, expr: MetricExpr) -> Matrix:
        """The value as a matrix."""
        value = self.value(expr)
        return value if isinstance(value, Matrix) else self._constant(value)

    def _constant(self, value: float) -> Matrix:
        self._account.charge(self._steps * CELL_BYTES)
        return constant_matrix(value, self._steps)

    def _vector(self, expr: VectorAggregation, most_series: int = 0) -> Matrix:
        if expr.op == "approx_topk":
            self._check_approx_topk()
        inner = expr.expr
        summed = (
            expr.op == "sum"
            and isinstance(inner, RangeAggregation)
            and inner.grouping is None
            and inner.op in SUMMABLE
        )
        if summed and isinstance(inner, RangeAggregation):
            operand = self._range(inner, outer=expr.grouping, summed=True, most_series=most_series)
        else:
            operand = self.matrix(inner)
        found = aggregate(expr, operand, self._account)
        if found is not operand:
            self._account.release(operand.nbytes)
        return found

    def _check_approx_topk(self) -> None:
        if not self._options.limits.approx_topk_enabled:
            raise InternalError("approx_topk is not enabled. See -limits.shard_aggregations")
        if not self._options.instant:
            raise InternalError("count min sketches are only supported on instant queries")

    def _range(
        self,
        expr: RangeAggregation,
        *,
        outer: Grouping | None,
        summed: bool,
        most_series: int = 0,
    ) -> Matrix:
        log_range = expr.log_range
        grid = Grid(
            start_ns=self._start_ns,
            step_ns=self._step_ns,
            steps=self._steps,
            span_ns=log_range.range_ns,
            offset_ns=log_range.offset_ns,
        )
        if grid.is_beyond_time:
            found = empty_matrix(self._steps)
            if expr.op == "absent_over_time":
                return absent_over_time(log_range, found, self._account)
            return found
        stats = QueryStats()
        view = self._views.view(log_range.query, grid.data_range(), stats)
        key = series_key(expr, outer, summed=summed)
        gaps = grid.step_ns > grid.window_ns and grid.steps > 1
        # with gaps between the windows a series may have no value at all
        scan = RangeScan(
            expr=expr,
            key=key,
            view=view,
            grid=grid,
            options=self._options,
            most_series=0 if gaps else most_series,
        )
        found = scan.run(self._executor, self._account, stats)
        self._stats.add(stats)
        if self._options.explain:
            self._stats.reads.append(scan.explain(stats))
        if expr.op == "absent_over_time":
            return absent_over_time(log_range, found, self._account)
        return found

    def _binary(self, expr: BinaryOperation) -> Value:
        left, right = self.value(expr.left), self.value(expr.right)
        operands = [value for value in (left, right) if isinstance(value, Matrix)]
        size = sum(matrix.nbytes for matrix in operands)
        with self._account.held(size * BINARY_COPIES):
            found = self._combined(expr, left, right)
        if isinstance(found, Matrix):
            self._account.charge(found.nbytes)
        self._account.release(size)
        return found

    def _combined(self, expr: BinaryOperation, left: Value, right: Value) -> Value:
        if isinstance(left, Matrix) and isinstance(right, Matrix):
            if expr.op in SET_OPERATORS:
                return set_operation(expr, left, right, self._account)
            return vector_operation(expr, left, right, self._account)
        if isinstance(left, Matrix):
            assert not isinstance(right, Matrix)
            return with_scalar(
                expr.op, left, right, scalar_left=False, return_bool=expr.return_bool
            )
        if isinstance(right, Matrix):
            return with_scalar(expr.op, right, left, scalar_left=True, return_bool=expr.return_bool)
        return float(np.asarray(compute(expr.op, left, right)))
