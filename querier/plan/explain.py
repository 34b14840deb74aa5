"""How was a selector of a query read? Gathered behind the read, for `explain`.

Figures come from `QueryStats`; only what the view lists is counted here. A source in which no
stream or no time fits is pruned without having been opened further than its stream table.
"""

from collections.abc import Sequence

from logql.ast import LogQuery
from logql.format import format_query, format_stage, format_unwrap
from querier.plan.nodes import Aggregate, Fetch, Plan, searched
from querier.plan.printed import aggregate_line, plan_lines
from querier.reading.view import View
from querier.result import QueryStats, Read, SourceCount
from querier.rules import Rule
from storage.scan import LogSource

TOLD_BY_THE_PLAN = frozenset(
    (
        Rule.LITERAL_PRUNING,
        Rule.UNREAD_LINES,
        Rule.UNREAD_METADATA,
        Rule.SEARCH_PREFIX,
        Rule.STREAM_ENDS,
    )
)
"""Rules that made a difference where they changed the plan; of others the sources decide."""


def read_of(query: LogQuery, plan: Plan, view: View, stats: QueryStats) -> Read:
    """What was listed, and what `stats` say of it."""
    fetched = plan.scan.stages if isinstance(plan, Fetch) else ()
    fetch_stages = tuple(map(format_stage, fetched))
    tables = [source.table for source in (*view.listed.heads, *view.listed.blocks)]
    return Read(
        query=format_query(query),
        plan=plan_lines(plan),
        stages=_stages(plan),
        fetch_stages=fetch_stages,
        heads=_count(view.listed.heads, stats),
        blocks=_count(view.listed.blocks, stats),
        rows=sum(int(table.rows.sum()) for table in tables),
        bytes=sum(int(table.line_bytes.sum()) for table in tables),
        stats=stats,
    )


def _stages(plan: Plan) -> tuple[str, ...]:
    stages = tuple(map(format_stage, searched(plan).stages))
    if not isinstance(plan, Aggregate):
        return stages
    unwrap = plan.expr.log_range.unwrap
    unwrapped = () if unwrap is None else (format_unwrap(unwrap),)
    return (*stages, *unwrapped, aggregate_line(plan))


def _count(sources: Sequence[LogSource], stats: QueryStats) -> SourceCount:
    return SourceCount(len(sources), sum(s.source_id in stats.sources_read for s in sources))
