"""Structured metadata that nothing looks at is not read.

Before: `Scan(| level="error", with level alone)`
After:  `Scan(| level="error", with level alone, metadata level and __error__)`
"""

from dataclasses import replace

from querier.operators.pipeline import metadata_names
from querier.plan.nodes import Plan, Scan
from querier.plan.rewrites.base import with_search


def unread_metadata(plan: Plan) -> Plan:
    """Only names that a stage, or somebody behind the stages, may look at."""
    return with_search(plan, _with_names)


def _with_names(scan: Scan) -> Scan:
    names = metadata_names(scan.stages, scan.demand)
    if names is None:
        return scan
    return replace(scan, columns=replace(scan.columns, metadata=names))
