"""How is a leaf task run? `run_leaf(spec, context)`: rows are read, put through stages, computed.

A pure function: what it gives depends on the spec and on the source that the context opens by its
id, never on the process, the thread or what ran before. What is computed is part of the spec
(`Compute`), so a new kind of question is one new class and touches nothing here.
Invariant: a leaf gives every selected, not excluded row of its row groups exactly once.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

from logql.ast import LogQuery
from logql.parser import parse_unchecked
from narfi.core.columns import I32, I64
from narfi.core.patience import wanted_while
from querier.budget import Budget
from querier.executors.slices import Slices
from querier.operators.frame import Frame
from querier.operators.pipeline import Pipeline, prepare
from querier.plan.nodes import Scan
from querier.plan.spec import LeafSpec, ScanSpec
from querier.plan.tasks import OpenSource, Tasks, request_of
from querier.reading.kept_sizes import ExcludedSizes
from querier.reading.tenants import TenantSource
from querier.reading.view import SourceView, selected_streams
from querier.result import QueryStats
from storage.batch import LogBatch
from storage.lines.base import LineColumn
from storage.scan import Columns, LogSource, RowGroup
from storage.stream_labels import U64

P_co = TypeVar("P_co", covariant=True)
P = TypeVar("P")
C = TypeVar("C")

OpenSpec = Callable[[LeafSpec[object]], OpenSource]


class Compute(Protocol[P_co]):
    """What a leaf makes of its rows: a frozen dataclass of plain data."""

    def run(self, leaf: "Leaf") -> P_co:
        """The partial result: plain arrays and values, with the costs of the leaf.

        What it holds stays charged to the leaf's budget; the partial says how much, and who takes
        it releases that.
        """
        ...


class LeafContext:
    """What leaves need beside their specs: one for a query in a process; thread-safe."""

    def __init__(
        self,
        budget: Budget,
        open_source: OpenSpec,
        pipelines: dict[ScanSpec, Pipeline] | None = None,
        sizes: ExcludedSizes | None = None,
    ) -> None:
        """`pipelines`: those that are prepared, which are added to; `sizes`: those known before."""
        self.budget, self.open_source = budget, open_source
        self.sizes = sizes or ExcludedSizes(0)
        self._pipelines = {} if pipelines is None else pipelines

    def pipeline(self, scan: ScanSpec) -> Pipeline:
        """The stages of a scan, ready to run; prepared once."""
        found = self._pipelines.get(scan)
        if found is None:
            found = prepare(_parsed(scan.query).stages, scan.demand)
            self._pipelines[scan] = found
        return found

    def prepare(self, scan: ScanSpec, pipeline: Pipeline) -> None:
        """The stages of a scan, where they are known already."""
        self._pipelines[scan] = pipeline


def planned_context(
    budget: Budget, scan: Scan, tasks: Tasks[C], sizes: ExcludedSizes | None = None
) -> LeafContext:
    """For leaves in the process in which they were planned: sources are open, stages prepared."""
    context = LeafContext(budget, lambda spec: tasks.opened[spec.source.order], sizes=sizes)
    for spec in tasks.specs[:1]:
        context.prepare(spec.scan, prepare(scan.stages, scan.demand))
    return context


class SourceOpener:
    """Opens what specs name, in a process that did not plan the query; thread-safe.

    Streams are selected and row groups are listed once for a source and scan, as when planning;
    again for one that is not among the last `most`.
    """

    def __init__(self, source_of: Callable[[str], LogSource], most: int | None = None) -> None:
        self._source_of, self._most = source_of, most
        self._opened: dict[tuple[str, ScanSpec, bool], OpenSource] = {}

    def __call__(self, spec: LeafSpec[object]) -> OpenSource:
        """The source of a spec; raises what `source_of` raises for one that is not there."""
        key = (spec.source.source_id, spec.scan, bool(spec.row_groups))
        found = self._opened.get(key)
        if found is None:
            found = self._opened[key] = self._open(spec)
            while self._most is not None and len(self._opened) > self._most:
                del self._opened[next(iter(self._opened))]  # the first that was opened
        return found

    def _open(self, spec: LeafSpec[object]) -> OpenSource:
        named, scan = spec.source, spec.scan
        source = self._source_of(named.source_id)
        if named.tenant is not None:
            source = TenantSource(source, named.tenant)
        matchers = _parsed(scan.query).selector.matchers
        streams = selected_streams(source, scan.time_range, matchers)
        if len(named.left_out):
            streams = streams.copy()
            streams[named.left_out.numbers] = False
        view = SourceView(
            source=source,
            order=named.order,
            streams=streams,
            excluded=named.excluded.numbers,
            left_out=named.left_out.numbers,
        )
        request = request_of(view, scan)
        row_groups = source.row_groups(request) if spec.row_groups else ()
        return OpenSource(view, request, {row_group.index: row_group for row_group in row_groups})


class Leaf:
    """A leaf task that runs: its source is open, its stages are prepared."""

    def __init__(self, spec: LeafSpec[object], context: LeafContext) -> None:
        opened = context.open_source(spec)
        self.budget, self.view = context.budget, opened.view
        self.pipeline, self.sizes = context.pipeline(spec.scan), context.sizes
        self.stats = QueryStats()
        self._opened, self._spec = opened, spec

    def frames(self) -> Iterator[Frame]:
        """What comes out of the stages; a frame is paid for until the next one is asked for."""
        slices = Slices(self.pipeline, self.budget)
        for batch in self.batches():
            yield from slices.of(batch)

    def batches(self) -> Iterator[LogBatch]:
        """The rows, without those that another source has; what was read counts."""
        stats, view, opened = self.stats, self.view, self._opened
        request = opened.request.of_task(stats.reading, keep=self._spec.keep)
        stats.sources_read.add(view.source.source_id)
        for number in itertools.chain.from_iterable(
            itertools.starmap(range, self._spec.row_groups)
        ):
            if number not in opened.row_groups and request.needles:
                continue  # here more is known of its lines than where it was planned
            row_group = opened.row_groups[number]
            batch = view.kept(view.source.read(row_group, request))
            stats.row_groups += 1
            stats.lines_scanned += len(batch)
            if batch.lines is not None:
                stats.bytes_scanned += _size_of(batch.lines, row_group)
            if len(batch):
                yield batch

    def fetched(self, rows: I64, columns: Columns) -> Iterator[Frame]:
        """Rows by their numbers, put through the stages; their lines can be read."""
        batch = self.view.source.fetch(rows, columns, self.stats.reading)
        self.stats.lines_fetched += len(batch)
        self.stats.bytes_fetched += 0 if batch.lines is None else batch.lines.nbytes()
        yield from Slices(self.pipeline, self.budget, shows_lines=True).of(batch)

    def ranges(self) -> tuple[I64, I64]:
        """`[low, high)` rows of each selected stream within the time range."""
        return self.view.source.ranges(self._opened.request)

    def fingerprints(self, ordinals: I32) -> U64:
        """Which stream each row is of, in any source; few streams have many rows."""
        used, where = np.unique(ordinals, return_inverse=True)
        return self.view.source.table.fingerprints(used)[where]


def run_leaf(spec: LeafSpec[Compute[P]], context: LeafContext) -> P:
    """The partial result of a leaf task; blocking, raises what reading and stages raise."""
    with wanted_while(context.budget.check):
        return spec.compute.run(Leaf(spec, context))


class Executor(Protocol):
    """Where the leaf tasks of a query run."""

    def leaves(self, specs: Iterable[LeafSpec[Compute[P]]], context: LeafContext) -> Iterator[P]:
        """Partial results in the order of the specs; raises what a leaf raises.

        Few tasks are under way ahead of what was asked for, so a caller who stops iterating stops
        the work. The context is that of the process in which the query was planned.
        """
        ...


def _parsed(text: str) -> LogQuery:
    query = parse_unchecked(text)  # it was checked when it was asked, or is of no query at all
    assert isinstance(query, LogQuery)
    return query


def _size_of(lines: LineColumn, row_group: RowGroup) -> int:
    """Line bytes; of typed lines the mean of their block, which are not put together here."""
    return lines.about_bytes(row_group.line_bytes / max(row_group.rows, 1))
