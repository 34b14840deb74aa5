"""Filters and parsers are answered from typed columns where that is equal to decoding.

Before: `Scan(| json | status > 400)`
After:  `Scan(| json | status > 400, typed)`
"""

from dataclasses import replace

from querier.plan.nodes import Plan
from querier.plan.rewrites.base import with_search


def shape_columns(plan: Plan) -> Plan:
    """Lines of a shape are handed to the stages as columns."""
    return with_search(plan, lambda scan: replace(scan, typed=True))
