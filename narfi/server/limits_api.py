"""`/narfi/api/v1/limits`: how much of each limit is used now, and which setting would change it?

Limits of a tenant for who may read its logs; those of the process for the scope `admin` alone.
`used` is null where nothing is held between two requests: such a limit is looked at in each one;
and for a token with a policy, since it would tell of other streams.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from ingester.head_room import TENANT_SHARE
from narfi.core.errors import AppError
from narfi.core.grant import Grant, Scope, grant_of
from narfi.core.limits import MB, Limits
from narfi.core.settings import Settings
from narfi.core.tenant import TenantId
from narfi.server.places import min_free_of, space_of
from narfi.server.wiring import Server
from storage.catalog.delete_log import PROCESSED
from storage.vault.data_dir import DataDir

PATH = "/narfi/api/v1/limits"
_BYTES = frozenset(
    (
        *("per_stream_rate_limit", "per_stream_rate_limit_burst", "max_line_size"),
        *("max_structured_metadata_size", "max_query_bytes_read", "max_query_memory"),
    )
)
_UNITS = {"ingestion_rate_mb": "MB/s", "ingestion_burst_size_mb": "MB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A limit; `used` in the same unit."""

    name: str
    limit: Any
    used: float | int | None
    unit: str
    setting: str  # that would change it

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in ("name", "limit", "used", "unit", "setting")}


def limits_router(server: Server, settings: Callable[[], Settings]) -> APIRouter:
    """The endpoint; `settings`: those that are in force now."""
    router = APIRouter()

    @router.get(PATH)
    async def limits(request: Request) -> Response:
        grant = grant_of(request.scope)
        tenant = _tenant(server, request, grant)
        body: dict[str, Any] = {"tenant": tenant}
        if tenant is not None:
            rows = await asyncio.to_thread(rows_of_tenant, server, tenant, settings())
            if grant.streams:  # what is used is of all streams
                rows = [replace(row, used=None) for row in rows]
            body["limits"] = [row.plain() for row in rows]
        if Scope.ADMIN in grant.scopes:
            rows = await asyncio.to_thread(rows_of_process, server)
            body["process"] = [row.plain() for row in rows]
        return Response(orjson.dumps(body), media_type="application/json; charset=utf-8")

    return router


def _tenant(server: Server, request: Request, grant: Grant) -> TenantId | None:
    """Whose limits are asked for; an operator need not name one. Raises `AppError`."""
    try:
        return server.tenancy.tenant(request.headers, grant)
    except AppError:
        if Scope.ADMIN in grant.scopes and not request.headers.get("x-scope-orgid"):
            return None
        raise


def rows_of_tenant(server: Server, tenant: TenantId, settings: Settings) -> list[Row]:
    """Every limit of a tenant; asks the catalog for delete requests."""
    limits, used = server.limits(tenant), _used(server, tenant)
    overrides = settings.overrides.get(tenant, {})
    rows = [
        _row(field.name, getattr(limits, field.name), used, overrides, tenant)
        for field in fields(Limits)
    ]
    waiting = server.queries.pool.waiting(tenant)
    share = server.heads.max_bytes // TENANT_SHARE
    return [
        *rows,
        Row(
            name="unflushed bytes of the tenant",
            limit=share,
            used=server.heads.held(tenant),
            unit="bytes",
            setting="ingester.max_unflushed_bytes",
        ),
        Row(
            name="requests of the tenant that wait",
            limit=settings.querier.max_waiting,
            used=waiting,
            unit="requests",
            setting="querier.max_waiting",
        ),
    ]


def _row(
    field: str,
    limit: Any,
    used: Mapping[str, float | int | None],
    overrides: Mapping[str, Any],
    tenant: TenantId,
) -> Row:
    name, unit = field, _UNITS.get(field, "bytes" if field in _BYTES else "")
    if field.endswith("_ns"):
        name, unit, limit = field.removesuffix("_ns"), "s", limit / 1e9
    elif field == "retention_stream":
        limit = [{"selector": one.selector, "period_s": one.period_ns / 1e9} for one in limit]
    elif isinstance(limit, tuple):
        limit = list(limit)
    setting = f"overrides.{tenant}.{name}" if name in overrides else f"limits.{name}"
    return Row(name=name, limit=limit, used=used.get(field), unit=unit, setting=setting)


def _used(server: Server, tenant: TenantId) -> dict[str, float | int | None]:
    """What is held now, by the limit's field."""
    push = server.pushes.use(tenant)
    mine = [one for one in server.queries.running.now() if tenant in one.asked.tenants]
    return {
        "ingestion_burst_size_mb": round(push.burst_bytes / MB, 3),
        "max_global_streams_per_user": push.streams,
        "max_concurrent_tail_requests": server.tails.followed(tenant),
        "max_query_memory": max((one.budget.used for one in mine), default=0),
        "max_query_bytes_read": max((one.budget.bytes_read for one in mine), default=0),
        "query_timeout_ns": round(max((one.seconds for one in mine), default=0.0), 3),
        "max_pending_delete_requests": _pending_deletes(server, tenant),
        "ruler_max_rule_groups_per_tenant": len(server.ruler.live(tenant)),
    }


def _pending_deletes(server: Server, tenant: TenantId) -> int | None:
    """None while the catalog does not tell."""
    try:
        server.places.reach.check("catalog")
        return sum(one.status != PROCESSED for one in server.deletes.requests(tenant))
    except AppError:
        return None


def rows_of_process(server: Server) -> list[Row]:
    """What bounds the process as a whole."""
    settings, running = server.settings, server.queries.running
    data = DataDir(settings.data_dir, settings.storage.url, settings.catalog.url)
    space = space_of(settings)
    working, _ = server.queries.pool.counts()
    sizes: list[tuple[str, int, int | None]] = [
        ("server.max_inflight_bytes", server.in_flight.most, server.in_flight.used),
        ("ingester.max_unflushed_bytes", server.heads.max_bytes, server.heads.bytes),
        ("querier.max_memory", running.memory.most, running.memory.used),
        ("querier.cache_bytes", settings.querier.cache_bytes, server.store.columns.bytes),
        ("compactor.max_total_bytes", settings.compactor.max_total_bytes, _stored(server)),
    ]
    rows = [
        Row(name=name, limit=most, used=used, unit="bytes", setting=name)
        for name, most, used in sizes
    ]
    rows.append(
        Row(
            name="querier.query_threads",
            limit=settings.querier.query_threads,
            used=working,
            unit="queries",
            setting="querier.query_threads",
        )
    )
    rows.append(
        Row(
            name="free space of the disk, at least",
            limit=min_free_of(settings, data)(space.total),
            used=space.free,
            unit="bytes",
            setting="compactor.min_free_disk",
        )
    )
    return rows


def _stored(server: Server) -> int | None:
    """Of all blocks; None while the catalog does not tell."""
    try:
        server.places.reach.check("catalog")
        return sum(level.stored_bytes for level in server.catalog.totals())
    except AppError:
        return None
