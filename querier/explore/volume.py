"""How many bytes are there, by label? Line bytes of streams, in one or many buckets (§4.5).

Leaf tasks add up sources (volume_leaves.py); their groups are added up here. What is there twice
counts once.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from narfi.core.columns import I64
from narfi.core.matchers import Matcher
from querier.budget import Budget
from querier.executors.leaf import Executor, planned_context
from querier.explore.entries import entries_scan, source_leaves
from querier.explore.volume_leaves import (
    F64,
    NOTHING,
    Edges,
    SumEntries,
    SumStreams,
    VolumeOptions,
    VolumesPartial,
    VolumeTotals,
    lacking_streams,
)
from querier.plan.tasks import plan_tasks, source_tasks
from querier.reading.kept_sizes import ExcludedSizes
from querier.reading.view import SourceView, View
from querier.result import LabelPairs, QueryStats
from storage.scan import Columns


@dataclass(frozen=True, slots=True)
class Volume:
    """Bytes of one group in each bucket."""

    labels: LabelPairs
    bytes: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeQuestion:
    """What is counted: streams of the matchers in buckets `edges[k] <= ts < edges[k + 1]` ns."""

    matchers: tuple[Matcher, ...]
    edges: I64
    options: VolumeOptions


def volume_groups(
    matchers: Sequence[Matcher], targets: Sequence[str], by_name: bool
) -> VolumeOptions:
    """The labels of the matchers, or the target labels; a selector without matchers takes all."""
    if targets:
        wanted, named = frozenset(targets), {matcher.name for matcher in matchers}
        required = frozenset() if by_name else wanted - named
        return VolumeOptions(tuple(targets), by_name, wanted, required)
    if by_name or not matchers:
        return VolumeOptions(None, by_name)
    return VolumeOptions(tuple(dict.fromkeys(m.name for m in matchers)), by_name)


def volumes(
    view: View,
    asked: VolumeQuestion,
    budget: Budget,
    executor: Executor,
    known: ExcludedSizes | None = None,
) -> list[Volume]:
    """Bytes by group and bucket, largest first; they stay charged until the request ends."""
    edges, options = Edges(asked.edges), asked.options
    bounds = int(asked.edges[0]), int(asked.edges[-1])
    allowance = budget.allowance()
    streams = entries_scan(asked.matchers, bounds, NOTHING)
    entries = entries_scan(asked.matchers, bounds, Columns(metadata=options.targets))
    tables = source_tasks(view.sources, streams, SumStreams(edges, options), allowance)
    lacking = View(tuple(found for source in view.sources for found in _lacking(source, options)))
    rows = plan_tasks(
        lacking, entries, SumEntries(edges, options), allowance, QueryStats(), whole=True
    )
    found: Iterator[VolumesPartial] = itertools.chain(
        source_leaves(
            executor, tables.specs, view.sources, planned_context(budget, streams, tables, known)
        ),
        executor.leaves(rows.specs, planned_context(budget, entries, rows)),
    )
    totals = VolumeTotals(budget.account(), edges.buckets)
    for part in found:
        totals.merge(part)
        budget.release(part.charged)
    every = [Volume(labels, size) for labels, size in totals.groups().items() if size.sum() > 0]
    return sorted(every, key=lambda v: (-float(v.bytes.sum()), v.labels))


def _lacking(view: SourceView, options: VolumeOptions) -> Iterator[SourceView]:
    """The source, where some of its selected streams lack a label that metadata may say."""
    lacking = lacking_streams(view.source, options)
    if lacking is not None and (lacking & view.streams).any():
        yield view
