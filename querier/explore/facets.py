"""Which values does a label have most often, and how often, in all rows that a query selects?

Labels are those behind the query's stages: of the stream, of structured metadata, or of a parser.
An empty value counts as none, since no filter can tell them apart. Counts are exact: a leaf task
counts the codes of columns, and what leaf tasks counted is added value by value.
"""

from dataclasses import dataclass

from logql.ast import LogQuery
from querier.budget import Budget
from querier.executors.leaf import Executor, Leaf, planned_context
from querier.explore.value_counts import Counted, ValueCounts, counted, most_frequent
from querier.plan.build import tally_plan
from querier.plan.rewrites.order import rewritten
from querier.plan.tasks import line_bytes, plan_tasks
from querier.reading.view import View
from querier.result import QueryStats
from querier.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """The values of one label; the counts of `top`, `other` and `missing` are all rows."""

    name: str
    top: tuple[tuple[str, int], ...]  # most frequent first, then by value
    distinct: int
    other: int  # rows with a value that is not shown
    missing: int  # rows without a value


@dataclass(frozen=True, slots=True)
class FacetsPartial:
    """What a leaf task counted, in the order of the names."""

    found: tuple[Counted, ...]
    rows: int
    stats: QueryStats
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True, kw_only=True)
class CountValues:
    """The values of some labels in the rows of a leaf."""

    names: tuple[str, ...]

    def run(self, leaf: Leaf) -> FacetsPartial:
        """The counts; no Python value per row or value."""
        account = leaf.budget.account()
        counts, rows = [ValueCounts(account) for _ in self.names], 0
        for frame in leaf.frames():
            rows += len(frame)
            for name, known in zip(self.names, counts, strict=True):
                leaf.budget.check()
                known.add(counted(frame.shown(name)))
        leaf.stats.lines_after_filter += rows
        found = tuple(known.whole() for known in counts)
        return FacetsPartial(found, rows, leaf.stats, account.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetsAsked:
    """Of which labels; `time_range` is `[start, end)` in ns, `limit` of the values of each."""

    names: tuple[str, ...]
    limit: int
    time_range: tuple[int, int]
    rules: Rules


def facets_of(
    view: View, query: LogQuery, asked: FacetsAsked, budget: Budget, executor: Executor
) -> list[Facet]:
    """A facet of each name, in their order."""
    plan, _ = rewritten(tally_plan(query, frozenset(asked.names), asked.time_range), asked.rules)
    compute, stats = CountValues(names=asked.names), QueryStats()
    tasks = plan_tasks(view, plan.scan, compute, budget.allowance(), stats, whole=True)
    budget.read(line_bytes(tasks.specs))
    with budget.account() as account:
        counts, rows = [ValueCounts(account) for _ in asked.names], 0
        for partial in executor.leaves(tasks.specs, planned_context(budget, plan.scan, tasks)):
            rows += partial.rows
            for known, found in zip(counts, partial.found, strict=True):
                known.add(found)
            budget.release(partial.charged)
        named = zip(asked.names, counts, strict=True)
        return [_facet(name, known.whole(), rows, asked.limit) for name, known in named]


def _facet(name: str, found: Counted, rows: int, limit: int) -> Facet:
    top = most_frequent(found, limit)
    valued = int(found.counts.sum())
    return Facet(
        name=name,
        top=tuple((value.decode("utf-8", "surrogateescape"), count) for value, count in top),
        distinct=len(found),
        other=valued - sum(count for _, count in top),
        missing=rows - valued,
    )
