"""What do all query endpoints need of a request? Tenants, parameters, and a worker thread."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

import structlog
from fastapi import Request, Response

from narfi.core.auth import Tenancy
from narfi.core.clock import Clock
from narfi.core.errors import InvalidRequestError
from narfi.core.tenant import TenantId
from querier.http_api.params import Parameters
from querier.plan.rules import ALL_RULES, Rules
from querier.query import Cancellation
from querier.service import QueryService

log = structlog.get_logger(__name__)

T = TypeVar("T")
_UNUSUAL = re.compile(r"[^a-zA-Z0-9\-=.@, ]")  # replaced in logged tags, as Loki does

MAX_FORM_BYTES = 10 * 1024 * 1024
JSON_TYPE = "application/json; charset=UTF-8"
DISCONNECT_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What query endpoints are made with."""

    service: QueryService
    pool: Executor
    tenancy: Tenancy
    clock: Clock
    rules: Rules = ALL_RULES

    def tenants(self, request: Request) -> tuple[TenantId, ...]:
        """The tenants of a query; several only where that is allowed."""
        found = self.tenancy.tenants(request.headers)
        if len(found) > 1 and not self.service.limits_of(found[0]).multi_tenant_queries_enabled:
            raise InvalidRequestError("multiple org IDs present")
        return found


async def parameters_of(request: Request) -> Parameters:
    """Form values before values of the URL."""
    pairs: list[tuple[str, str]] = []
    if request.method == "POST":
        body = await request.body()
        if len(body) > MAX_FORM_BYTES:
            raise InvalidRequestError("http: request body too large")
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs += parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True)
    return Parameters(pairs + _url_pairs(request.scope["query_string"]))


def parameters_from(query_string: bytes) -> Parameters:
    """Values of the URL."""
    return Parameters(_url_pairs(query_string))


def _url_pairs(query_string: bytes) -> list[tuple[str, str]]:
    text = query_string.decode("latin-1")
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


async def in_pool(context: QueryContext, request: Request, work: Callable[[Cancellation], T]) -> T:
    """Run blocking work on a query thread; a client that goes away cancels it."""
    tags = request.headers.get("x-query-tags")
    if tags:
        log.info("request", path=request.url.path, query_tags=_UNUSUAL.sub("_", tags))
    cancellation = Cancellation()
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(context.pool, work, cancellation)
    while True:
        done, _ = await asyncio.wait({future}, timeout=DISCONNECT_POLL_S)
        if done:
            return future.result()
        if await request.is_disconnected():
            cancellation.cancel()


def json_response(body: bytes) -> Response:
    """A JSON body that is encoded already."""
    return Response(body, media_type=JSON_TYPE)
