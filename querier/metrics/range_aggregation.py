"""How is a range aggregation computed? Leaf tasks give samples, one accumulator makes the cells.

Invariant: every sample that a window may hold is read once; a sample with an error fails the query
(reference/logql.md §9.1) unless the query itself looks at `__error__`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from logql.ast import (
    Grouping,
    LogRange,
    RangeAggregation,
    Unwrap,
)
from logql.format import format_grouping, format_query, format_stage, format_unwrap
from narfi.core.columns import I32, I64
from narfi.core.errors import InvalidRequestError
from narfi.core.labels import labels_text
from narfi.core.units import format_prometheus_duration
from querier.budget import Account, Budget
from querier.executors.local import LocalExecutor
from querier.metrics.grid import ONE, Grid
from querier.metrics.matrix import F64, Matrix
from querier.metrics.series import (
    ALL_LABELS,
    NO_LABELS,
    SeriesKey,
    SeriesNumbers,
    number_series,
)
from querier.metrics.stream_counts import COUNTING, StreamCounts, count_streams, is_countable
from querier.metrics.windows import Accumulator, CountAccumulator, accumulator_for
from querier.operators.base import Demand
from querier.operators.frame import ERROR, Frame
from querier.operators.pipeline import Pipeline, build_pipeline
from querier.operators.reads import filter_names, looks_at_errors
from querier.operators.unwrap import unwrap_values
from querier.plan.explain import read_of
from querier.plan.slices import Slices
from querier.plan.tasks import ScanTask, batches_of, frame_of, line_bytes, plan_tasks
from querier.query import QueryOptions
from querier.reading.admission import check_series
from querier.reading.view import SourceView, View
from querier.result import LabelPairs, Phase, QueryStats, Read
from querier.rules import Rule
from storage.scan import Columns

NO_ROWS: I64 = np.zeros(0, np.int64)

SAMPLE_BYTES = 56
"""Of a sample in a leaf task: series, time, value and row number, in parts and put together."""
ORDERED_BYTES = 64
"""Of a sample while all are put into the order of arrival."""

BYTE_FUNCTIONS = frozenset(("bytes_over_time", "bytes_rate"))
PARSE_ERRORS = frozenset(("JSONParserErr", "LogfmtParserErr"))
"""Errors that do not fail a query which itself looks at `__error__` (reference/logql.md §9.1)."""

ARRIVAL_MATTERS = frozenset(("first_over_time", "last_over_time", "rate_counter"))
"""Functions for which the order of samples of one instant counts; tasks give no order."""

FEW_ROWS = 1 << 22
"""Counting so many costs less than to hand it to other threads (1.3 ms against 1.8 for 85,000)."""

SUMMABLE = frozenset(("count_over_time", "rate", "bytes_over_time", "bytes_rate", "sum_over_time"))
"""Functions whose series may be grouped by the `sum` around them (reference/logql.md §10.1)."""


class PipelineError(InvalidRequestError):
    """A sample carries an error; the text tells which series and how to skip it."""

    def __init__(self, error: str, labels: LabelPairs) -> None:
        super().__init__(
            f"pipeline error: '{error}' for series: '{labels_text(labels)}'.\n"
            "Use a label filter to intentionally skip this error. "
            f'(e.g | __error__!="{error}").\n'
            "To skip all potential errors you can match empty errors."
            '(e.g __error__="")\n'
            "The label filter can also be specified after unwrap. "
            '(e.g | unwrap latency | __error__="" )\n'
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What a leaf task found: series numbers are local to `labels`."""

    labels: Sequence[LabelPairs]
    series: I32
    ts: I64
    values: NDArray[np.int64] | F64
    stats: QueryStats
    rows: I64  # filled where ARRIVAL_MATTERS
    account: Account  # pays for all of it; closed by who takes the samples


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
        *,
        expr: RangeAggregation,
        key: SeriesKey,
        view: View,
        grid: Grid,
        options: QueryOptions,
        most_series: int = 0,
    ) -> None:
        self._expr, self._key, self._view, self._grid = expr, key, view, grid
        self._options, self._budget = options, options.budget
        self._most_series = most_series
        self._log_range: LogRange = expr.log_range
        self._by_bytes = expr.op in BYTE_FUNCTIONS
        self._pipeline: Pipeline = build_pipeline(
            self._log_range.query.stages, self._demand(), options.rules
        )

    def _demand(self) -> Demand:
        """What is looked at behind the stages: the key, the unwrapped label, its filters."""
        unwrap = self._log_range.unwrap
        if self._key.without:
            return Demand(None, errors=False, lines=self._by_bytes)
        names = set(self._key.names)
        errors = False
        if unwrap is not None:
            names |= unwrap_reads(unwrap)
            errors = any(map(looks_at_errors, unwrap.post_filters))
        return Demand(frozenset(names), errors=errors, lines=self._by_bytes)

    def run(self, executor: LocalExecutor, account: Account, stats: QueryStats) -> Matrix:
        """The cells of all series; the account pays for them."""
        with self._budget.account() as mine:
            matrix = self._matrix(executor, mine, stats)
            mine.hand_over(matrix.nbytes, account)
            return matrix

    def _matrix(self, executor: LocalExecutor, account: Account, stats: QueryStats) -> Matrix:
        unwrapped = self._log_range.unwrap is not None
        cells = accumulator_for(
            self._expr.op, self._grid, self._expr.parameter, account, unwrapped=unwrapped
        )
        numbers = _Numbers(cells, account, self._most_series)
        with stats.timed(Phase.PLAN):
            counted, scanned = self._split()
            tasks = plan_tasks(
                View(scanned),
                self._grid.data_range(),
                self._pipeline,
                self._columns(),
                stats,
                whole=True,
            )
            self._budget.read(line_bytes(tasks) + _selected_bytes(counted))
        if counted:
            assert isinstance(cells, CountAccumulator)
            with stats.timed(Phase.COUNT):
                self._count(counted, numbers, cells, executor, stats)
        with stats.timed(Phase.SCAN):
            self._scan(tasks, numbers, cells, executor, stats)
        with stats.timed(Phase.FINISH):
            values, present = cells.finish()
            del cells
            return Matrix(numbers.labels(), values, present).nonempty(account)

    def explain(self, stats: QueryStats) -> Read:
        """How it was read, behind `run`."""
        expr, unwrap = self._expr, self._log_range.unwrap
        stages = [format_stage(stage) for stage in self._pipeline.stages]
        stages += [] if unwrap is None else [format_unwrap(unwrap)]
        by = format_grouping(Grouping(tuple(sorted(self._key.names)), self._key.without))
        stages.append(f"{expr.op}[{format_prometheus_duration(self._log_range.range_ns)}] {by}")
        return read_of(format_query(self._log_range.query), tuple(stages), (), self._view, stats)

    def _split(self) -> tuple[tuple[SourceView, ...], tuple[SourceView, ...]]:
        """The sources that are counted from their timestamps, and those that are scanned."""
        sources = self._view.sources
        counting = self._expr.op in COUNTING and self._log_range.unwrap is None
        if not counting or Rule.STREAM_COUNTS not in self._options.rules:
            return (), sources
        chosen = [is_countable(source, self._key, self._pipeline) for source in sources]
        return (
            tuple(compress(sources, chosen)),
            tuple(compress(sources, (not c for c in chosen))),
        )

    def _count(
        self,
        sources: Sequence[SourceView],
        numbers: "_Numbers",
        cells: CountAccumulator,
        executor: LocalExecutor,
        stats: QueryStats,
    ) -> None:
        stats.rules |= {Rule.STREAM_COUNTS, Rule.UNREAD_LINES, Rule.UNREAD_METADATA}
        stats.sources_read |= {view.source.source_id for view in sources}
        rows = sum(int(view.source.table.rows[view.streams].sum()) for view in sources)
        budget = self._budget

        def count(source: SourceView) -> StreamCounts:
            return count_streams(source, self._key, self._grid, budget.account())

        many = rows > FEW_ROWS
        for found in executor.map(count, sources, budget) if many else map(count, sources):
            stats.lines_scanned += found.rows
            stats.lines_counted += found.rows
            stats.lines_after_filter += found.rows
            cells.add_counted(numbers.of(found.labels), found.diff, found.first)
            found.account.close()

    def _scan(
        self,
        tasks: Sequence[ScanTask],
        numbers: "_Numbers",
        cells: Accumulator,
        executor: LocalExecutor,
        stats: QueryStats,
    ) -> None:
        arrived: list[tuple[int, Samples]] = []
        for task, samples in zip(
            tasks, executor.map(self._samples, tasks, self._options.budget), strict=True
        ):
            stats.add(samples.stats)
            if self._expr.op in ARRIVAL_MATTERS:
                arrived.append((task.view.order, samples))
            else:
                _take(samples, numbers, cells)
        if arrived:
            _take(_in_order(arrived, self._budget), numbers, cells)

    def _columns(self) -> Columns:
        names = self._pipeline.metadata_names
        if self._key.without or names is None:
            wanted: bool | frozenset[str] = True
        else:
            wanted = names | self._key.names
        lines = self._pipeline.needs_lines or self._by_bytes
        return Columns(lines=lines, metadata=wanted)

    def _samples(self, task: ScanTask) -> Samples:
        stats = QueryStats()
        account = self._budget.account()
        labels = SeriesNumbers(account)
        parts: list[tuple[I32, I64, NDArray[np.int64] | F64]] = []
        rows: list[I64] = []
        slices = Slices(self._pipeline, self._budget)
        for batch in batches_of(task, stats):
            for whole in slices.of(batch):
                frame, values = self._values(whole)
                if not len(frame):
                    continue
                self._refuse_errors(task, frame)
                stats.lines_after_filter += len(frame)
                series, names = number_series(frame, self._key)
                local = labels.of(names)
                account.charge(len(frame) * SAMPLE_BYTES)
                parts.append((local[series], frame.ts, values))
                rows.append(frame.rows)
        stats.reading.add(task.request.stats)
        if not parts:
            empty = np.zeros(0, np.int64)
            return Samples(
                labels=(),
                series=empty.astype(np.int32),
                ts=empty,
                values=ONE,
                stats=stats,
                rows=empty,
                account=account,
            )
        series_parts, ts_parts, value_parts = zip(*parts, strict=True)
        counted = value_parts[0] is ONE
        values = ONE if counted else np.concatenate(value_parts)
        return Samples(
            labels=labels.labels(),
            series=np.concatenate(series_parts),
            ts=np.concatenate(ts_parts),
            values=values,
            stats=stats,
            rows=np.concatenate(rows) if self._expr.op in ARRIVAL_MATTERS else NO_ROWS,
            account=account,
        )

    def _values(self, frame: Frame) -> tuple[Frame, NDArray[np.int64] | F64]:
        unwrap = self._log_range.unwrap
        if unwrap is not None:
            frame, numbers = unwrap_values(frame, unwrap)
            return frame, ONE if self._expr.op == "absent_over_time" else numbers
        if self._by_bytes:
            return frame, frame.lines.lengths().astype(np.int64)
        return frame, ONE

    def _refuse_errors(self, task: ScanTask, frame: Frame) -> None:
        if frame.error is None or self._expr.op == "absent_over_time":
            return
        looked_at = self._pipeline.reads
        ignored = {""} | (PARSE_ERRORS if looked_at and ERROR in looked_at else frozenset())
        codes, texts = frame.error.codes, frame.error.texts
        bad = np.flatnonzero(codes >= 0)
        counts = np.array([text not in ignored for text in texts], np.bool_)
        bad = bad[counts[codes[bad]]]
        if len(bad):
            raise self._error_of(task, frame.rows[bad[:1]])

    def _error_of(self, task: ScanTask, row: I64) -> PipelineError:
        """The error of one row, with all its labels: the row is read again for them."""
        frame = self._pipeline.apply(frame_of(task.view.source.fetch(row, Columns())))
        if self._log_range.unwrap is not None:
            frame, _ = unwrap_values(frame, self._log_range.unwrap)
        _, labels = number_series(frame, ALL_LABELS)
        error = frame.shown(ERROR)
        return PipelineError(error.texts[error.codes[0]], labels[0])


