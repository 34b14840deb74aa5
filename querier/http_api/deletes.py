"""`delete`: create, list and cancel requests (reference/http-api.md §6)."""

import orjson
from fastapi import APIRouter, Request, Response

from narfi.core.audit import audit_request
from narfi.core.clock import NS_PER_S, within_time
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.grant import Streams, grant_of
from narfi.core.tenant import TenantId
from narfi.core.units import format_go_duration, parse_go_duration
from querier.budget import Budget
from querier.http_api.params import SECONDS_CHARACTERS, Parameters, parse_rfc3339
from querier.http_api.requests import QueryContext, in_pool, json_response, parameters_from
from querier.reading.deletes import DeleteRequests, to_ms
from storage.catalog.delete_log import DeleteRequest

PATH = "/loki/api/v1/delete"
ID_HEADER = "X-Delete-Request-ID"
MAX_INTERVAL_NS = 24 * 3600 * NS_PER_S


def deletes_router(context: QueryContext, deletes: DeleteRequests) -> APIRouter:
    """The endpoint; parameters come from the URL only."""
    router = APIRouter()

    def tenant_of(request: Request) -> TenantId:
        return context.tenancy.tenant(request.headers, grant_of(request.scope))

    def streams_of(request: Request) -> Streams:
        return grant_of(request.scope).streams

    async def create(request: Request) -> Response:
        tenant, streams = tenant_of(request), streams_of(request)
        parameters = parameters_from(request.scope["query_string"])
        query = parameters.get("query")
        start_ns, end_ns = _times(parameters, context.clock.now_ns())
        _check_interval(parameters, end_ns - start_ns)

        def work(_: Budget) -> DeleteRequest:
            who = grant_of(request.scope).name
            return deletes.create(tenant, query, start_ns, end_ns, permitted=streams, by=who)

        made = await in_pool(context, request, work)
        audit_request(
            request.scope,
            "delete requested",
            delete_request=made.request_id,
            query=query,
            start_ns=start_ns,
            end_ns=end_ns,
        )
        return Response(status_code=204, headers={ID_HEADER: made.request_id})

    async def listed(request: Request) -> Response:
        tenant, streams = tenant_of(request), streams_of(request)
        found = await in_pool(
            context, request, lambda _: deletes.requests(tenant, permitted=streams)
        )
        body = [
            {
                "request_id": one.request_id,
                "start_time": to_ms(one.start_ns),
                "end_time": to_ms(one.end_ns),
                "query": one.query,
                "status": one.status,
                "created_at": to_ms(one.created_ns),
                "user_id": one.tenant,
                "deleted_entries": one.deleted_rows,
                "deleted_bytes": one.deleted_bytes,
            }
            for one in found
        ]
        return json_response(orjson.dumps(body))

    async def cancel(request: Request) -> Response:
        tenant, streams = tenant_of(request), streams_of(request)
        parameters = parameters_from(request.scope["query_string"])
        request_id, force = parameters.get("request_id"), parameters.get("force") == "true"

        def work(_: Budget) -> None:
            deletes.cancel(tenant, request_id, force=force, permitted=streams)

        await in_pool(context, request, work)
        audit_request(request.scope, "delete cancelled", delete_request=request_id, force=force)
        return Response(status_code=204)

    router.add_api_route(PATH, create, methods=["POST", "PUT"], response_model=None)
    router.add_api_route(PATH, listed, methods=["GET"], response_model=None)
    router.add_api_route(PATH, cancel, methods=["DELETE"], response_model=None)
    return router


def _times(parameters: Parameters, now_ns: int) -> tuple[int, int]:
    if not parameters.get("query"):
        raise InvalidRequestError("query not set")
    if not parameters.get("start"):
        raise InvalidRequestError("start time not set")
    start_ns = _time(parameters.get("start"), "start")
    end_ns = _time(parameters.get("end"), "end") if parameters.get("end") else now_ns
    if start_ns > now_ns or end_ns > now_ns:
        raise InvalidRequestError("deletes in the future are not allowed")
    if start_ns >= end_ns:
        raise InvalidRequestError("start time can't be greater than or equal to end time")
    return start_ns, end_ns


def _time(text: str, name: str) -> int:
    """Ten digits of seconds, or RFC 3339."""
    if len(text) == SECONDS_CHARACTERS and text.isascii() and text.isdigit():
        return within_time(int(text) * NS_PER_S)
    found = parse_rfc3339(text)
    if found is None:
        message = f"invalid {name} time: require unix seconds or RFC3339 format"
        raise InvalidRequestError(message)
    return found


def _check_interval(parameters: Parameters, span_ns: int) -> None:
    """`max_interval` only bounds how Loki cuts the work; it is checked and not needed."""
    text = parameters.get("max_interval")
    if not text:
        return
    try:
        interval_ns = parse_go_duration(text)
    except AppError:
        message = "invalid max_interval: valid time units are 's', 'm', 'h'"
        raise InvalidRequestError(message) from None
    if interval_ns > MAX_INTERVAL_NS:
        raise InvalidRequestError("max_interval can't be greater than 24h0m0s")
    if interval_ns > span_ns:
        span = format_go_duration(span_ns)
        message = f"max_interval can't be greater than the interval to be deleted ({span})"
        raise InvalidRequestError(message)
