"""How is a log query answered? Find the newest (or oldest) `limit` rows, then decode only those.

First pass: the shortest prefix of the pipeline that can drop rows, with only the labels that its
filters read, over row groups in time order, until none can hold a better row. Second pass: the
whole pipeline over the chosen rows. Invariant: the answer equals that of the whole pipeline over
everything, sorted and cut (reference/logql.md §13).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from logql.ast import LogQuery
from narfi.core.clock import MAX_TIME_NS, MIN_TIME_NS
from narfi.core.columns import I64
from querier.budget import Budget
from querier.executors.leaf import Compute, Executor, planned_context, run_leaf
from querier.executors.local import on_the_spot
from querier.logs.candidates import (
    CANDIDATE_BYTES,
    Candidates,
    joined,
    merge,
    no_candidates,
    spaced,
)
from querier.logs.entries import EntryRows
from querier.logs.leaves import Fetched, FetchRows, FindEnds, FindRows, Found
from querier.logs.settling import Settling
from querier.logs.streams import StreamsBuilder
from querier.plan.build import log_plan
from querier.plan.explain import TOLD_BY_THE_PLAN, read_of
from querier.plan.nodes import Choose, ChooseEnds
from querier.plan.rewrites.order import rewritten
from querier.plan.spec import LeafSpec, Rows
from querier.plan.tasks import line_bytes, plan_tasks, source_tasks
from querier.query import Direction, QueryOptions
from querier.reading.view import SourceView, View
from querier.result import Phase, QueryStats, Read, StreamsResult
from querier.rules import Rule

P = TypeVar("P")

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
        self._plan, self._changed = rewritten(log_plan(query, options), options.rules)

    def run(self, stats: QueryStats) -> StreamsResult:
        """The answer; `stats` is added to."""
        chosen = self._chosen(stats)
        with stats.timed(Phase.FETCH):
            return self._built(chosen, stats, self._options.budget).build()

    def explain(self, stats: QueryStats) -> Read:
        """How it was read, behind `run`."""
        return read_of(self._query, self._plan, self._view, stats)

    def over_rows(self, compute: Callable[[Rows], Compute[P]], stats: QueryStats) -> Iterator[P]:
        """What is computed of the rows of the answer, put through the whole pipeline."""
        for partial, _, _ in self._each(self._chosen(stats), compute, self._options.budget):
            yield partial

    def runs(self, at_least: int, stats: QueryStats) -> Iterator[Candidates]:
        """The rows of the answer in its order, so many at once while others are looked for."""
        stats.rules |= self._changed & TOLD_BY_THE_PLAN
        rows = self._plan.rows
        if isinstance(rows, Choose):
            return self._of_choose(rows, at_least, stats)
        return self._of_ends(rows, at_least, stats)

    def rows(self, chosen: Candidates, stats: QueryStats, budget: Budget) -> EntryRows:
        """Chosen rows through the whole pipeline, in their order; charged to the budget."""
        return self._built(chosen, stats, budget).rows()

    def _chosen(self, stats: QueryStats) -> Candidates:
        """The rows of the answer in the order of the answer."""
        runs = list(self.runs(self._options.limit, stats))
        return runs[0] if len(runs) == 1 else joined([no_candidates(), *runs])

    def _built(self, chosen: Candidates, stats: QueryStats, budget: Budget) -> StreamsBuilder:
        """The chosen rows, put through the whole pipeline."""
        categorized = self._options.categorize_labels
        builder = StreamsBuilder(categorized=categorized)
        found: Iterator[tuple[Fetched, I64, I64]] = self._each(
            chosen, lambda rows: FetchRows(rows=rows, categorized=categorized), budget
        )
        for fetched, rows, places in found:
            stats.add(fetched.stats)
            builder.merge(fetched.entries, rows, places)
        stats.entries_returned += builder.entries
        stats.bytes_returned += builder.bytes
        return builder

    def _each(
        self, chosen: Candidates, compute: Callable[[Rows], Compute[P]], budget: Budget
    ) -> Iterator[tuple[P, I64, I64]]:
        """What is computed of runs of the chosen rows, with their numbers and their places."""
        scan = self._plan.scan
        asked = np.unique(chosen.source).tolist()  # mostly few of all
        views = [view for view in self._view.sources if view.order in asked]
        tasks = source_tasks(views, scan, None, budget.allowance())
        context = planned_context(budget, scan, tasks)
        specs: list[LeafSpec[Compute[P]]] = []
        rows: list[I64] = []  # of each task
        places: list[I64] = []  # in the answer
        for spec, source in zip(tasks.specs, views, strict=True):
            mine = np.flatnonzero(chosen.source == source.order)
            ascending = mine[np.argsort(chosen.row[mine], kind="stable")]
            for some, size in _by_size(source, chosen.row[ascending]):
                places.append(ascending[some])
                rows.append(chosen.row[ascending[some]])
                specs.append(spec.computing(compute(Rows(rows[-1])), line_bytes=size))
        partials: Iterator[P] = self._executor.leaves(specs, context)
        yield from zip(partials, rows, places, strict=True)

    def _of_choose(self, choose: Choose, at_least: int, stats: QueryStats) -> Iterator[Candidates]:
        """The rows of the answer in runs, in the order of the answer.

        Of a text that is common the first task has them all, so no other begins before it ends.
        """
        interval_ns, limit, backward = choose.interval_ns, choose.limit, choose.backward
        budget = self._options.budget
        find = FindRows(limit=None if interval_ns else limit, backward=backward)
        with stats.timed(Phase.PLAN):
            allowance = budget.allowance()
            tasks = plan_tasks(self._view, choose.scan, find, allowance, stats, whole=False)
            budget.read(line_bytes(tasks.specs))
            tasks.specs.sort(key=lambda t: -t.max_ts if backward else t.min_ts)
        context = planned_context(budget, choose.scan, tasks)
        if interval_ns:
            with stats.timed(Phase.SCAN):
                every = self._all(self._executor.leaves(tasks.specs, context), stats)
            yield spaced(every, interval_ns, limit, backward=backward)
            return
        ahead = 1 if choose.stop_early else 0
        partials: Iterator[Found] = itertools.chain.from_iterable(
            self._executor.leaves(some, context)
            for some in (tasks.specs[:ahead], tasks.specs[ahead:])
        )
        yield from self._settled(choose, tasks.specs, partials, at_least, stats)

    def _of_ends(self, ends: ChooseEnds, at_least: int, stats: QueryStats) -> Iterator[Candidates]:
        """As `_of_choose` when no stage drops any row: the ends of each stream's rows."""
        budget = self._options.budget
        find = FindEnds(limit=ends.limit, backward=ends.backward)
        tasks = source_tasks(self._view.sources, ends.scan, find, budget.allowance())
        specs = sorted(tasks.specs, key=lambda t: -t.max_ts if ends.backward else t.min_ts)
        context = planned_context(budget, ends.scan, tasks)
        partials: Iterator[Found] = on_the_spot(lambda spec: run_leaf(spec, context), specs, budget)
        yield from self._settled(ends, specs, partials, at_least, stats)

    def _settled(
        self,
        choose: Choose | ChooseEnds,
        specs: Sequence[LeafSpec[object]],
        partials: Iterator[Found],
        at_least: int,
        stats: QueryStats,
    ) -> Iterator[Candidates]:
        """The best rows of all tasks; tasks that cannot hold a better row are left out."""
        with self._options.budget.account() as account:
            found = Settling(choose.limit, at_least, account, backward=choose.backward)
            for done in range(1, len(specs) + 1):
                with stats.timed(Phase.SCAN):
                    partial = next(partials)
                    stats.add(partial.stats)
                    found.add(partial.candidates)
                    edge = self._edge(choose, specs, done)
                    run = found.take(edge)
                if len(run):
                    yield run
                if not found.left:
                    if done < len(specs):
                        stats.rules.add(Rule.EARLY_STOP)
                    return

    @staticmethod
    def _edge(
        choose: Choose | ChooseEnds, specs: Sequence[LeafSpec[object]], done: int
    ) -> int | None:
        """The time of the best row that a task which is left may hold; None: none is left."""
        if done == len(specs):
            return None
        if not choose.stop_early:  # then nothing leaves before all is found
            return MAX_TIME_NS if choose.backward else MIN_TIME_NS
        return specs[done].max_ts if choose.backward else specs[done].min_ts

    def _all(self, partials: Iterator[Found], stats: QueryStats) -> Candidates:
        """All rows of all tasks, which stay charged until the query ends."""
        parts = [no_candidates()]
        for found in partials:
            stats.add(found.stats)
            self._options.budget.charge(len(found.candidates) * CANDIDATE_BYTES)
            parts.append(found.candidates)
        return merge(parts, None, backward=self._backward)


