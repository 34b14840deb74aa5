"""Without a stage that drops rows, the answer is cut from the ends of the streams.

Before: `Fetch(Choose(Scan({app="a"})), …)`
After:  `Fetch(ChooseEnds(Scan({app="a"})), …)`
"""

from dataclasses import replace

from querier.operators.reads import drops_rows
from querier.plan.nodes import Choose, ChooseEnds, Fetch, Plan


def stream_ends(plan: Plan) -> Plan:
    """Of rows that all pass, the newest (oldest) are at the ends of their streams."""
    if not isinstance(plan, Fetch) or not isinstance(plan.rows, Choose) or plan.rows.interval_ns:
        return plan
    rows = plan.rows
    if any(map(drops_rows, rows.scan.stages)):
        return plan
    ends = ChooseEnds(scan=replace(rows.scan, stages=()), limit=rows.limit, backward=rows.backward)
    return replace(plan, rows=ends)
