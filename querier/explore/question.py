"""What does an exploring request ask of, and how are its rows read? A log query over a time range.

Histograms, facets, fields and distributions count rows of a query, each by leaf tasks of its own
kind; here is what they share. A request may read several queries that differ in stages or matchers:
all of them see the same heads and blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from logql.ast import LogQuery
from narfi.core.limits import Limits
from querier.budget import Budget
from querier.executors.leaf import Compute, Executor
from querier.explore.kept_partials import Charged, KeptPartials
from querier.operators.base import Demand
from querier.operators.pipeline import needles_of
from querier.plan.build import tally_plan
from querier.plan.nodes import Scan
from querier.plan.rewrites.order import rewritten
from querier.plan.tasks import line_bytes, plan_tasks
from querier.reading.reading import Reading
from querier.reading.view import View
from querier.result import QueryStats
from querier.rules import Rule, Rules

P = TypeVar("P", bound=Charged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query that was checked, and all that it takes to read its rows; of one request."""

    query: LogQuery
    time_range: tuple[int, int]  # `[start, end)` ns
    limits: Limits
    rules: Rules
    reading: Reading
    budget: Budget
    executor: Executor
    kept: KeptPartials

    def about(self, query: LogQuery) -> "Question":
        """The same, of another query."""
        return replace(self, query=query)

    def view(self, query: LogQuery) -> View:
        """The sources of a query, without lines that its first filters drop."""
        needles = needles_of(query.stages) if Rule.LITERAL_PRUNING in self.rules else ()
        return self.reading.view(query.selector.matchers, self.time_range, needles=needles)

    def scan(self, query: LogQuery, demand: Demand) -> Scan:
        """How rows of a query are read where only so much of them is looked at."""
        return rewritten(tally_plan(query, demand, self.time_range), self.rules)[0].scan

    def partials(
        self, query: LogQuery, demand: Demand, compute: Compute[P], view: View | None = None
    ) -> Iterator[P]:
        """What is computed of all rows of a query, a partial for each leaf task, in their order.

        `view`: that of the query, where somebody took it before.
        """
        scan = self.scan(query, demand)
        sources = self.view(query) if view is None else view
        allowance = self.budget.allowance()
        tasks = plan_tasks(sources, scan, compute, allowance, QueryStats(), whole=True)
        self.budget.read(line_bytes(tasks.specs))
        yield from self.kept.partials(tasks, scan, self.budget, self.executor)
