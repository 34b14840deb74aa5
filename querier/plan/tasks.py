"""Which leaf tasks does a scan need? Runs of row groups of one source, after pruning.

Tasks are independent, so any executor may run them in any order (querier/executors/leaf.py).
Invariant: every row group that can hold a selected row is in exactly one task.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from querier.budget import Allowance
from querier.plan.nodes import Scan
from querier.plan.spec import LeafSpec, Rows, ScanSpec, SourceSpec, runs_of, scan_spec
from querier.reading.tenants import tenant_of
from querier.reading.view import SourceView, View
from querier.result import QueryStats
from querier.rules import Rule
from storage.scan import ReadStats, RowGroup, ScanRequest

C = TypeVar("C")

TASK_BYTES = 8 * 1024 * 1024
"""Lines per task, about: large enough to amortise Python, small enough to share and to cancel."""

TASK_ROWS = 1 << 17

KEPT_BYTES = 128 * 1024 * 1024
"""Of the plain lines of a scan, the first so many are remembered: always the same ones, so that a
scan of more does not turn the cache over."""


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source as the leaf tasks of one scan read it; not sent anywhere."""

    view: SourceView
    request: ScanRequest
    row_groups: Mapping[int, RowGroup]  # by number


def request_of(view: SourceView, scan: ScanSpec, stats: ReadStats | None = None) -> ScanRequest:
    """What a scan reads of a source."""
    start_ns, end_ns = scan.time_range
    return ScanRequest(
        streams=view.streams,
        start_ns=start_ns,
        end_ns=end_ns,
        columns=scan.columns,
        needles=scan.needles,
        plain=scan.plain,
        stats=stats or ReadStats(),
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
    """The tasks of a view; `whole` joins neighbouring row groups up to `TASK_BYTES`."""
    columns, spec = scan.columns, scan_spec(scan)
    planned: list[tuple[SourceView, ScanRequest, Sequence[RowGroup]]] = []
    for source in view.sources:
        request = request_of(source, spec, stats.reading)
        planned.append((source, request, source.source.row_groups(request)))
    shaped = any(row_group.shaped for _, _, row_groups in planned for row_group in row_groups)
    if shaped and columns.lines and scan.typed:
        stats.rules.add(Rule.SHAPE_COLUMNS)
    stats.row_groups_planned += sum(len(row_groups) for _, _, row_groups in planned)
    plain = 0
    tasks: Tasks[C] = Tasks([], {})
    for source, request, row_groups in planned:
        if not row_groups:
            continue
        known = {row_group.index: row_group for row_group in row_groups}
        tasks.opened[source.order] = OpenSource(source, request, known)
        named = source_spec(source)
        for group in _grouped(row_groups, joined=whole, with_lines=columns.lines):
            plain += sum(row_group.line_bytes for row_group in group if not row_group.shaped)
            tasks.specs.append(
                LeafSpec(
                    scan=spec,
                    source=named,
                    compute=compute,
                    allowance=allowance,
                    row_groups=runs_of([row_group.index for row_group in group]),
                    keep=plain <= KEPT_BYTES,
                    min_ts=min(row_group.min_ts for row_group in group),
                    max_ts=max(row_group.max_ts for row_group in group),
                    line_bytes=sum(row_group.line_bytes for row_group in group),
                )
            )
    return tasks


def source_tasks(
    views: Sequence[SourceView], scan: Scan, compute: C, allowance: Allowance
) -> Tasks[C]:
    """A task for each source, of no row groups: for what streams, times or row numbers tell."""
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
    """Line bytes of all row groups of the tasks, about."""
    return sum(spec.line_bytes for spec in specs)


def _grouped(
    row_groups: Sequence[RowGroup], *, joined: bool, with_lines: bool
) -> Iterator[tuple[RowGroup, ...]]:
    group: list[RowGroup] = []
    size = rows = 0
    for row_group in row_groups:
        full = rows >= TASK_ROWS or (with_lines and size >= TASK_BYTES)
        if group and (full or not joined):
            yield tuple(group)
            group, size, rows = [], 0, 0
        group.append(row_group)
        size += row_group.line_bytes
        rows += row_group.rows
    if group:
        yield tuple(group)
