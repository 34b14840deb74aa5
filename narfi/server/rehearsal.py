"""Why is the first query not slower than later ones? The server asked itself some before.

Behind `/ready` it sends itself a few small requests, through everything that a request goes
through, over the newest entries of some tenants. So pages of libraries are read that the start gave
back or never touched, statements of the catalog are compiled, modules that libraries import late
are there, and the newest blocks are open. Nothing depends on it: what fails is told to the log.
"""

import asyncio
from collections.abc import Iterator, Sequence
from http import HTTPStatus

import numpy.ma  # noqa: F401 - Arrow asks for it when it is first given an array, in 20 ms
import structlog
from starlette.types import ASGIApp

from narfi.core.clock import Clock
from narfi.core.errors import AppError
from narfi.core.grant import ANYBODY
from narfi.core.tenant import TenantId
from narfi.server.own_requests import OwnRequest, ask
from storage.catalog.base import Catalog

log = structlog.get_logger(__name__)

MOST_TENANTS = 4
"""With blocks."""
MOST_S = 3.0
"""For all requests; then who asks is gone, as a client that hangs up."""
NOBODY = TenantId("fake")
"""Asked for where no tenant has blocks: for the code alone."""
HOUR_NS = 3600 * 10**9
LOOK_BACK = (HOUR_NS, 24 * HOUR_NS, 24 * 365 * HOUR_NS)
"""Where the newest block is looked for, the shortest time first."""
LAST_NS = 10**9
"""Before the newest entry: lines of this time are read."""
QUERY_RANGE = "/loki/api/v1/query_range"
ALL = '{service_name=~".+"}'
QUERIES = (
    f'{ALL} |= "a"',
    f"{ALL} | json",
    f"{ALL} | logfmt",
)
COUNT = f"sum by (service_name) (count_over_time({ALL}[1m]))"
"""Reads the times of an hour, and no lines."""
FIELD_COUNTS = tuple(
    f"sum by (level) (count_over_time({ALL} | {parser} [1m]))" for parser in ("json", "logfmt")
)
"""Go through the code that counts by a field."""


def plan(catalog: Catalog, clock: Clock) -> Sequence[OwnRequest]:
    """What is asked; reads the catalog."""
    now = clock.now_ns()
    found: list[OwnRequest] = []
    for tenant in catalog.tenants()[:MOST_TENANTS] or [NOBODY]:
        found += _of_tenant(tenant, _newest(catalog, tenant, now))
    return found


def _newest(catalog: Catalog, tenant: TenantId, now: int) -> int:
    """The time of the tenant's newest stored entry; now where it is not found."""
    for back in LOOK_BACK:
        if blocks := catalog.blocks(tenant, now - back, now):
            return max(block.max_ts for block in blocks)
    return now


def _of_tenant(tenant: TenantId, newest: int) -> Iterator[OwnRequest]:
    hour = {"start": str(newest - HOUR_NS), "end": str(newest + 1)}
    yield _asked(tenant, "/loki/api/v1/labels", hour)
    yield _asked(tenant, QUERY_RANGE, {**hour, "step": "60", "query": COUNT})
    last = {"start": str(newest - LAST_NS), "end": str(newest + 1), "limit": "10"}
    for query in QUERIES:
        yield _asked(tenant, QUERY_RANGE, {**last, "query": query})
    for query in FIELD_COUNTS:
        yield _asked(tenant, QUERY_RANGE, {**last, "step": "60", "query": query})


def _asked(tenant: TenantId, path: str, parameters: dict[str, str]) -> OwnRequest:
    return OwnRequest(
        path=path, tenant=tenant, grant=ANYBODY, host="rehearsal", parameters=parameters
    )


async def rehearse(app: ASGIApp, catalog: Catalog, clock: Clock) -> None:
    """Ask, one request after another; ends early where one fails.

    A count by a field of JSON is rightly refused where lines are not JSON: its code has run then.
    """
    until = asyncio.get_running_loop().time() + MOST_S
    try:
        requests = await asyncio.to_thread(plan, catalog, clock)
    except AppError as error:
        log.info("no rehearsal of queries", error=str(error))
        return
    for request in requests:
        status, _ = await ask(app, request, until)
        if status not in (HTTPStatus.OK, HTTPStatus.BAD_REQUEST):
            log.info("the rehearsal of queries ends early", path=request.path, status=status)
            return
