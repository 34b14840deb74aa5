"""Counts and bytes by stream labels are bisected from timestamps; no rows are read.

Before: `Aggregate(count_over_time, Scan({app="a"}), by (app))`
After:  `Aggregate(count_over_time, Scan({app="a"}), by (app), bisected)`
"""

from dataclasses import replace

from querier.plan.build import BYTE_FUNCTIONS
from querier.plan.nodes import Aggregate, Plan

COUNTING = frozenset(("count_over_time", "rate", "absent_over_time")) | BYTE_FUNCTIONS
"""Range functions that look at nothing but the number of entries, or at their sizes."""


def stream_counts(plan: Plan) -> Plan:
    """Where no stage is left; a source whose metadata may name a series is scanned all the same."""
    if not isinstance(plan, Aggregate) or plan.scan.stages:
        return plan
    expr = plan.expr
    if expr.op not in COUNTING or expr.log_range.unwrap is not None:
        return plan
    return replace(plan, bisected=True)
