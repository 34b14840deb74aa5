"""How much may a tenant push and ask? Loki's limits and names (reference/ingest-rules.md §2, §6).

Durations are nanoseconds, sizes are bytes; 0 means unlimited where Loki says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from narfi.core.clock import NS_PER_S
from narfi.core.retention import StreamRetention
from narfi.core.tenant import TenantId

HOUR_NS = 3600 * NS_PER_S
KB = 1024
MB = 1024 * KB

DEFAULT_SERVICE_NAME_LABELS = (
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
)
DEFAULT_LOG_LEVEL_FIELDS = (
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one tenant; defaults are Loki's unless `docs/compat.md` says otherwise."""

    # pushes
    ingestion_rate_mb: float = 4.0
    ingestion_burst_size_mb: float = 6.0
    per_stream_rate_limit: int = 3 * MB
    per_stream_rate_limit_burst: int = 15 * MB
    max_label_names_per_series: int = 15
    max_label_name_length: int = 1024
    max_label_value_length: int = 2048
    reject_old_samples: bool = True
    reject_old_samples_max_age_ns: int = 168 * HOUR_NS
    creation_grace_period_ns: int = 600 * NS_PER_S
    max_line_size: int = 256 * KB
    max_line_size_truncate: bool = False
    max_line_size_truncate_identifier: str = ""
    allow_structured_metadata: bool = True
    max_structured_metadata_size: int = 64 * KB
    max_structured_metadata_entries_count: int = 128
    max_global_streams_per_user: int = 5000
    increment_duplicate_timestamp: bool = False
    discover_service_name: tuple[str, ...] = DEFAULT_SERVICE_NAME_LABELS
    discover_log_levels: bool = True
    log_level_fields: tuple[str, ...] = DEFAULT_LOG_LEVEL_FIELDS
    log_level_from_json_max_depth: int = 2
    out_of_order_window_ns: int = 0  # 0: any order is accepted; Loki's is 1 h
    retention_period_ns: int = 0  # 0: kept for ever
    retention_stream: tuple[StreamRetention, ...] = ()  # instead of it, for streams that match
    # queries
    max_entries_limit_per_query: int = 5000
    max_query_series: int = 500
    max_query_length_ns: int = 721 * HOUR_NS
    max_query_lookback_ns: int = 0
    max_query_range_ns: int = 0
    query_timeout_ns: int = 60 * NS_PER_S
    max_streams_matchers_per_query: int = 1000
    max_query_bytes_read: int = 0
    split_queries_by_interval_ns: int = HOUR_NS  # > 0: metric points lie on multiples of the step
    volume_enabled: bool = True
    volume_max_series: int = 1000
    required_labels: tuple[str, ...] = ()
    minimum_labels_number: int = 0
    approx_topk_enabled: bool = True
    multi_tenant_queries_enabled: bool = False
    max_concurrent_tail_requests: int = 10
    max_query_memory: int = 1024 * MB
    max_pending_delete_requests: int = 500  # each is looked up by every query of its tenant
    # rules
    ruler_max_rules_per_rule_group: int = 0
    ruler_max_rule_groups_per_tenant: int = 0
    ruler_remote_write_disabled: bool = False

    def with_changes(self, **changes: object) -> "Limits":
        """A copy with some limits replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]


CEILINGS = (
    "max_entries_limit_per_query",
    "max_query_series",
    "max_query_length_ns",
    "max_query_lookback_ns",
    "max_query_range_ns",
    "query_timeout_ns",
    "max_streams_matchers_per_query",
    "max_query_bytes_read",
    "volume_max_series",
    "max_query_memory",
)
"""Limits of queries of which 0 is none and else the smallest is the strictest."""
PERMISSIONS = ("volume_enabled", "approx_topk_enabled", "multi_tenant_queries_enabled")


def strictest(limits: Sequence[Limits]) -> Limits:
    """What a query of several tenants may do: only what each of them may."""
    if len(limits) == 1:
        return limits[0]
    changes: dict[str, object] = {
        name: min((found for one in limits if (found := getattr(one, name))), default=0)
        for name in CEILINGS
    }
    changes |= {name: all(getattr(one, name) for one in limits) for name in PERMISSIONS}
    return limits[0].with_changes(
        **changes,
        required_labels=tuple(sorted({name for one in limits for name in one.required_labels})),
        minimum_labels_number=max(one.minimum_labels_number for one in limits),
    )


class LimitsOf(Protocol):
    """The limits that hold for a tenant now."""

    def __call__(self, tenant: TenantId) -> Limits:
        """The tenant's own limits, or the defaults."""
        ...
