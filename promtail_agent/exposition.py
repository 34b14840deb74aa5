"""How are the agent's numbers shown? In Prometheus' text, under Promtail's names (agent.md §12)."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric

from promtail_agent.entry import valid_text
from promtail_agent.http_settings import USER_AGENT
from promtail_agent.metrics import AgentMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BATCH = ("host", "tenant", "reason")
# attribute of AgentMetrics: name, kind, labels, help
FAMILIES: Mapping[str, tuple[str, str, tuple[str, ...], str]] = {
    "read_lines": ("promtail_read_lines_total", "counter", ("path",), "Lines read."),
    "read_bytes": ("promtail_read_bytes_total", "gauge", ("path",), "Bytes read."),
    "file_bytes": ("promtail_file_bytes_total", "gauge", ("path",), "Bytes of files."),
    "files_active": ("promtail_files_active_total", "gauge", (), "Files being read."),
    "targets_active": ("promtail_targets_active_total", "gauge", (), "Targets being read."),
    "targets_failed": (
        "promtail_targets_failed_total",
        "counter",
        ("reason",),
        "Targets that were left out.",
    ),
    "sent_entries": ("promtail_sent_entries_total", "counter", ("host",), "Entries delivered."),
    "sent_bytes": ("promtail_sent_bytes_total", "counter", ("host",), "Bytes delivered."),
    "encoded_bytes": (
        "promtail_encoded_bytes_total",
        "counter",
        ("host",),
        "Bytes encoded to be sent.",
    ),
    "batch_retries": (
        "promtail_batch_retries_total",
        "counter",
        ("host", "tenant"),
        "Attempts after the first.",
    ),
    "dropped_entries": (
        "promtail_dropped_entries_total",
        "counter",
        _BATCH,
        "Entries given up.",
    ),
    "dropped_bytes": ("promtail_dropped_bytes_total", "counter", _BATCH, "Bytes given up."),
    "mutated_entries": ("promtail_mutated_entries_total", "counter", _BATCH, "Entries cut."),
    "mutated_bytes": ("promtail_mutated_bytes_total", "counter", _BATCH, "Bytes cut away."),
    "dropped_lines": (
        "logentry_dropped_lines_total",
        "counter",
        ("reason",),
        "Entries dropped by stages.",
    ),
    "dropped_by_label": (
        "logentry_dropped_lines_by_label_total",
        "counter",
        ("label_name", "label_value"),
        "Entries dropped by the limit of a label's value.",
    ),
    "rotations": ("promtail_rotations_total", "counter", ("kind",), "Rotations seen."),
    "unread_lines": (
        "promtail_unread_lines_total",
        "counter",
        ("reason",),
        "Lines that could not be read; one for each file.",
    ),
    "spool_bytes": ("promtail_spool_bytes", "gauge", ("host",), "Bytes that wait on disk."),
    "syslog_entries": ("promtail_syslog_target_entries_total", "counter", (), "Messages."),
    "syslog_parsing_errors": (
        "promtail_syslog_target_parsing_errors_total",
        "counter",
        (),
        "Messages that are none.",
    ),
    "syslog_empty": ("promtail_syslog_empty_messages_total", "counter", (), "Empty messages."),
    "gelf_entries": ("promtail_gelf_target_entries_total", "counter", (), "Messages."),
    "gelf_parsing_errors": (
        "promtail_gelf_target_parsing_errors_total",
        "counter",
        (),
        "Messages that are none.",
    ),
    "journal_lines": ("promtail_journal_target_lines_total", "counter", (), "Entries."),
    "journal_parsing_errors": (
        "promtail_journal_target_parsing_errors_total",
        "counter",
        ("error",),
        "Entries without a line.",
    ),
    "docker_entries": ("promtail_docker_target_entries_total", "counter", (), "Lines."),
    "docker_parsing_errors": (
        "promtail_docker_target_parsing_errors_total",
        "counter",
        (),
        "Lines that are none.",
    ),
    "reload_success": (
        "promtail_config_reload_success_total",
        "counter",
        (),
        "Reloads of the configuration.",
    ),
    "reload_fail": (
        "promtail_config_reload_fail_total",
        "counter",
        (),
        "Reloads that changed nothing.",
    ),
    "positions_saved": ("promtail_positions_saved_total", "counter", (), "Positions written."),
}


class _Collector:
    """One collection for prometheus_client."""

    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """All families."""
        yield _build_info()
        for attribute, (name, kind, labels, text) in FAMILIES.items():
            family = Metric(name.removesuffix("_total") if kind == "counter" else name, text, kind)
            for key, value in _rows(getattr(self._metrics, attribute)):
                shown = (valid_text(text) for text in key)
                family.add_sample(name, dict(zip(labels, shown, strict=True)), value)
            yield family
        yield self._metrics.request_seconds.family()
        yield from self._metrics.custom.families()


def _rows(value: Any) -> Iterator[tuple[tuple[str, ...], float]]:
    if isinstance(value, int):
        yield (), value
        return
    for key, count in list(value.items()):
        yield key if isinstance(key, tuple) else (key,), count


def _build_info() -> Metric:
    family = Metric("promtail_build_info", "What this is.", "gauge")
    labels = {"version": USER_AGENT.rpartition("/")[2], "pythonversion": platform.python_version()}
    family.add_sample("promtail_build_info", labels, 1)
    return family


def render_metrics(metrics: AgentMetrics) -> str:
    """Prometheus' text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    ProcessCollector(registry=registry)
    return generate_latest(registry).decode()
