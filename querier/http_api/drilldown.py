"""`drilldown-limits`, tenant limits: what clients may know of them (reference/http-api.md §8)."""

import orjson
import yaml
from fastapi import APIRouter, Request, Response

from narfi.core.limits import Limits
from narfi.core.units import format_prometheus_duration
from querier.http_api.requests import QueryContext, json_response

VERSION = "3.7.0"


def drilldown_router(context: QueryContext) -> APIRouter:
    """The endpoint."""
    router = APIRouter()

    @router.get("/loki/api/v1/drilldown-limits")
    async def limits(request: Request) -> Response:
        tenant = context.tenants(request)[0]
        body = {
            "limits": published(context.service.limits_of(tenant)),
            "pattern_ingester_enabled": True,
            "version": VERSION,
        }
        return json_response(orjson.dumps(body))

    @router.get("/config/tenant/v1/limits")
    async def tenant_limits(request: Request) -> Response:
        tenant = context.tenants(request)[0]
        text = yaml.safe_dump(published(context.service.limits_of(tenant)), sort_keys=True)
        return Response(text, media_type="application/yaml")

    return router


def published(limits: Limits) -> dict[str, object]:
    """The limits that a client may know, as Loki writes them."""
    return {
        "discover_log_levels": limits.discover_log_levels,
        "discover_service_name": list(limits.discover_service_name),
        "log_level_fields": list(limits.log_level_fields),
        "max_entries_limit_per_query": limits.max_entries_limit_per_query,
        "max_line_size_truncate": limits.max_line_size_truncate,
        "max_query_bytes_read": f"{limits.max_query_bytes_read}B",
        "max_query_length": format_prometheus_duration(limits.max_query_length_ns),
        "max_query_lookback": format_prometheus_duration(limits.max_query_lookback_ns),
        "max_query_range": format_prometheus_duration(limits.max_query_range_ns),
        "max_query_series": limits.max_query_series,
        "metric_aggregation_enabled": False,
        "pattern_persistence_enabled": True,
        "query_timeout": format_prometheus_duration(limits.query_timeout_ns),
        "retention_period": format_prometheus_duration(limits.retention_period_ns),
        "retention_stream": [
            {
                "period": format_prometheus_duration(item.period_ns),
                "priority": item.priority,
                "selector": item.selector,
            }
            for item in limits.retention_stream
        ],
        "volume_enabled": limits.volume_enabled,
        "volume_max_series": limits.volume_max_series,
    }
