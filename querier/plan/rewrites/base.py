"""What is a rewrite? A pure function from plan to plan that leaves the answer as it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from querier.plan.nodes import Aggregate, Fetch, Plan, Scan

Rewrite = Callable[[Plan], Plan]
"""The same plan where it has nothing to do."""


def with_search(plan: Plan, change: Callable[[Scan], Scan]) -> Plan:
    """The plan with another scan of segments; rows are fetched as before."""
    match plan:
        case Fetch():
            return replace(plan, rows=replace(plan.rows, scan=change(plan.rows.scan)))
        case Aggregate():
            return replace(plan, scan=change(plan.scan))
        case _:
            assert_never(plan)
