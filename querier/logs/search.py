"""How is a log query answered? Find the newest (or oldest) `limit` rows, then decode only those.

First pass: the shortest prefix of the pipeline that can drop rows, with only the labels that its
filters read, over segments in time order, until no segment can hold a better row. Second pass: the
whole pipeline over the chosen rows. Invariant: the answer equals that of the whole pipeline over
everything, sorted and cut (reference/logql.md §13).
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from logql.ast import LogQuery
from logql.format import format_query, format_stage
from narfi.core.columns import I64
from querier.executors.leaf import Executor, LeafContext, run_leaf
from querier.logs.candidates import CANDIDATE_BYTES, Candidates, merge, no_candidates, spaced
from querier.logs.leaves import Fetched, FetchRows, FindEnds, FindRows, Found
from querier.logs.streams import StreamsBuilder
from querier.operators.base import Demand
from querier.operators.pipeline import Pipeline, build_pipeline, split_for_limit
from querier.plan.explain import read_of
from querier.plan.spec import LeafSpec, Rows, ScanSpec
from querier.plan.tasks import C, Tasks, line_bytes, plan_tasks, source_tasks
from querier.query import Direction, QueryOptions
from querier.reading.view import SourceView, View
from querier.result import Phase, QueryStats, Read, StreamsResult
from querier.rules import ALL_RULES, Rule
from storage.scan import Columns

FETCH_BYTES = 8 << 20
"""Lines of an answer that are read at once, about."""


class LogSearch:
    """One log query over one view."""

    def __init__(
        self,
        query: LogQuery,
        view: View,
        options: QueryOptions,
        executor: Executor,
    ) -> None:
        self._query, self._view, self._options = query, view, options
        self._executor = executor
        self._backward = options.direction is Direction.BACKWARD
        self._search: Pipeline = split_for_limit(query.stages, options.rules)
        self._whole: Pipeline = build_pipeline(query.stages, Demand(), options.rules)

    def run(self, stats: QueryStats) -> StreamsResult:
        """The answer; `stats` is added to."""
        if self._search.reads is not None:  # it shows fewer labels than the whole pipeline
            stats.rules.add(Rule.SEARCH_PREFIX)
        chosen = self._choose(stats)
        with stats.timed(Phase.FETCH):
            return self._fetch(chosen, stats)

    def explain(self, stats: QueryStats) -> Read:
        """How it was read, behind `run`."""
        stages = tuple(map(format_stage, self._search.stages))
        fetch_stages = tuple(map(format_stage, self._whole.stages))
        return read_of(format_query(self._query), stages, fetch_stages, self._view, stats)

    def _fetch(self, chosen: Candidates, stats: QueryStats) -> StreamsResult:
        """The chosen rows, put through the whole pipeline."""
        options, budget = self._options, self._options.budget
        scan = self._scan_spec(self._query, Demand(), Columns())
        builder = StreamsBuilder(categorized=options.categorize_labels)
        position = np.arange(len(chosen))
        for order, source in enumerate(self._view.sources):
            mine = np.flatnonzero(chosen.source == order)
            ascending = mine[np.argsort(chosen.row[mine], kind="stable")]
            for some in _by_size(source, chosen.row[ascending]):
                budget.check()
                places, rows = position[ascending[some]], chosen.row[ascending[some]]
                fetch = FetchRows(rows=Rows(rows), categorized=options.categorize_labels)
                tasks = source_tasks([source], scan, fetch, budget.allowance())
                context = self._context(scan, self._whole, tasks)
                found: Fetched = run_leaf(tasks.specs[0], context)
                stats.add(found.stats)
                where = dict(zip(rows.tolist(), places.tolist(), strict=True))
                builder.merge(found.entries, where)
        result = builder.build()
        stats.entries_returned += builder.entries
        stats.bytes_returned += builder.bytes
        return result

    def _scan_spec(self, query: LogQuery, demand: Demand, columns: Columns) -> ScanSpec:
        return ScanSpec(
            query=format_query(query),
            time_range=search_range(self._options),
            demand=demand,
            columns=columns,
            plain=self._search.plain_lines,
            rules_off=tuple(sorted(ALL_RULES - self._options.rules)),
        )

    def _context(self, scan: ScanSpec, pipeline: Pipeline, tasks: Tasks[C]) -> LeafContext:
        """How leaf tasks run in this process: what was opened for planning is open."""
        context = LeafContext(self._options.budget, lambda spec: tasks.opened[spec.source.order])
        context.prepare(scan, pipeline)
        return context

    def _choose(self, stats: QueryStats) -> Candidates:
        """The rows of the answer in the order of the answer."""
        options = self._options
        names = self._search.metadata_names
        columns = Columns(lines=self._search.needs_lines, metadata=True if names is None else names)
        prefix = LogQuery(self._query.selector, self._search.stages)
        scan = self._scan_spec(prefix, self._search.demand, columns)
        ends = Rule.STREAM_ENDS in options.rules and not self._search.operators
        if ends and not options.interval_ns:
            with stats.timed(Phase.SCAN):
                return self._edges(scan, stats)
        limit = None if options.interval_ns else options.limit
        find = FindRows(limit=limit, backward=self._backward)
        with stats.timed(Phase.PLAN):
            allowance = options.budget.allowance()
            tasks = plan_tasks(self._view, scan, self._search, find, allowance, stats, whole=False)
            options.budget.read(line_bytes(tasks.specs))
            tasks.specs.sort(key=lambda t: -t.max_ts if self._backward else t.min_ts)
        with stats.timed(Phase.SCAN):
            best = self._scan(scan, tasks, stats)
        if options.interval_ns:
            best = spaced(best, options.interval_ns, options.limit, backward=self._backward)
        return best

    def _scan(self, scan: ScanSpec, tasks: Tasks[FindRows], stats: QueryStats) -> Candidates:
        """The best rows of all tasks; tasks that cannot hold a better row are left out."""
        options, specs = self._options, tasks.specs
        context = self._context(scan, self._search, tasks)
        partials: Iterator[Found] = self._executor.leaves(specs, context)
        if options.interval_ns:
            return self._all(partials, stats)
        best = no_candidates()
        for index, found in enumerate(partials):
            stats.add(found.stats)
            best = merge([best, found.candidates], options.limit, backward=self._backward)
            stop = Rule.EARLY_STOP in options.rules
            if stop and self._settled(best, specs, index + 1, options.limit):
                if index + 1 < len(specs):
                    stats.rules.add(Rule.EARLY_STOP)
                break
        return best

    def _all(self, partials: Iterator[Found], stats: QueryStats) -> Candidates:
        """All rows of all tasks, which stay charged until the query ends."""
        parts = [no_candidates()]
        for found in partials:
            stats.add(found.stats)
            self._options.budget.charge(len(found.candidates) * CANDIDATE_BYTES)
            parts.append(found.candidates)
        return merge(parts, None, backward=self._backward)

    def _edges(self, scan: ScanSpec, stats: QueryStats) -> Candidates:
        """The newest (oldest) rows when no stage drops any: the ends of each stream's rows.

        Sources are asked in time order, until none can hold a better row.
        """
        wanted, budget = self._options.limit, self._options.budget
        stats.rules.add(Rule.STREAM_ENDS)
        find = FindEnds(limit=wanted, backward=self._backward)
        tasks = source_tasks(self._view.sources, scan, find, budget.allowance())
        specs = sorted(tasks.specs, key=lambda t: -t.max_ts if self._backward else t.min_ts)
        context = self._context(scan, self._search, tasks)
        best = no_candidates()
        for index, spec in enumerate(specs):
            budget.check()
            if self._settled(best, specs, index, wanted):
                stats.rules.add(Rule.EARLY_STOP)
                break
            found: Found = run_leaf(spec, context)
            stats.add(found.stats)
            best = merge([best, found.candidates], wanted, backward=self._backward)
        return best

    def _settled(
        self, best: Candidates, specs: Sequence[LeafSpec[object]], done: int, wanted: int
    ) -> bool:
        """Whether no task that is left can hold a row that belongs before the last chosen one."""
        if done >= len(specs):
            return True
        if len(best) < wanted:
            return False
        worst = int(best.ts[-1])
        rest = specs[done]
        return rest.max_ts < worst if self._backward else rest.min_ts > worst


def search_range(options: QueryOptions) -> tuple[int, int]:
    """`[start, end)`; an empty range still holds its instant, as the recorded server has it."""
    return options.start_ns, max(options.end_ns, options.start_ns + 1)


def _by_size(source: SourceView, rows: I64) -> Iterator[slice]:
    """Runs of rows of about `FETCH_BYTES` of lines each, by the mean of their streams."""
    table = source.source.table
    owner = np.searchsorted(table.first_row, rows, side="right") - 1
    sizes = table.line_bytes[owner] // np.maximum(table.rows[owner], 1)
    group = np.cumsum(sizes) // FETCH_BYTES
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(rows)]
    yield from itertools.starmap(slice, itertools.pairwise(edges))
