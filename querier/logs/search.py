"""How is a log query answered? Find the newest (or oldest) `limit` rows, then decode only those.

First pass: the shortest prefix of the pipeline that can drop rows, with only the labels that its
filters read, over row groups in time order, until none can hold a better row. Second pass: the
whole pipeline over the chosen rows. Invariant: the answer equals that of the whole pipeline over
everything, sorted and cut (reference/logql.md §13).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from logql.ast import LogQuery
from narfi.core.columns import I64
from querier.executors.leaf import Compute, Executor, planned_context, run_leaf
from querier.logs.candidates import CANDIDATE_BYTES, Candidates, merge, no_candidates, spaced
from querier.logs.leaves import Fetched, FetchRows, FindEnds, FindRows, Found
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
            return self._fetch(chosen, stats)

    def explain(self, stats: QueryStats) -> Read:
        """How it was read, behind `run`."""
        return read_of(self._query, self._plan, self._view, stats)

    def over_rows(self, compute: Callable[[Rows], Compute[P]], stats: QueryStats) -> Iterator[P]:
        """What is computed of the rows of the answer, put through the whole pipeline."""
        for partial, _, _ in self._each(self._chosen(stats), compute):
            yield partial

    def _chosen(self, stats: QueryStats) -> Candidates:
        """The rows of the answer in the order of the answer."""
        stats.rules |= self._changed & TOLD_BY_THE_PLAN
        rows = self._plan.rows
        return self._choose(rows, stats) if isinstance(rows, Choose) else self._ends(rows, stats)

    def _fetch(self, chosen: Candidates, stats: QueryStats) -> StreamsResult:
        """The chosen rows, put through the whole pipeline."""
        categorized = self._options.categorize_labels
        builder = StreamsBuilder(categorized=categorized)
        found: Iterator[tuple[Fetched, I64, I64]] = self._each(
            chosen, lambda rows: FetchRows(rows=rows, categorized=categorized)
        )
        for fetched, rows, places in found:
            stats.add(fetched.stats)
            builder.merge(fetched.entries, rows, places)
        result = builder.build()
        stats.entries_returned += builder.entries
        stats.bytes_returned += builder.bytes
        return result

    def _each(
        self, chosen: Candidates, compute: Callable[[Rows], Compute[P]]
    ) -> Iterator[tuple[P, I64, I64]]:
        """What is computed of runs of the chosen rows, with their numbers and their places."""
        budget, scan = self._options.budget, self._plan.scan
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
                specs.append(replace(spec.computing(compute(Rows(rows[-1]))), line_bytes=size))
        partials: Iterator[P] = self._executor.leaves(specs, context)
        yield from zip(partials, rows, places, strict=True)

    def _choose(self, choose: Choose, stats: QueryStats) -> Candidates:
        """The rows of the answer in the order of the answer.

        Of a text that is common the first task has them all, so no other begins before it ends.
        """
        partials: Iterator[Found]
        interval_ns, limit, backward = choose.interval_ns, choose.limit, choose.backward
        budget = self._options.budget
        find = FindRows(limit=None if interval_ns else limit, backward=backward)
        with stats.timed(Phase.PLAN):
            allowance = budget.allowance()
            tasks = plan_tasks(self._view, choose.scan, find, allowance, stats, whole=False)
            budget.read(line_bytes(tasks.specs))
            tasks.specs.sort(key=lambda t: -t.max_ts if backward else t.min_ts)
        with stats.timed(Phase.SCAN):
            context = planned_context(budget, choose.scan, tasks)
            if not interval_ns:
                ahead = 1 if choose.stop_early else 0
                partials = itertools.chain.from_iterable(
                    self._executor.leaves(some, context)
                    for some in (tasks.specs[:ahead], tasks.specs[ahead:])
                )
                return self._best(choose, tasks.specs, partials, stats)
            partials = self._executor.leaves(tasks.specs, context)
            return spaced(self._all(partials, stats), interval_ns, limit, backward=backward)

    def _best(
        self,
        choose: Choose,
        specs: Sequence[LeafSpec[object]],
        partials: Iterator[Found],
        stats: QueryStats,
    ) -> Candidates:
        """The best rows of all tasks; tasks that cannot hold a better row are left out."""
        best = no_candidates()
        for index, found in enumerate(partials):
            stats.add(found.stats)
            best = merge([best, found.candidates], choose.limit, backward=choose.backward)
            if choose.stop_early and self._settled(best, specs, index + 1, choose.limit):
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

    def _ends(self, ends: ChooseEnds, stats: QueryStats) -> Candidates:
        """The newest (oldest) rows when no stage drops any: the ends of each stream's rows.

        Sources are asked in time order, until none can hold a better row.
        """
        budget = self._options.budget
        best = no_candidates()
        with stats.timed(Phase.SCAN):
            find = FindEnds(limit=ends.limit, backward=ends.backward)
            tasks = source_tasks(self._view.sources, ends.scan, find, budget.allowance())
            specs = sorted(tasks.specs, key=lambda t: -t.max_ts if ends.backward else t.min_ts)
            context = planned_context(budget, ends.scan, tasks)
            for index, spec in enumerate(specs):
                budget.check()
                if ends.stop_early and self._settled(best, specs, index, ends.limit):
                    stats.rules.add(Rule.EARLY_STOP)
                    break
                found: Found = run_leaf(spec, context)
                stats.add(found.stats)
                best = merge([best, found.candidates], ends.limit, backward=ends.backward)
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


def _by_size(source: SourceView, rows: I64) -> Iterator[tuple[slice, int]]:
    """Runs of rows of about `FETCH_BYTES` of lines each, by the mean of their streams."""
    table = source.source.table
    owner = np.searchsorted(table.first_row, rows, side="right") - 1
    before = np.cumsum(table.line_bytes[owner] // np.maximum(table.rows[owner], 1))
    edges = [0, *(np.flatnonzero(np.diff(before // FETCH_BYTES)) + 1).tolist(), len(rows)]
    for first, end in itertools.pairwise(edges):
        yield slice(first, end), int(before[end - 1] - (before[first - 1] if first else 0))
