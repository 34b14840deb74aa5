"""Which flags does `narfi agent` take? Promtail's, and a few of its own.

Most stand for a key of the configuration and go before the file. What such a key does, or that it
does nothing here, is told as for the file's keys; flags in `WITHOUT_EFFECT` stand for no key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from narfi.cli.go_flags import Flag
from promtail_agent.yaml_lines import KeyPath

_OWN = (
    Flag("config.file", "string", "YAML file, as Promtail's"),
    Flag("config", "string", "the same"),
    Flag("config.expand-env", "bool", "replace ${NAME} in the file by the environment's"),
    Flag("expand-env", "bool", "the same"),
    Flag("dry-run", "bool", "print entries instead of pushing them"),
    Flag("output", "string", "form of what --dry-run prints: text or jsonl"),
    Flag("stdin", "bool", "read lines from the standard input"),
    Flag("inspect", "bool", "show what each stage does"),
    Flag("check-syntax", "bool", "only check the file"),
    Flag("print-config-stderr", "bool", "print the effective configuration"),
    Flag("log-config-reverse-order", "bool", "log it, last line first"),
    Flag("version", "bool", "print the version"),
    Flag("client.external-labels", "labels", "k=v,k=v: labels for all servers; the file's win"),
)

_KEYS: Mapping[str, tuple[str, KeyPath]] = {
    "positions.file": ("string", ("positions", "filename")),
    "positions.sync-period": ("duration", ("positions", "sync_period")),
    "positions.ignore-invalid-yaml": ("bool", ("positions", "ignore_invalid_yaml")),
    "target.sync-period": ("duration", ("target_config", "sync_period")),
    "file-watch.min_poll_frequency": (
        "duration",
        ("global", "file_watch_config", "min_poll_frequency"),
    ),
    "file-watch.max_poll_frequency": (
        "duration",
        ("global", "file_watch_config", "max_poll_frequency"),
    ),
    "limit.readline-rate": ("float", ("limits_config", "readline_rate")),
    "limit.readline-burst": ("int", ("limits_config", "readline_burst")),
    "limit.readline-rate-enabled": ("bool", ("limits_config", "readline_rate_enabled")),
    "limit.readline-rate-drop": ("bool", ("limits_config", "readline_rate_drop")),
    "max-streams": ("int", ("limits_config", "max_streams")),
    "max-line-size": ("size", ("limits_config", "max_line_size")),
    "max-line-size-truncate": ("bool", ("limits_config", "max_line_size_truncate")),
    "tracing.enabled": ("bool", ("tracing", "enabled")),
    "log.level": ("string", ("server", "log_level")),
    "log.format": ("string", ("server", "log_format")),
    "server.disable": ("bool", ("server", "disable")),
    "server.profiling_enabled": ("bool", ("server", "profiling_enabled")),
    "server.enable-runtime-reload": ("bool", ("server", "enable_runtime_reload")),
    "server.register-instrumentation": ("bool", ("server", "register_instrumentation")),
    "server.graceful-shutdown-timeout": ("duration", ("server", "graceful_shutdown_timeout")),
    "server.path-prefix": ("string", ("server", "http_path_prefix")),
    "server.http-listen-address": ("string", ("server", "http_listen_address")),
    "server.http-listen-port": ("int", ("server", "http_listen_port")),
    "server.http-listen-network": ("string", ("server", "http_listen_network")),
    "server.http-conn-limit": ("int", ("server", "http_listen_conn_limit")),
    "server.http-read-timeout": ("duration", ("server", "http_server_read_timeout")),
    "server.http-read-header-timeout": ("duration", ("server", "http_server_read_header_timeout")),
    "server.http-write-timeout": ("duration", ("server", "http_server_write_timeout")),
    "server.http-idle-timeout": ("duration", ("server", "http_server_idle_timeout")),
    "server.http-tls-cert-path": ("string", ("server", "http_tls_config", "cert_file")),
    "server.http-tls-key-path": ("string", ("server", "http_tls_config", "key_file")),
    "server.http-tls-client-auth": ("string", ("server", "http_tls_config", "client_auth_type")),
    "server.http-tls-ca-path": ("string", ("server", "http_tls_config", "client_ca_file")),
    "server.grpc-listen-address": ("string", ("server", "grpc_listen_address")),
    "server.grpc-listen-port": ("int", ("server", "grpc_listen_port")),
    "server.grpc-listen-network": ("string", ("server", "grpc_listen_network")),
    "server.grpc-conn-limit": ("int", ("server", "grpc_listen_conn_limit")),
    "server.grpc-max-recv-msg-size-bytes": ("int", ("server", "grpc_server_max_recv_msg_size")),
    "server.grpc-max-send-msg-size-bytes": ("int", ("server", "grpc_server_max_send_msg_size")),
    "server.grpc-max-concurrent-streams": (
        "int",
        ("server", "grpc_server_max_concurrent_streams"),
    ),
}

_CLIENT_KEYS: Mapping[str, tuple[str, KeyPath]] = {
    "client.url": ("string", ("url",)),
    "client.tenant-id": ("string", ("tenant_id",)),
    "client.batch-wait": ("duration", ("batchwait",)),
    "client.batch-size-bytes": ("int", ("batchsize",)),
    "client.timeout": ("duration", ("timeout",)),
    "client.min-backoff": ("duration", ("backoff_config", "min_period")),
    "client.max-backoff": ("duration", ("backoff_config", "max_period")),
    "client.max-retries": ("int", ("backoff_config", "max_retries")),
    "client.drop-rate-limited-batches": ("bool", ("drop_rate_limited_batches",)),
}

WITHOUT_EFFECT: Mapping[str, str] = {
    "client.stream-lag-labels": "string",
    "server.tls-cipher-suites": "string",
    "server.tls-min-version": "string",
    "server.grpc-tls-cert-path": "string",
    "server.grpc-tls-key-path": "string",
    "server.grpc-tls-client-auth": "string",
    "server.grpc-tls-ca-path": "string",
    "server.grpc-collect-max-streams-by-conn": "bool",
    "server.report-grpc-codes-in-instrumentation-label-enabled": "bool",
    "server.http-log-closed-connections-without-response-enabled": "bool",
    "server.grpc.keepalive.max-connection-idle": "duration",
    "server.grpc.keepalive.max-connection-age": "duration",
    "server.grpc.keepalive.max-connection-age-grace": "duration",
    "server.grpc.keepalive.time": "duration",
    "server.grpc.keepalive.timeout": "duration",
    "server.grpc.keepalive.min-time-between-pings": "duration",
    "server.grpc.keepalive.ping-without-stream-allowed": "bool",
    "server.grpc.stats-tracking-enabled": "bool",
    "server.grpc.recv-buffer-pools-enabled": "bool",
    "server.grpc.num-workers": "int",
    "server.grpc.read-buffer-size-bytes": "int",
    "server.grpc.write-buffer-size-bytes": "int",
    "server.log-source-ips-enabled": "bool",
    "server.log-source-ips-full": "bool",
    "server.log-source-ips-header": "string",
    "server.log-source-ips-regex": "string",
    "server.log-request-headers": "bool",
    "server.log-request-headers-exclude-list": "string",
    "server.log-request-at-info-level-enabled": "bool",
    "server.trace-request-headers": "bool",
    "server.trace-request-headers-exclude-list": "string",
    "server.proxy-protocol-enabled": "bool",
    "server.throughput.latency-cutoff": "duration",
    "server.throughput.unit": "string",
    "server.create-new-traces": "bool",
    "server.cluster-validation.label": "string",
    "server.cluster-validation.additional-labels": "string",
    "server.cluster-validation.grpc.enabled": "bool",
    "server.cluster-validation.grpc.soft-validation": "bool",
    "server.cluster-validation.http.enabled": "bool",
    "server.cluster-validation.http.soft-validation": "bool",
    "server.cluster-validation.http.excluded-paths": "string",
    "server.cluster-validation.http.excluded-user-agents": "string",
}


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)


FLAGS: Mapping[str, Flag] = {
    **{flag.name: flag for flag in _OWN},
    **{
        n: Flag(n, kind, f"`{_dotted(path)}`, before the file's")
        for n, (kind, path) in _KEYS.items()
    },
    **{
        n: Flag(n, kind, f"`{_dotted(path)}` of one more server")
        for n, (kind, path) in _CLIENT_KEYS.items()
    },
    **{n: Flag(n, kind, "accepted, without effect") for n, kind in WITHOUT_EFFECT.items()},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenKeys:
    """What flags say of the configuration: keys, keys of one client, labels of all."""

    overrides: dict[KeyPath, object] = field(default_factory=dict)
    client: dict[KeyPath, object] = field(default_factory=dict)
    external_labels: dict[str, str] = field(default_factory=dict)


def given_keys(values: Mapping[str, object]) -> GivenKeys:
    """The keys that given flags stand for."""
    labels = values.get("client.external-labels", {})
    assert isinstance(labels, dict)
    return GivenKeys(
        overrides={_KEYS[name][1]: value for name, value in values.items() if name in _KEYS},
        client={
            _CLIENT_KEYS[name][1]: value for name, value in values.items() if name in _CLIENT_KEYS
        },
        external_labels=labels,
    )
