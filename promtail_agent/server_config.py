"""How is an HTTP side of the agent configured? Its own pages (`server`), and pushes to it.

Promtail's keys are those of its server library; the ones marked `Idle` are taken and change
nothing here, of which the log tells (reference/agent.md §3).
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from promtail_agent.config_base import Section
from promtail_agent.durations import Duration

_CLIENT_AUTH = (
    "",
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
)
_IDLE = "idle"
Idle = Annotated[object, _IDLE]
"""A key of Promtail without effect here."""


class ServerTls(Section):
    """A certificate, and who must have one: TLS for a listener."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: str = ""
    """Go's names; what requires a certificate here needs `client_ca_file`."""

    @field_validator("client_auth_type")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in _CLIENT_AUTH:
            raise ValueError(f'invalid client_auth_type "{value}"')
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("a certificate needs both cert_file and key_file")
        if self.client_auth_type.startswith("Require") and not self.client_ca_file:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        return self


class ServerConfig(Section):
    """The agent's own HTTP side. Served where a port is given (Promtail: on port 80 by default)."""

    disable: bool = False
    http_listen_address: str = ""
    """Empty: all addresses, so that a kubelet's probes and a Prometheus reach it."""
    http_listen_port: int | None = Field(default=None, ge=0, le=65535)
    http_path_prefix: str = ""
    http_tls_config: ServerTls = ServerTls()
    health_check_target: bool = True
    enable_runtime_reload: bool = False
    """`/reload` and SIGHUP read the configuration again; SIGHUP does so in any case."""
    register_instrumentation: bool = True
    graceful_shutdown_timeout: Duration = 10.0
    """How long a stopping agent tries to deliver what it has read. (Promtail: 30 s.)"""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    log_format: Literal["", "logfmt", "json"] = ""
    """Empty: logfmt, on a terminal a readable form."""
    external_url: Idle = None
    profiling_enabled: Idle = None
    http_listen_network: Idle = None
    http_listen_conn_limit: Idle = None
    http_server_read_timeout: Idle = None
    http_server_read_header_timeout: Idle = None
    http_server_write_timeout: Idle = None
    http_server_idle_timeout: Idle = None
    http_log_closed_connections_without_response_enabled: Idle = None
    grpc_listen_network: Idle = None
    grpc_listen_address: Idle = None
    grpc_listen_port: Idle = None
    grpc_listen_conn_limit: Idle = None
    grpc_collect_max_streams_by_conn: Idle = None
    grpc_tls_config: Idle = None
    grpc_server_max_recv_msg_size: Idle = None
    grpc_server_max_send_msg_size: Idle = None
    grpc_server_max_concurrent_streams: Idle = None
    grpc_server_max_connection_idle: Idle = None
    grpc_server_max_connection_age: Idle = None
    grpc_server_max_connection_age_grace: Idle = None
    grpc_server_keepalive_time: Idle = None
    grpc_server_keepalive_timeout: Idle = None
    grpc_server_min_time_between_pings: Idle = None
    grpc_server_ping_without_stream_allowed: Idle = None
    grpc_server_num_workers: Idle = None
    grpc_server_stats_tracking_enabled: Idle = None
    grpc_server_recv_buffer_pools_enabled: Idle = None
    grpc_server_read_buffer_size: Idle = None
    grpc_server_write_buffer_size: Idle = None
    tls_cipher_suites: Idle = None
    tls_min_version: Idle = None
    proxy_protocol_enabled: Idle = None
    report_grpc_codes_in_instrumentation_label_enabled: Idle = None
    log_source_ips_enabled: Idle = None
    log_source_ips_full: Idle = None
    log_source_ips_header: Idle = None
    log_source_ips_regex: Idle = None
    log_request_headers: Idle = None
    log_request_at_info_level_enabled: Idle = None
    log_request_exclude_headers_list: Idle = None
    trace_request_headers: Idle = None
    trace_request_exclude_headers_list: Idle = None
    cluster_validation: Idle = None
    create_new_traces: Idle = None
    enable_open_metrics_text_created_samples: Idle = None

    def without_effect(self) -> list[str]:
        """Keys that were given and change nothing."""
        fields = type(self).model_fields
        return [n for n in fields if n in self.model_fields_set and _IDLE in fields[n].metadata]


class PushServerConfig(ServerConfig):
    """The listener of a `loki_push_api` job; of its keys these have an effect."""

    EFFECTIVE: ClassVar[frozenset[str]] = frozenset(
        ("http_listen_address", "http_listen_port", "http_path_prefix", "http_tls_config")
    )

    def without_effect(self) -> list[str]:
        """Keys that were given and change nothing."""
        return [n for n in type(self).model_fields if n in self.model_fields_set - self.EFFECTIVE]
