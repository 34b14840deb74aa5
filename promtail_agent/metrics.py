"""What did the agent do? Counters, by the names that Promtail exposes (reference/agent.md §12).

Invariant: every entry that a pipeline was given is counted once as sent, dropped or held.
"""

from collections import Counter
from dataclasses import dataclass, field

from promtail_agent.custom_metrics import CustomMetric, CustomMetrics

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _request_seconds() -> CustomMetric:
    return CustomMetrics().metric(
        "promtail_request_duration_seconds",
        "histogram",
        "Duration of push requests.",
        float("inf"),
        _SECONDS,
    )


@dataclass(slots=True, kw_only=True)
class AgentMetrics:
    """Counters of one agent; written by its threads, read at any time; kept over reloads."""

    read_lines: Counter[str] = field(default_factory=Counter)  # by path
    read_bytes: Counter[str] = field(default_factory=Counter)  # by path; offset reached
    file_bytes: Counter[str] = field(default_factory=Counter)  # by path; size
    files_active: int = 0
    targets_active: int = 0
    targets_failed: Counter[str] = field(default_factory=Counter)  # by reason
    dropped_lines: Counter[str] = field(default_factory=Counter)  # by a stage, by reason
    dropped_by_label: Counter[tuple[str, str]] = field(default_factory=Counter)  # name, value
    # by host, tenant, reason
    dropped_entries: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    dropped_bytes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    mutated_entries: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    mutated_bytes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    sent_entries: Counter[str] = field(default_factory=Counter)  # by host
    sent_bytes: Counter[str] = field(default_factory=Counter)  # by host
    encoded_bytes: Counter[str] = field(default_factory=Counter)  # by host
    batch_retries: Counter[tuple[str, str]] = field(default_factory=Counter)  # host, tenant
    request_seconds: CustomMetric = field(default_factory=_request_seconds)
    rotations: Counter[str] = field(default_factory=Counter)  # renamed, truncated, vanished
    unread_lines: Counter[str] = field(default_factory=Counter)  # by reason; one for each file
    spool_bytes: Counter[str] = field(default_factory=Counter)  # by host; waiting now
    syslog_entries: int = 0
    syslog_parsing_errors: int = 0
    syslog_empty: int = 0
    gelf_entries: int = 0
    gelf_parsing_errors: int = 0
    journal_lines: int = 0
    journal_parsing_errors: Counter[str] = field(default_factory=Counter)  # by error
    docker_entries: int = 0
    docker_parsing_errors: int = 0
    reload_success: int = 0
    reload_fail: int = 0
    positions_saved: int = 0
    custom: CustomMetrics = field(default_factory=CustomMetrics)
    """What `metrics` stages count."""

    def forget(self, path: str) -> None:
        """A path is not read any more: its series go, so that they do not pile up."""
        for counter in (self.read_lines, self.read_bytes, self.file_bytes):
            counter.pop(path, None)

    def drop(self, host: str, tenant: str, reason: str, entries: int, line_bytes: int) -> None:
        """Count entries that will not be delivered."""
        self.dropped_entries[host, tenant, reason] += entries
        self.dropped_bytes[host, tenant, reason] += line_bytes

    def mutate(self, host: str, tenant: str, reason: str, cut_bytes: int) -> None:
        """Count an entry that was changed, and how much of it is missing."""
        self.mutated_entries[host, tenant, reason] += 1
        self.mutated_bytes[host, tenant, reason] += cut_bytes

    def dropped(self, reason: str) -> int:
        """Entries dropped for a reason, of all hosts and tenants."""
        return sum(n for (_, _, r), n in self.dropped_entries.items() if r == reason)

    def mutated(self, reason: str) -> int:
        """Entries changed for a reason."""
        return sum(n for (_, _, r), n in self.mutated_entries.items() if r == reason)
