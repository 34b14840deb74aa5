"""How was a selector of a query read? Gathered behind the read, for `explain`.

Figures come from `QueryStats`; only what the view lists is counted here. A source in which no
stream or no time fits is pruned without having been opened further than its stream table.
"""

from collections.abc import Sequence

from querier.reading.view import View
from querier.result import QueryStats, Read, SourceCount
from storage.scan import LogSource


def read_of(
    query: str,
    stages: tuple[str, ...],
    fetch_stages: tuple[str, ...],
    view: View,
    stats: QueryStats,
) -> Read:
    """What was listed, and what `stats` say of it."""
    tables = [source.table for source in (*view.listed.heads, *view.listed.blocks)]
    return Read(
        query=query,
        stages=stages,
        fetch_stages=fetch_stages,
        heads=_count(view.listed.heads, stats),
        blocks=_count(view.listed.blocks, stats),
        rows=sum(int(table.rows.sum()) for table in tables),
        bytes=sum(int(table.line_bytes.sum()) for table in tables),
        stats=stats,
    )


def _count(sources: Sequence[LogSource], stats: QueryStats) -> SourceCount:
    return SourceCount(len(sources), sum(s.source_id in stats.sources_read for s in sources))
