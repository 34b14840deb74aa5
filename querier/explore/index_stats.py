"""How much does a selector cover? Exact sums over streams, entries and line bytes (§4.4).

A leaf task for each source, or for row groups of one that the range cuts (stats_leaves.py).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from narfi.core.matchers import Matcher
from querier.budget import Budget
from querier.executors.leaf import Executor, planned_context
from querier.explore.entries import entries_scan, source_leaves
from querier.explore.stats_leaves import StatsPartial, SumEntries, SumStreams
from querier.plan.nodes import Scan
from querier.plan.tasks import plan_tasks, source_tasks
from querier.reading.kept_sizes import LINES, ExcludedSizes
from querier.reading.view import SourceView, View
from querier.result import QueryStats
from storage.stream_labels import U64


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Sums over the streams of a selector; `chunks` are the sources that hold some of it."""

    streams: int
    chunks: int
    bytes: int
    entries: int


def stats_scan(matchers: Sequence[Matcher], time_range: tuple[int, int]) -> Scan:
    """The lines of the streams of a selector: their lengths count."""
    return entries_scan(matchers, time_range, LINES)


def index_stats(
    view: View,
    scan: Scan,
    budget: Budget,
    executor: Executor,
    known: ExcludedSizes | None = None,
) -> IndexStats:
    """The sums over a view of the scan's range; what is there twice counts once."""
    whole = [source for source in view.sources if _is_inside(source, scan.time_range)]
    cut = tuple(source for source in view.sources if not _is_inside(source, scan.time_range))
    allowance = budget.allowance()
    tables = source_tasks(whole, scan, SumStreams(), allowance)
    rows = plan_tasks(View(cut), scan, SumEntries(), allowance, QueryStats(), whole=True)
    found: Iterator[StatsPartial] = itertools.chain(
        source_leaves(executor, tables.specs, whole, planned_context(budget, scan, tables, known)),
        executor.leaves(rows.specs, planned_context(budget, scan, rows)),
    )
    streams: list[U64] = [np.zeros(0, np.uint64)]
    chunks: set[int] = set()
    size = entries = 0
    with budget.account() as account:
        for spec, part in zip((*tables.specs, *rows.specs), found, strict=True):
            account.charge(2 * part.streams.nbytes)  # they are put together, and sorted
            budget.release(part.charged)
            if part.entries:
                chunks.add(spec.source.order)
                streams.append(part.streams)
            entries, size = entries + part.entries, size + part.bytes
        every = np.sort(np.concatenate(streams))
        distinct = int(np.count_nonzero(every[1:] != every[:-1])) + min(len(every), 1)
    return IndexStats(distinct, len(chunks), size, entries)


def _is_inside(view: SourceView, time_range: tuple[int, int]) -> bool:
    """Whether all entries of the selected streams lie in the range."""
    start_ns, end_ns = time_range
    oldest, newest = view.source.table.reach
    if oldest >= start_ns and newest < end_ns:
        return True
    table, chosen = view.source.table, view.streams
    inside = (table.first_ts >= start_ns) & (table.last_ts < end_ns)
    return bool(inside[chosen].all())
