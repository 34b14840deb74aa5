"""Segments that cannot hold a literal of the line filters are not read.

Before: `Scan(|= "GET" | json)`
After:  `Scan(|= "GET" | json, needles "GET")`
"""

from collections.abc import Sequence
from dataclasses import replace

from logql import ast
from querier.operators.line_filter import needle_of
from querier.plan.nodes import Plan, Scan
from querier.plan.rewrites.base import with_search


def literal_pruning(plan: Plan) -> Plan:
    """Literals of the line filters that see the stored line."""
    return with_search(plan, _with_needles)


def _with_needles(scan: Scan) -> Scan:
    return replace(scan, needles=_needles(scan.stages))


def _needles(stages: Sequence[ast.Stage]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    for stage in stages:
        if not isinstance(stage, ast.LineFilter):
            break
        needle = needle_of(stage)
        if needle:
            found.append(needle)
    return tuple(found)