def _take(samples: Samples, numbers: "_Numbers", cells: Accumulator) -> None:
    """Let the accumulator have the samples, and give their memory back."""
    local = numbers.of(samples.labels)
    if len(samples.ts):
        cells.add(local[samples.series], samples.ts, samples.values)
    samples.account.close()


def _in_order(arrived: Sequence[tuple[int, Samples]], budget: Budget) -> Samples:
    """Samples of all tasks in order of arrival: by source, then by row; theirs are free then."""
    account = budget.account()
    account.charge(sum(len(samples.ts) for _, samples in arrived) * ORDERED_BYTES)
    numbers = SeriesNumbers(account)
    series = [numbers.of(samples.labels)[samples.series] for _, samples in arrived]
    source = np.concatenate([np.full(len(s.ts), order) for order, s in arrived])
    filled = [s.values.astype(np.float64) for _, s in arrived if len(s.ts)]
    order = np.lexsort((np.concatenate([s.rows for _, s in arrived]), source))
    values: F64 = np.concatenate(filled) if filled else np.zeros(0)
    for _, samples in arrived:
        samples.account.close()
    return Samples(
        labels=numbers.labels(),
        series=np.concatenate(series)[order],
        ts=np.concatenate([s.ts for _, s in arrived])[order],
        values=values[order],
        stats=arrived[0][1].stats,
        rows=NO_ROWS,
        account=account,
    )


def _selected_bytes(sources: Sequence[SourceView]) -> int:
    """Line bytes of the selected streams."""
    return sum(int(view.source.table.line_bytes[view.streams].sum()) for view in sources)


def unwrap_reads(unwrap: Unwrap) -> set[str]:
    """Labels that an unwrap and its filters look at."""
    names = {unwrap.label}
    for condition in unwrap.post_filters:
        names |= filter_names(condition)
    return names
