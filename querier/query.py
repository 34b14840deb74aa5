"""What is asked? A query with its times and options, parsed from whatever transport."""

from dataclasses import dataclass, field
from enum import Enum

from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.rules import ALL_RULES, Rules


class Direction(Enum):
    """In which order log lines are returned."""

    FORWARD = "forward"
    BACKWARD = "backward"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """Everything about a query but its text; times are ns since the epoch.

    A range query covers `start_ns <= ts < end_ns` for log lines; metric steps run from start to
    end (aligned per `limits.split_queries_by_interval_ns`, reference/http-api.md §3.3).
    An instant query has start_ns == end_ns == the asked time and step_ns == 0.
    """

    tenants: tuple[TenantId, ...]  # usually one; several are queried together
    start_ns: int
    end_ns: int
    step_ns: int
    limits: Limits
    limit: int = 100
    direction: Direction = Direction.BACKWARD
    interval_ns: int = 0
    categorize_labels: bool = False
    instant: bool = False
    budget: Budget = field(default_factory=Budget)
    rules: Rules = ALL_RULES
    explain: bool = False
