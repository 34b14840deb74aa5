"""What do the endpoints that explore logs have in common? A log query, a range, warnings within.

They take `query`, `start` and `end` as `query_range` does, and answer with one JSON object.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import orjson
from fastapi import Request, Response

from narfi.core.labels import quote
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.explore.question import Question
from querier.http_api.params import Bounds, ParameterError, Parameters, parse_atoi, parse_bounds
from querier.http_api.requests import QueryContext, in_pool, json_response, parameters_of
from querier.http_api.warnings import warnings_of
from querier.query import QueryOptions
from querier.reading.admission import within_lookback
from querier.result import Told

T = TypeVar("T")

METHODS = ["GET", "POST"]
PREFIX = "/narfi/api/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explored:
    """What a request asks about."""

    context: QueryContext
    request: Request
    tenants: tuple[TenantId, ...]
    parameters: Parameters
    bounds: Bounds

    @property
    def query(self) -> str:
        """LogQL."""
        return self.parameters.get("query")

    def options(self, budget: Budget) -> QueryOptions:
        """As those of a range query."""
        return QueryOptions(
            tenants=self.tenants,
            start_ns=self.bounds.start_ns,
            end_ns=self.bounds.end_ns,
            step_ns=1,
            limits=self.context.limits(self.tenants),
            budget=budget,
            rules=self.context.rules,
        )

    async def told(self, work: Callable[[Budget], Told[T]]) -> Told[T]:
        """What the work says, on a query thread."""
        return await in_pool(self.context, self.request, work)

    async def answer(self, work: Callable[[Question], dict[str, object]]) -> Response:
        """The object that the work makes, with the warnings in it."""

        def run(budget: Budget) -> Told[bytes]:
            told = self.context.service.explore(self.query, self.options(budget), work)
            body = {**told.value, "warnings": warnings_of(told.warnings)}
            return Told(orjson.dumps(body), told.warnings)

        told = await self.told(run)
        return json_response(told.value, told.warnings)


async def explored(context: QueryContext, request: Request) -> Explored:
    """The parameters of a request; raises what `query_range` raises."""
    tenants = context.tenants(request)
    parameters = await parameters_of(request)
    now_ns = context.clock.now_ns()
    bounds = parse_bounds(parameters, now_ns)
    start_ns = within_lookback(bounds.start_ns, context.limits(tenants), now_ns)
    return Explored(
        context=context,
        request=request,
        tenants=tenants,
        parameters=parameters,
        bounds=Bounds(start_ns, max(bounds.end_ns, start_ns)),
    )


def number_of(parameters: Parameters, name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    text = parameters.get(name)
    if not text:
        return default
    value = parse_atoi(text)
    if not 1 <= value <= most:
        raise ParameterError(f"{name} must be from 1 to {most}, not {value}")
    return value


def names_of(parameters: Parameters, name: str, most: int) -> list[str]:
    """Names, parted by commas or repeated; each once."""
    parts = [part for text in parameters.all(name) for part in text.split(",")]
    found = list(dict.fromkeys(part.strip() for part in parts if part.strip()))
    if len(found) > most:
        raise ParameterError(f"{name} may name {most} fields, not {len(found)}")
    return found


def one_of(parameters: Parameters, name: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words, or the empty text."""
    text = parameters.get(name)
    if text and text not in allowed:
        raise ParameterError(f"{name} must be {' or '.join(allowed)}, not {quote(text)}")
    return text


def readable(text: str) -> str:
    """The text with U+FFFD for what is not UTF-8 (kept by surrogateescape)."""
    return (
        text
        if text.isascii()
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )
