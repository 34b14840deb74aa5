"""Row groups that cannot hold a literal of the line filters are not read.

Before: `Scan(|= "GET" | json)`
After:  `Scan(|= "GET" | json, needles "GET")`
"""

from dataclasses import replace

from querier.operators.pipeline import needles_of
from querier.plan.nodes import Plan, Scan
from querier.plan.rewrites.base import with_search


def literal_pruning(plan: Plan) -> Plan:
    """Literals of the line filters that see the stored line."""
    return with_search(plan, _with_needles)


def _with_needles(scan: Scan) -> Scan:
    needles = needles_of(scan.stages)
    return replace(scan, needles=needles) if needles else scan