def runs_by_size(view: View, rows: Candidates, most_bytes: int) -> Iterator[Candidates]:
    """Rows in runs of about so many bytes of lines, by the mean of their streams."""
    sizes = np.ones(len(rows), np.int64)
    for source in view.sources:
        mine = np.flatnonzero(rows.source == source.order)
        if len(mine):
            sizes[mine] = _mean_sizes(source, rows.row[mine])
    before = np.cumsum(sizes)
    edges = [0, *(np.flatnonzero(np.diff(before // most_bytes)) + 1).tolist(), len(rows)]
    for first, end in itertools.pairwise(edges):
        if end > first:
            yield rows.take(np.arange(first, end))


def _mean_sizes(source: SourceView, rows: I64) -> I64:
    """Line bytes of rows, about."""
    table = source.source.table
    owner = np.searchsorted(table.first_row, rows, side="right") - 1
    sizes: I64 = table.line_bytes[owner] // np.maximum(table.rows[owner], 1)
    return sizes


def _by_size(source: SourceView, rows: I64) -> Iterator[tuple[slice, int]]:
    """Runs of rows of about `FETCH_BYTES` of lines each, by the mean of their streams."""
    before = np.cumsum(_mean_sizes(source, rows))
    edges = [0, *(np.flatnonzero(np.diff(before // FETCH_BYTES)) + 1).tolist(), len(rows)]
    for first, end in itertools.pairwise(edges):
        yield slice(first, end), int(before[end - 1] - (before[first - 1] if first else 0))
