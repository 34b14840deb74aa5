"""What is done for one selector of a query? A small tree of frozen nodes, read from the inside out.

`build.py` makes a plan that reads everything and takes no shortcut; rewrites (`rewrites/`) make it
cheaper. A plan says nothing of sources: leaf tasks (`tasks.py`) are made of a plan and a view.
Invariant: every plan that rewrites make of a plan gives the same answer.
"""

from dataclasses import dataclass

from logql import ast
from querier.operators.base import Demand
from storage.scan import Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The rows of the streams of a selector in a time range, put through stages."""

    selector: ast.Selector
    time_range: tuple[int, int]  # `[start, end)` ns
    stages: tuple[ast.Stage, ...]  # in the order in which they run
    demand: Demand  # what is looked at behind the stages
    columns: Columns = Columns()
    needles: tuple[bytes, ...] = ()  # literals without which no line is wanted
    typed: bool = False  # stages may take typed columns instead of lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Choose:
    """The first rows of a scan in the order of the answer."""

    scan: Scan
    limit: int
    backward: bool  # newest first
    interval_ns: int = 0  # rows nearer than that to the one before are left out
    stop_early: bool = False  # what cannot hold a better row is not read


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseEnds:
    """As `Choose`, where no stage drops a row: cut from the ends of the streams."""

    scan: Scan
    limit: int
    backward: bool
    stop_early: bool = False  # sources that cannot hold a better row are not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """The chosen rows, read whole and put through all stages: a log query."""

    rows: Choose | ChooseEnds
    scan: Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """The samples of a scan as series by steps: a range aggregation."""

    scan: Scan
    expr: ast.RangeAggregation
    by: ast.Grouping  # the labels that name a series
    bisected: bool = False  # counted from timestamps where stream labels name the series


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The rows of a scan, counted by what is demanded of them."""

    scan: Scan


Plan = Fetch | Aggregate | Tally


def searched(plan: Plan) -> Scan:
    """The scan that reads row groups; of a log query not the one that fetches rows."""
    return plan.rows.scan if isinstance(plan, Fetch) else plan.scan
