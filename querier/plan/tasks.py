"""Which leaf tasks does a scan need? Runs of segments of one source, after pruning.

Tasks are independent, so any executor may run them in any order (querier/executors/leaf.py).
Invariant: every segment that can hold a selected row is in exactly one task.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from querier.budget import Allowance
from querier.plan.nodes import Scan
from querier.plan.spec import LeafSpec, Rows, ScanSpec, SourceSpec, runs_of, scan_spec
from querier.reading.tenants import tenant_of
from querier.reading.view import SourceView, View
from querier.result import QueryStats
from querier.rules import Rule
from storage.scan import ScanRequest, Segment

C = TypeVar("C")

TASK_BYTES = 8 * 1024 * 1024
"""Lines per task, about: large enough to amortise Python, small enough to share and to cancel."""

TASK_ROWS = 1 << 17

KEPT_BYTES = 64 * 1024 * 1024
"""Scans of fewer bytes of plain lines are remembered; larger ones would turn the cache over."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source as the leaf tasks of one scan read it; not sent anywhere."""

    view: SourceView
    request: ScanRequest
    segments: Mapping[int, Segment]  # by number


def request_of(view: SourceView, scan: ScanSpec, needles: tuple[bytes, ...] = ()) -> ScanRequest:
    """What a scan reads of a source; `needles` only prune."""
    start_ns, end_ns = scan.time_range
    return ScanRequest(
        streams=view.streams,
        start_ns=start_ns,
        end_ns=end_ns,
        columns=scan.columns,
        needles=needles,
        plain=scan.plain,
    )


def source_spec(view: SourceView) -> SourceSpec:
    """The source of a view, as data."""
    return SourceSpec(
        source_id=view.source.source_id,
        order=view.order,
        excluded=Rows(view.excluded),
        left_out=Rows(view.left_out),
        tenant=tenant_of(view.source),
    )


@dataclass(frozen=True, slots=True)
class Tasks(Generic[C]):
    """The leaf tasks of a scan, and their sources (by order), which are open here already."""

    specs: list[LeafSpec[C]]
    opened: dict[int, OpenSource]


def plan_tasks(
    view: View,
    scan: Scan,
    compute: C,
    allowance: Allowance,
    stats: QueryStats,
    *,
    whole: bool,
) -> Tasks[C]:
    """The tasks of a view; `whole` joins neighbouring segments up to `TASK_BYTES`."""
    columns, spec = scan.columns, scan_spec(scan)
    planned: list[tuple[SourceView, ScanRequest, Sequence[Segment]]] = []
    for source in view.sources:
        request = replace(request_of(source, spec, scan.needles), stats=stats.reading)
        planned.append((source, request, source.source.segments(request)))
    shaped = any(segment.shaped for _, _, segments in planned for segment in segments)
    if shaped and columns.lines and scan.typed:
        stats.rules.add(Rule.SHAPE_COLUMNS)
    stats.segments_planned += sum(len(segments) for _, _, segments in planned)
    total = sum(s.line_bytes for _, _, segments in planned for s in segments if not s.shaped)
    tasks: Tasks[C] = Tasks([], {})
    for source, request, segments in planned:
        if not segments:
            continue
        known = {segment.index: segment for segment in segments}
        tasks.opened[source.order] = OpenSource(source, request, known)
        named = source_spec(source)
        for group in _grouped(segments, joined=whole, with_lines=columns.lines):
            tasks.specs.append(
                LeafSpec(
                    scan=spec,
                    source=named,
                    compute=compute,
                    allowance=allowance,
                    segments=runs_of([segment.index for segment in group]),
                    keep=total <= KEPT_BYTES,
                    min_ts=min(segment.min_ts for segment in group),
                    max_ts=max(segment.max_ts for segment in group),
                    line_bytes=sum(segment.line_bytes for segment in group),
                )
            )
    return tasks


def source_tasks(
    views: Sequence[SourceView], scan: Scan, compute: C, allowance: Allowance
) -> Tasks[C]:
    """A task for each source, of no segments: for what streams, times or row numbers tell."""
    tasks: Tasks[C] = Tasks([], {})
    spec = scan_spec(scan)
    for view in views:
        source = view.source
        tasks.opened[view.order] = OpenSource(view, request_of(view, spec), {})
        tasks.specs.append(
            LeafSpec(
                scan=spec,
                source=source_spec(view),
                compute=compute,
                allowance=allowance,
                min_ts=source.min_ts,
                max_ts=source.max_ts,
            )
        )
    return tasks


def line_bytes(specs: Sequence[LeafSpec[object]]) -> int:
    """Line bytes of all segments of the tasks, about."""
    return sum(spec.line_bytes for spec in specs)


def _grouped(
    segments: Sequence[Segment], *, joined: bool, with_lines: bool
) -> Iterator[tuple[Segment, ...]]:
    group: list[Segment] = []
    size = rows = 0
    for segment in segments:
        full = rows >= TASK_ROWS or (with_lines and size >= TASK_BYTES)
        if group and (full or not joined):
            yield tuple(group)
            group, size, rows = [], 0, 0
        group.append(segment)
        size += segment.line_bytes
        rows += segment.rows
    if group:
        yield tuple(group)
