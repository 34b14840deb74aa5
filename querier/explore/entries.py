"""How are the entries of a selector asked for, where no stage looks at them?"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from logql.ast import Selector
from narfi.core.matchers import Matcher
from querier.executors.leaf import Compute, Executor, LeafContext, run_leaf
from querier.operators.base import Demand
from querier.plan.nodes import Scan
from querier.plan.spec import LeafSpec
from querier.reading.view import SourceView
from storage.scan import Columns

P = TypeVar("P")

FEW_ROWS = 1 << 22
"""What stream tables and timestamps tell of so many costs less than to hand it to other threads."""
NOTHING = Demand(frozenset(), errors=False)


def entries_scan(
    matchers: Sequence[Matcher], time_range: tuple[int, int], columns: Columns
) -> Scan:
    """The entries of the streams of a selector in `[start, end)` ns, as they are stored."""
    return Scan(
        selector=Selector(tuple(matchers)),
        time_range=time_range,
        stages=(),
        demand=NOTHING,
        columns=columns,
        typed=True,
    )


def source_leaves(
    executor: Executor,
    specs: Sequence[LeafSpec[Compute[P]]],
    views: Sequence[SourceView],
    context: LeafContext,
) -> Iterator[P]:
    """Partials of tasks that look at whole sources; on this thread where they read little."""
    rows = sum(view.source.table.count_rows(view.streams) for view in views)
    if rows > FEW_ROWS or any(len(view.excluded) for view in views):
        return executor.leaves(specs, context)
    return _here(specs, context)


def _here(specs: Iterable[LeafSpec[Compute[P]]], context: LeafContext) -> Iterator[P]:
    for spec in specs:
        context.budget.check()
        yield run_leaf(spec, context)
