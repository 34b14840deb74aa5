"""Row groups behind the last row of a full answer are not read.

Before: `Fetch(Choose(Scan(…)), …)`
After:  `Fetch(Choose(Scan(…), stop early), …)`
"""

from dataclasses import replace

from querier.plan.nodes import Choose, Fetch, Plan


def early_stop(plan: Plan) -> Plan:
    """Rows nearer than an interval are left out at the end, so there all rows are needed."""
    if not isinstance(plan, Fetch):
        return plan
    if isinstance(plan.rows, Choose) and plan.rows.interval_ns:
        return plan
    return replace(plan, rows=replace(plan.rows, stop_early=True))
