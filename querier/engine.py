"""How does a query become an answer? Text → AST → checks → view → tasks → result.

`Engine.run(text, options) -> Answer` is blocking and is called on a worker thread; it raises
AppError subclasses with Loki's texts.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np

from logql.ast import LogQuery, MetricExpr
from logql.format import format_expr
from logql.parser import parse
from narfi.core.clock import MAX_TIME_NS, MIN_TIME_NS, NS_PER_MS
from narfi.core.errors import AppError, ErrorKind, InvalidRequestError
from narfi.core.patience import wanted_while
from narfi.core.tenant import TenantId
from querier.budget import Account, Budget
from querier.executors.leaf import Compute, Executor
from querier.explore.kept_partials import KeptPartials
from querier.explore.question import Question
from querier.logs.search import LogSearch
from querier.metrics.evaluate import Evaluator
from querier.metrics.matrix import Matrix, constant_matrix
from querier.operators.pipeline import needles_of
from querier.plan.build import search_range
from querier.plan.spec import Rows
from querier.query import QueryOptions
from querier.reading.admission import check_query, check_series
from querier.reading.duplicates import DuplicateIndex
from querier.reading.missing import Warnings, nothing_missing
from querier.reading.other_heads import OtherHeads
from querier.reading.partial import Partial
from querier.reading.reading import Hiding, Reading
from querier.reading.view import View
from querier.result import (
    Answer,
    Explanation,
    MatrixResult,
    Notes,
    Phase,
    QueryStats,
    Result,
    Sample,
    ScalarResult,
    Series,
    Told,
    VectorResult,
    labels_bytes,
)
from querier.rules import ALL_RULES, Rule, Rules
from storage.objects.base import Allow, BadObjectError
from storage.scan import SourceProvider, StoredSources

POINT_BYTES = 16
"""Of a point of an answer: time and value."""
MAX_TRIES = 10
"""How often a request is begun: each damaged block that is met late costs one."""

T = TypeVar("T")
P = TypeVar("P")


class BlocksUnreadableError(AppError):
    """Again and again something was wrong with another block."""

    kind = ErrorKind.UNAVAILABLE


class Engine:
    """Answers LogQL over heads and blocks; one per process, thread-safe."""

    def __init__(
        self,
        heads: SourceProvider,
        blocks: StoredSources,
        executor: Executor,
        *,
        missing: Warnings = nothing_missing,
        partial: Partial = Partial.WARN,
        hiding: Hiding | None = None,
        others: OtherHeads | None = None,
    ) -> None:
        """`others`: heads of other processes, where there may be any."""
        self._others = others
        self._heads, self._blocks, self.executor = heads, blocks, executor
        self.missing, self._partial, self._hiding = missing, partial, hiding
        self._duplicates = DuplicateIndex()
        self.kept = KeptPartials()
        """What leaf tasks of exploring requests found in blocks."""

    def run(self, text: str, options: QueryOptions, notes: Notes | None = None) -> Answer:
        """Parse, plan and execute; a range query, or an instant one when `options.instant`.

        What becomes known meanwhile is noted.
        """
        notes = notes or Notes()
        began = time.perf_counter()
        options.budget.begin(options.limits)
        stats = QueryStats()
        with stats.timed(Phase.PARSE):
            expr = parse(text)
            notes.kind = "log" if isinstance(expr, LogQuery) else "metric"
            check_query(expr, options)

        def work(reading: Reading, budget: Budget) -> tuple[Result, QueryStats]:
            part, own = QueryStats(), replace(options, budget=budget)
            notes.stats = part
            with budget.account() as account:
                result = self._result(expr, own, part, _Views(reading, own.rules), account)
            part.add(reading.hiding_cost())
            return result, part

        told = self.read(options.tenants, options.budget, work)
        result, part = told.value
        stats.add(part)
        stats.exec_time_s = time.perf_counter() - began
        notes.stats = stats
        if not options.explain:
            return Answer(result, stats, told.warnings)
        off = tuple(sorted(ALL_RULES - options.rules))
        explanation = Explanation(format_expr(expr), off, tuple(stats.reads))
        return Answer(result, stats, told.warnings, explanation)

    def over_rows(
        self, text: str, options: QueryOptions, compute: Callable[[Rows], Compute[P]]
    ) -> Told[list[P]]:
        """What is computed of the rows that a log query would return, a partial for each run."""
        options.budget.begin(options.limits)
        expr = parse(text)
        if not isinstance(expr, LogQuery):
            raise InvalidRequestError("only log selector is supported")
        check_query(expr, options)

        def work(reading: Reading, budget: Budget) -> list[P]:
            own, stats = replace(options, budget=budget), QueryStats()
            view = _Views(reading, own.rules).view(expr, search_range(options), stats)
            return list(LogSearch(expr, view, own, self.executor).over_rows(compute, stats))

        return self.read(options.tenants, options.budget, work)

    def explore(self, text: str, options: QueryOptions, work: Callable[[Question], T]) -> Told[T]:
        """What the work finds out about a log query."""
        options.budget.begin(options.limits)
        query = parse(text)
        if not isinstance(query, LogQuery):
            raise InvalidRequestError("only log selector is supported")
        check_query(query, options)

        def asked(reading: Reading, budget: Budget) -> T:
            return work(
                Question(
                    query=query,
                    time_range=search_range(options),
                    limits=options.limits,
                    rules=options.rules,
                    reading=reading,
                    budget=budget,
                    executor=self.executor,
                    kept=self.kept,
                )
            )

        return self.read(options.tenants, options.budget, asked)

    def read(
        self,
        tenants: Sequence[TenantId],
        budget: Budget,
        work: Callable[[Reading, Budget], T],
    ) -> Told[T]:
        """Do the work of one request of the tenants; what it sees stays until it returns.

        It is done again, from the beginning and with a budget as before, when it meets a block that
        is damaged or went meanwhile: no answer holds half of a block. Time goes on.
        """
        met: set[str] = set()  # objects
        for _ in range(MAX_TRIES):
            try:
                with (
                    budget.attempt() as own,
                    wanted_while(own.check),
                    self.reading(tenants, own) as reading,
                ):
                    value = work(reading, own)
                    return Told(value, reading.warnings())
            except BadObjectError as error:
                self.judge(error, budget, again=error.key in met)
                met.add(error.key)
                last = error
            budget.check()
        message = f"blocks went, or were found damaged, while they were read: {last.message}"
        raise BlocksUnreadableError(message) from last

    @contextmanager
    def reading(self, tenants: Sequence[TenantId], budget: Budget) -> Iterator[Reading]:
        """What a request of the tenants reads; it stays for the `with` block.

        There `BadObjectError` is raised of what is damaged or went, which is for `judge`.
        """
        with self._blocks.reading() as blocks:
            yield Reading(
                heads=self._heads,
                blocks=blocks,
                duplicates=self._duplicates,
                missing=self.missing,
                tenants=tenants,
                budget=budget,
                partial=self._partial,
                hiding=self._hiding,
                others=self._others,
            )

    def judge(self, error: BadObjectError, budget: Budget, *, again: bool) -> None:
        """Find out what is wrong with an object, within a budget; then reading may begin again.

        `again`: the request met it before.
        """
        self._blocks.judge(error, again=again, allow=_allowed_by(budget))

    def _result(
        self,
        expr: LogQuery | MetricExpr,
        options: QueryOptions,
        stats: QueryStats,
        views: "_Views",
        account: Account,
    ) -> Result:
        if isinstance(expr, LogQuery):
            part = QueryStats()
            view = views.view(expr, search_range(options), part)
            search = LogSearch(expr, view, options, self.executor)
            found = search.run(part)
            stats.add(part)
            if options.explain:
                stats.reads.append(search.explain(part))
            return found
        steps = step_grid(options)
        evaluator = Evaluator(
            options=options,
            executor=self.executor,
            stats=stats,
            views=views,
            steps=steps,
            account=account,
        )
        value = evaluator.answer(expr)
        if options.instant:
            return _instant_result(value, options, account)
        matrix = value if isinstance(value, Matrix) else constant_matrix(value, steps[2])
        check_series(len(matrix), options.limits.max_query_series)
        return _matrix_result(matrix, steps, options.budget)


def _allowed_by(budget: Budget) -> Allow:
    """Read so many bytes within a query's time and memory."""

    @contextmanager
    def allow(size: int) -> Iterator[None]:
        budget.check()
        with budget.account() as account, account.held(size):
            yield

    return allow


