"""How is a range aggregation computed? Leaf tasks give partials, one accumulator merges them.

Invariant: every sample that a window may hold is in one partial, and partials are merged in the
order of the tasks, so that a query asked again gives the same floats.
"""

from collections.abc import Iterable, Sequence
from itertools import compress

from logql.ast import Grouping, RangeAggregation
from narfi.core.columns import I32
from querier.budget import Account
from querier.executors.leaf import Executor, planned_context, run_leaf
from querier.metrics.grid import Grid
from querier.metrics.matrix import Matrix
from querier.metrics.partials import SeriesPartial
from querier.metrics.samples import RangeSamples
from querier.metrics.series import ALL_LABELS, NO_LABELS, SeriesKey, SeriesNumbers
from querier.metrics.stream_counts import CountRows, is_countable, is_worth_sizing
from querier.metrics.windows import Accumulator, accumulator_for
from querier.plan.build import BYTE_FUNCTIONS, looks_at_errors, range_plan
from querier.plan.explain import TOLD_BY_THE_PLAN, read_of
from querier.plan.rewrites.order import rewritten
from querier.plan.spec import scan_spec
from querier.plan.tasks import line_bytes, plan_tasks, request_of, source_tasks
from querier.query import QueryOptions
from querier.reading.admission import check_series
from querier.reading.view import SourceView, View
from querier.result import LabelPairs, Phase, QueryStats, Read
from querier.rules import Rule

FEW_ROWS = 1 << 22
"""Counting so many costs less than to hand it to other threads (1.3 ms against 1.8 for 85,000)."""

SUMMABLE = frozenset(("count_over_time", "rate", "bytes_over_time", "bytes_rate", "sum_over_time"))
"""Functions whose series may be grouped by the `sum` around them (reference/logql.md §10.1)."""


class _Numbers(SeriesNumbers):
    """The query's numbers of series; the accumulator gets room for new ones."""

    def __init__(self, cells: Accumulator, account: Account, most: int) -> None:
        super().__init__(account)
        self._cells, self._most = cells, most

    def of(self, labels: Sequence[LabelPairs]) -> I32:
        """As a task's; raises where there are too many series, or too much memory is needed."""
        found = super().of(labels)
        check_series(len(self), self._most)
        self._cells.resize(len(self))
        return found


def series_key(expr: RangeAggregation, outer: Grouping | None, *, summed: bool) -> SeriesKey:
    """Which labels name a series; `outer` is the grouping of a `sum` directly around."""
    if expr.op == "absent_over_time":
        return NO_LABELS  # whether there is any entry does not depend on its series
    if expr.grouping is not None:
        return _key_of(expr.grouping, expr)
    if summed:
        return NO_LABELS if outer is None else _key_of(outer, expr)
    if expr.log_range.unwrap is not None:
        return SeriesKey(frozenset((expr.log_range.unwrap.label,)), without=True)
    return ALL_LABELS


def _key_of(grouping: Grouping, expr: RangeAggregation) -> SeriesKey:
    names = frozenset(grouping.labels)
    unwrap = expr.log_range.unwrap
    if grouping.without and unwrap is not None:
        names |= {unwrap.label}
    return SeriesKey(names, grouping.without)


class RangeScan:
    """One range aggregation over one view."""

    def __init__(
        self,
        expr: RangeAggregation,
        key: SeriesKey,
        view: View,
        grid: Grid,
        *,
        options: QueryOptions,
        most_series: int = 0,
    ) -> None:
        self._expr, self._key, self._view, self._grid = expr, key, view, grid
        self._budget, self._most_series = options.budget, most_series
        self._sized = expr.op in BYTE_FUNCTIONS
        by = Grouping(tuple(sorted(key.names)), key.without)
        self._plan, self._changed = rewritten(
            range_plan(expr, by, grid.data_range()), options.rules
        )

    def run(self, executor: Executor, account: Account, stats: QueryStats) -> Matrix:
        """The cells of all series; the account pays for them."""
        with self._budget.account() as mine:
            matrix = self._matrix(executor, mine, stats)
            mine.hand_over(matrix.nbytes, account)
            return matrix

    def _matrix(self, executor: Executor, account: Account, stats: QueryStats) -> Matrix:
        expr, grid, budget, plan = self._expr, self._grid, self._budget, self._plan
        unwrapped = expr.log_range.unwrap is not None
        cells = accumulator_for(expr.op, grid, expr.parameter, account, unwrapped=unwrapped)
        numbers = _Numbers(cells, account, self._most_series)
        stats.rules |= self._changed & TOLD_BY_THE_PLAN
        with stats.timed(Phase.PLAN):
            allowance = budget.allowance()
            counted, scanned = self._split()
            count = CountRows(key=self._key, grid=grid, sized=self._sized)
            counts = source_tasks(counted, plan.scan, count, allowance)
            tasks = plan_tasks(
                View(scanned), plan.scan, self._samples(), allowance, stats, whole=True
            )
            budget.read(line_bytes(tasks.specs) + _selected_bytes(counted))
        if counted:
            stats.rules |= {Rule.STREAM_COUNTS, Rule.UNREAD_LINES, Rule.UNREAD_METADATA}
            rows = sum(view.source.table.count_rows(view.streams) for view in counted)
            with stats.timed(Phase.COUNT):
                context = planned_context(budget, plan.scan, counts)
                found: Iterable[SeriesPartial] = executor.leaves(counts.specs, context)
                if rows <= FEW_ROWS and not self._sized:
                    found = (run_leaf(spec, context) for spec in counts.specs)
                self._take(found, numbers, cells, stats)
        with stats.timed(Phase.SCAN):
            context = planned_context(budget, plan.scan, tasks)
            self._take(executor.leaves(tasks.specs, context), numbers, cells, stats)
        with stats.timed(Phase.FINISH):
            values, present = cells.finish()
            del cells
            return Matrix(numbers.labels(), values, present).nonempty(account)

    def _samples(self) -> RangeSamples:
        expr = self._expr
        return RangeSamples(
            op=expr.op,
            key=self._key,
            grid=self._grid,
            parameter=expr.parameter,
            unwrap=expr.log_range.unwrap,
            forgives_parse_errors=looks_at_errors(self._plan),
            most_series=self._most_series,
        )

    def _take(
        self,
        partials: Iterable[SeriesPartial],
        numbers: "_Numbers",
        cells: Accumulator,
        stats: QueryStats,
    ) -> None:
        """Merge what leaf tasks found, and give its memory back."""
        for found in partials:
            stats.add(found.stats)
            cells.merge(found.held, numbers.of(found.labels))
            self._budget.release(found.charged)

    def explain(self, stats: QueryStats) -> Read:
        """How it was read, behind `run`."""
        return read_of(self._expr.log_range.query, self._plan, self._view, stats)

    def _split(self) -> tuple[tuple[SourceView, ...], tuple[SourceView, ...]]:
        """The sources that are counted from their timestamps, and those that are scanned."""
        sources = self._view.sources
        if not self._plan.bisected:
            return (), sources
        chosen = [
            is_countable(source, self._key) and (not self._sized or self._is_worth_sizing(source))
            for source in sources
        ]
        return (
            tuple(compress(sources, chosen)),
            tuple(compress(sources, (not c for c in chosen))),
        )

    def _is_worth_sizing(self, view: SourceView) -> bool:
        request = request_of(view, scan_spec(self._plan.scan))
        return is_worth_sizing(view, view.source.ranges(request))


def _selected_bytes(sources: Sequence[SourceView]) -> int:
    """Line bytes of the selected streams."""
    return sum(view.source.table.count_line_bytes(view.streams) for view in sources)
