"""What does the ruler count? Loki's names where the mixin's dashboards read them."""

from prometheus_client import Counter, Gauge, Summary

_GROUP = ["user", "rule_group"]
EVALUATIONS = Counter(
    "loki_prometheus_rule_evaluations_total", "Evaluations of rules, failed ones too.", _GROUP
)
EVALUATION_FAILURES = Counter(
    "loki_prometheus_rule_evaluation_failures_total", "Evaluations of rules that failed.", _GROUP
)
ITERATIONS = Counter(
    "loki_prometheus_rule_group_iterations_total", "Slots of groups, missed ones too.", _GROUP
)
MISSED = Counter(
    "loki_prometheus_rule_group_iterations_missed_total",
    "Slots that were over before the evaluation before was done.",
    _GROUP,
)
EVALUATION_SECONDS = Summary(
    "loki_prometheus_rule_evaluation_duration_seconds", "Time to evaluate a rule.", ["user"]
)
GROUP_SECONDS = Summary(
    "loki_prometheus_rule_group_duration_seconds", "Time to evaluate a group.", ["user"]
)
INTERVAL = Gauge("loki_prometheus_rule_group_interval_seconds", "The interval of a group.", _GROUP)
LAST_SECONDS = Gauge(
    "loki_prometheus_rule_group_last_duration_seconds", "Time of the last evaluation.", _GROUP
)
LAST_TIMESTAMP = Gauge(
    "loki_prometheus_rule_group_last_evaluation_timestamp_seconds",
    "When the last evaluation began.",
    _GROUP,
)
RULES = Gauge("loki_prometheus_rule_group_rules", "Rules of a group.", _GROUP)
LAST_SAMPLES = Gauge(
    "loki_prometheus_last_evaluation_samples", "Series of the last evaluation.", _GROUP
)
PARTIAL = Counter(
    "narfi_ruler_partial_evaluations_total",
    "Evaluations over data of which some may be missing: what is not seen holds its state.",
    ["user"],
)
STATE_FAILURES = Counter(
    "narfi_ruler_state_failures_total", "States of groups that could not be written at once."
)
PROBLEMS = Gauge(
    "narfi_ruler_load_problems", "Files, groups and rules that cannot be used; see /ruler/status."
)
NOTIFIED = Counter(
    "loki_prometheus_notifications_sent_total",
    "Alerts that were sent.",
    ["user", "alertmanager"],
)
NOTIFY_ERRORS = Counter(
    "loki_prometheus_notifications_errors_total",
    "Alerts of requests that failed; they are tried again.",
    ["user", "alertmanager"],
)
NOTIFY_DROPPED = Counter(
    "loki_prometheus_notifications_dropped_total",
    "Alerts that were given up.",
    ["user", "alertmanager"],
)
NOTIFY_WAITING = Gauge(
    "loki_prometheus_notifications_queue_length", "Alerts that wait.", ["alertmanager"]
)
NOTIFY_SECONDS = Summary(
    "loki_prometheus_notifications_latency_seconds",
    "Time of a request to an Alertmanager.",
    ["user", "alertmanager"],
)
APPENDER_READY = Gauge(
    "loki_ruler_wal_appender_ready", "1: samples of a tenant are kept to be written.", ["tenant"]
)
APPENDED = Counter(
    "loki_ruler_wal_samples_appended", "Samples that rules gave to be written.", ["tenant"]
)
_WRITER = ["tenant", "remote_name"]
WRITTEN = Counter(
    "loki_ruler_wal_prometheus_remote_storage_samples", "Samples that were written.", _WRITER
)
WRITTEN_BYTES = Counter(
    "loki_ruler_wal_prometheus_remote_storage_bytes",
    "Bytes of requests that were taken, compressed.",
    _WRITER,
)
NEWEST = Gauge(
    "loki_ruler_wal_prometheus_remote_storage_highest_timestamp_in_seconds",
    "Time of the newest sample that was kept to be written.",
    _WRITER,
)
NEWEST_WRITTEN = Gauge(
    "loki_ruler_wal_prometheus_remote_storage_queue_highest_sent_timestamp_seconds",
    "Time of the newest sample that was written.",
    _WRITER,
)
WRITE_FAILED = Counter(
    "loki_ruler_wal_prometheus_remote_storage_samples_failed",
    "Samples that a receiver refused: they are given up.",
    _WRITER,
)
WRITE_RETRIED = Counter(
    "loki_ruler_wal_prometheus_remote_storage_samples_retried",
    "Samples of requests that failed; they are sent again.",
    _WRITER,
)
WRITE_DROPPED = Counter(
    "loki_ruler_wal_prometheus_remote_storage_samples_dropped",
    "Samples that were not sent: too old, or too many wait.",
    _WRITER,
)
WRITE_PENDING = Gauge(
    "loki_ruler_wal_prometheus_remote_storage_samples_pending", "Samples that wait.", _WRITER
)

BY_GROUP = (
    EVALUATIONS,
    EVALUATION_FAILURES,
    ITERATIONS,
    MISSED,
    INTERVAL,
    LAST_SECONDS,
    LAST_TIMESTAMP,
    RULES,
    LAST_SAMPLES,
)


def forget_group(tenant: str, group: str) -> None:
    """A group is gone: it is not shown any more."""
    for metric in BY_GROUP:
        metric.remove(tenant, group)
