"""What is the plan of a query before any shortcut is taken? Everything is read, every stage runs.

Only the order of stages, and stages of which nothing can be seen, are settled here; the rest is
left to rewrites.
"""

from logql import ast
from querier.operators import reads
from querier.operators.base import Demand
from querier.operators.frame import ERROR
from querier.operators.order import run_order
from querier.operators.pipeline import run_stages
from querier.plan.nodes import Aggregate, Choose, Fetch, Scan, Tally
from querier.query import Direction, QueryOptions

BYTE_FUNCTIONS = frozenset(("bytes_over_time", "bytes_rate"))


def log_plan(query: ast.LogQuery, options: QueryOptions) -> Fetch:
    """A log query: the first rows in the order of the answer, with everything that they show."""
    scan = _scan(query, search_range(options), Demand())
    choose = Choose(
        scan=scan,
        limit=options.limit,
        backward=options.direction is Direction.BACKWARD,
        interval_ns=options.interval_ns,
    )
    return Fetch(rows=choose, scan=scan)


def range_plan(
    expr: ast.RangeAggregation, by: ast.Grouping, time_range: tuple[int, int]
) -> Aggregate:
    """A range aggregation whose series are named by some labels."""
    return Aggregate(
        scan=_scan(expr.log_range.query, time_range, demand_of(expr, by)), expr=expr, by=by
    )


def tally_plan(query: ast.LogQuery, demand: Demand, time_range: tuple[int, int]) -> Tally:
    """All rows, to be counted by what is demanded of them."""
    return Tally(scan=_scan(query, time_range, demand))


def values_of(names: frozenset[str]) -> Demand:
    """For the values of labels; rows with errors count as others do."""
    return Demand(names, errors=ERROR in names, lines=False)


def demand_of(expr: ast.RangeAggregation, by: ast.Grouping) -> Demand:
    """What is looked at behind the stages: the key, the unwrapped label, its filters."""
    lines = expr.op in BYTE_FUNCTIONS
    if by.without:
        return Demand(None, errors=False, lines=lines)
    names = set(by.labels)
    errors = False
    unwrap = expr.log_range.unwrap
    if unwrap is not None:
        names |= unwrap_reads(unwrap)
        errors = any(map(reads.looks_at_errors, unwrap.post_filters))
    return Demand(frozenset(names), errors=errors, lines=lines)


def looks_at_errors(plan: Aggregate) -> bool:
    """Whether the query names `__error__`, in whatever stage: then rows that no parser understood
    do not fail it (reference/logql.md §9.1)."""
    stages = run_order(plan.expr.log_range.query.stages)
    labels = reads.demand_in_front(stages, demand_of(plan.expr, plan.by)).labels
    return labels is not None and ERROR in labels


def unwrap_reads(unwrap: ast.Unwrap) -> set[str]:
    """Labels that an unwrap and its filters look at."""
    names = {unwrap.label}
    for condition in unwrap.post_filters:
        names |= reads.filter_names(condition)
    return names


def search_range(options: QueryOptions) -> tuple[int, int]:
    """`[start, end)`; an empty range still holds its instant, as the recorded server has it."""
    return options.start_ns, max(options.end_ns, options.start_ns + 1)


def _scan(query: ast.LogQuery, time_range: tuple[int, int], demand: Demand) -> Scan:
    return Scan(
        selector=query.selector,
        time_range=time_range,
        stages=run_stages(query.stages, demand),
        demand=demand,
    )
