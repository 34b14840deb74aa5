"""What is a rewrite? A pure function from plan to plan that leaves the answer as it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from querier.plan.nodes import Aggregate, Fetch, Plan, Scan, Tally, searched

Rewrite = Callable[[Plan], Plan]
"""The same plan where it has nothing to do."""


def with_search(plan: Plan, change: Callable[[Scan], Scan]) -> Plan:
    """The plan with another scan of row groups; rows are fetched as before."""
    before = searched(plan)
    after = change(before)
    if after is before:
        return plan
    match plan:
        case Fetch():
            return replace(plan, rows=replace(plan.rows, scan=after))
        case Aggregate() | Tally():
            return replace(plan, scan=after)
        case _:
            assert_never(plan)