class _Views:
    """The views of one query, one per selector, and what they cost."""

    def __init__(self, reading: Reading, rules: Rules) -> None:
        self._reading, self._rules = reading, rules

    def view(self, query: LogQuery, time_range: tuple[int, int], stats: QueryStats) -> View:
        """The sources of streams of the selector; without lines that its first filters drop."""
        needles = needles_of(query.stages) if Rule.LITERAL_PRUNING in self._rules else ()
        with stats.timed(Phase.VIEW):
            view = self._reading.view(query.selector.matchers, time_range, needles=needles)
            stats.streams += view.count_streams()
        stats.blocks += len(view.sources)
        return view


def step_grid(options: QueryOptions) -> tuple[int, int, int]:
    """(start ns, step ns, number of steps).

    With splitting on, start is rounded down and end up to multiples of the step
    (reference/http-api.md §3.3).
    """
    if options.instant:
        return options.start_ns, 1, 1
    start, end, step = options.start_ns, options.end_ns, options.step_ns
    if options.limits.split_queries_by_interval_ns > 0:
        start -= start % step
        start += step if start < MIN_TIME_NS else 0
        end += -end % step
        end -= step if end > MAX_TIME_NS else 0
    return start, step, (end - start) // step + 1


def _matrix_result(matrix: Matrix, steps: tuple[int, int, int], budget: Budget) -> MatrixResult:
    """The answer; it is paid for until the request ends."""
    budget.charge(int(np.count_nonzero(matrix.present)) * POINT_BYTES)
    start, step, count = steps
    times = (start + np.arange(count, dtype=np.int64) * step) // NS_PER_MS
    places = np.broadcast_to(times, matrix.present.shape)[matrix.present]
    values = matrix.values[matrix.present]
    ends = np.cumsum(np.count_nonzero(matrix.present, axis=1)).tolist()
    series = []
    for row in sorted(range(len(matrix)), key=lambda row: matrix.labels[row]):
        mine = slice(ends[row - 1] if row else 0, ends[row])
        if mine.stop > mine.start:
            series.append(Series(matrix.labels[row], places[mine], values[mine]))
    return MatrixResult(tuple(series))


def _instant_result(value: Matrix | float, options: QueryOptions, account: Account) -> Result:
    time_ms = options.start_ns // NS_PER_MS
    if not isinstance(value, Matrix):
        return ScalarResult(time_ms, value)
    matrix = value.nonempty(account)
    check_series(len(matrix), options.limits.max_query_series)
    options.budget.charge(sum(map(labels_bytes, matrix.labels)))
    rows = range(len(matrix))
    order = list(rows) if matrix.ordered else sorted(rows, key=lambda row: matrix.labels[row])
    samples = tuple(Sample(matrix.labels[row], float(matrix.values[row, 0])) for row in order)
    return VectorResult(time_ms, samples)
