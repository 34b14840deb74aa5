"""How is a plan shown? A line for each step, in the order in which they are done.

The text is for people who ask why a query costs what it costs; nothing reads it back.
"""

from logql import ast
from logql.format import format_grouping, format_query, format_stage, format_unwrap
from narfi.core.units import format_prometheus_duration
from querier.plan.nodes import Aggregate, Choose, Plan, Scan, Tally, searched


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """The steps of a plan."""
    scan = searched(plan)
    lines = [_scan_line(plan, scan), *map(format_stage, scan.stages)]
    if isinstance(plan, Aggregate):
        unwrap = plan.expr.log_range.unwrap
        lines += [] if unwrap is None else [format_unwrap(unwrap)]
        lines.append(aggregate_line(plan))
        return tuple(lines)
    if isinstance(plan, Tally):
        names = scan.demand.labels
        of = "all labels" if names is None else ", ".join(sorted(names)) or "nothing else"
        return (*lines, f"count rows by {of}")
    rows = plan.rows
    which = "newest" if rows.backward else "oldest"
    how = f"choose the {which} {rows.limit}"
    if isinstance(rows, Choose):
        how += f", {format_prometheus_duration(rows.interval_ns)} apart" if rows.interval_ns else ""
    else:
        how += " from the ends of the streams"
    how += ", stop early" if rows.stop_early else ""
    return (*lines, how, "fetch them", *map(format_stage, plan.scan.stages))


def aggregate_line(plan: Aggregate) -> str:
    """`count_over_time[1m] by (app)`."""
    window = format_prometheus_duration(plan.expr.log_range.range_ns)
    return f"{plan.expr.op}[{window}] {format_grouping(plan.by)}"


def _scan_line(plan: Plan, scan: Scan) -> str:
    selector = format_query(ast.LogQuery(scan.selector))
    if isinstance(plan, Aggregate) and plan.bisected:
        return f"count {selector} by timestamps, scan what has metadata of these names"
    names = scan.columns.metadata
    if names is True:
        metadata = ["all metadata"]
    else:
        metadata = [f"metadata {', '.join(sorted(names))}"] if names else []
    found = [*(["lines"] if scan.columns.lines else []), *metadata]
    line = f"scan {selector} reading {', '.join(found) or 'timestamps'}"
    line += " as typed columns" if scan.typed and scan.columns.lines else ""
    for needle in scan.needles:
        line += f", where {needle!r} can be"[:200]
    return line
