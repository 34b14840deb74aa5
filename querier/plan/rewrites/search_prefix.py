"""Log queries run only the stages that drop rows until the rows of the answer are known.

Before: `Fetch(Choose(Scan(| json | status > 400 | line_format …)), Scan(…))`
After:  `Fetch(Choose(Scan(| json | status > 400, with the label status alone)), Scan(…))`
"""

from dataclasses import replace

from querier.operators.base import Demand
from querier.operators.pipeline import without_unseen
from querier.operators.reads import drops_rows
from querier.plan.nodes import Choose, Fetch, Plan


def search_prefix(plan: Plan) -> Plan:
    """The shortest prefix that holds every stage which drops rows, with only its own demand."""
    if not isinstance(plan, Fetch) or not isinstance(plan.rows, Choose):
        return plan
    scan = plan.rows.scan
    last = max((k for k, stage in enumerate(scan.stages) if drops_rows(stage)), default=-1)
    demand = Demand(frozenset(), errors=True)
    prefix = replace(scan, stages=without_unseen(scan.stages[: last + 1], demand), demand=demand)
    return replace(plan, rows=replace(plan.rows, scan=prefix))
