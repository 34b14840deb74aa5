"""What does a request with the parameters of `query_range` ask, and of whose logs?"""

from dataclasses import dataclass

from fastapi import Request

from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.http_api.params import Parameters, RangeParameters, parse_range
from querier.http_api.requests import QueryContext, parameters_of
from querier.query import QueryOptions
from querier.reading.admission import within_lookback


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranged:
    """A checked range query; the start is within what the tenants may look back, in ns."""

    context: QueryContext
    tenants: tuple[TenantId, ...]
    limits: Limits
    parameters: Parameters
    asked: RangeParameters
    start_ns: int

    def options(
        self, budget: Budget, *, categorize_labels: bool = False, explain: bool = False
    ) -> QueryOptions:
        """Everything about the query but its text."""
        return QueryOptions(
            tenants=self.tenants,
            start_ns=self.start_ns,
            end_ns=max(self.asked.bounds.end_ns, self.start_ns),
            step_ns=self.asked.step_ns,
            limits=self.limits,
            limit=self.asked.limit,
            direction=self.asked.direction,
            interval_ns=self.asked.interval_ns,
            categorize_labels=categorize_labels,
            budget=budget,
            rules=self.context.rules,
            explain=explain,
        )


async def ranged(context: QueryContext, request: Request) -> Ranged:
    """What the request asks; raises errors of a tenant first, then of parameters."""
    tenants = context.tenants(request)
    now_ns = context.clock.now_ns()
    parameters = await parameters_of(request)
    asked = parse_range(parameters, now_ns)
    limits = context.limits(tenants)
    return Ranged(
        context=context,
        tenants=tenants,
        limits=limits,
        parameters=parameters,
        asked=asked,
        start_ns=within_lookback(asked.bounds.start_ns, limits, now_ns),
    )
