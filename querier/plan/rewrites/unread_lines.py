"""Lines are not read where no stage, and nobody behind the stages, looks at them.

Before: `Scan(| level="error")`
After:  `Scan(| level="error", without lines)`
"""

from dataclasses import replace

from querier.operators.reads import reads_line
from querier.plan.nodes import Aggregate, Plan, Scan, Tally
from querier.plan.rewrites.base import with_search


def unread_lines(plan: Plan) -> Plan:
    """A search hands over no lines; of what counts rows, only some looks at them."""
    if isinstance(plan, Aggregate | Tally) and plan.scan.demand.lines:
        return plan
    return with_search(plan, _without_lines)


def _without_lines(scan: Scan) -> Scan:
    if any(map(reads_line, scan.stages)):
        return scan
    return replace(scan, columns=replace(scan.columns, lines=False))
