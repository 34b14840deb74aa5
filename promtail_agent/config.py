"""What may a configuration say? Promtail's YAML, as frozen models (reference/agent.md §2-§9).

Invariant: a key that is not understood is an error that names file, line and key. Keys of Promtail
that this agent does not have are errors too: nothing configured is silently not done. Keys that
change nothing here are accepted and told of (`without_effect`).
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PrivateAttr,
    field_validator,
    model_validator,
)

from narfi.core.relabel import RelabelRule
from promtail_agent.client.config import ClientConfig, SpoolConfig
from promtail_agent.config_base import Section
from promtail_agent.discovery.files import FileSdConfig
from promtail_agent.discovery.http import HttpSdConfig
from promtail_agent.discovery.kubernetes import KubernetesSdConfig
from promtail_agent.discovery.static import StaticTargets
from promtail_agent.durations import Duration
from promtail_agent.limits import LimitsConfig
from promtail_agent.packs.pack import Pack
from promtail_agent.pipeline import StageSpec
from promtail_agent.server_config import ServerConfig
from promtail_agent.targets.compressed import DecompressionConfig
from promtail_agent.targets.docker import DockerSdConfig
from promtail_agent.targets.encoding import check_encoding
from promtail_agent.targets.gelf import GelfConfig
from promtail_agent.targets.journal import JournalConfig
from promtail_agent.targets.kubernetes_events import KubernetesEventsConfig
from promtail_agent.targets.push_api import PushApiConfig
from promtail_agent.targets.syslog import SyslogConfig
from promtail_agent.targets.webhook import WebhookConfig

DEFAULT_POSITIONS_FILE = "/var/log/positions.yaml"
SOURCES = (
    "static_configs",
    "file_sd_configs",
    "http_sd_configs",
    "kubernetes_sd_configs",
    "docker_sd_configs",
    "journal",
    "syslog",
    "gelf",
    "loki_push_api",
    "kubernetes_events",
    "webhook",
)
ABSENT = frozenset(
    (
        "consul_sd_configs",
        "consulagent_sd_configs",
        "dns_sd_configs",
        "ec2_sd_configs",
        "gce_sd_configs",
        "azure_sd_configs",
        "openstack_sd_configs",
        "digitalocean_sd_configs",
        "dockerswarm_sd_configs",
        "marathon_sd_configs",
        "nerve_sd_configs",
        "serverset_sd_configs",
        "triton_sd_configs",
        "gcplog",
        "windows_events",
        "kafka",
        "azure_event_hubs",
        "cloudflare",
        "heroku_drain",
        "attach_metadata",
    )
)
"""Promtail's keys that are errors of their own kind: known, but not there."""


def _is_pack(value: object) -> object:
    if not isinstance(value, Pack):
        raise ValueError("a list of names of packs, or of folders such as ./my-pack, was expected")
    return value


LoadedPack = Annotated[Pack, BeforeValidator(_is_pack), PlainSerializer(str)]
"""A pack; the file has its name."""


class PositionsConfig(Section):
    """Where to remember what was delivered (reference/agent.md §6)."""

    filename: str = DEFAULT_POSITIONS_FILE
    sync_period: Duration = 10.0
    ignore_invalid_yaml: bool = False


class ScrapeConfig(Section):
    """One job: where its lines come from and what is done to them."""

    job_name: str = ""
    static_configs: tuple[StaticTargets, ...] = ()
    file_sd_configs: tuple[FileSdConfig, ...] = ()
    http_sd_configs: tuple[HttpSdConfig, ...] = ()
    kubernetes_sd_configs: tuple[KubernetesSdConfig, ...] = ()
    docker_sd_configs: tuple[DockerSdConfig, ...] = ()
    journal: JournalConfig | None = None
    syslog: SyslogConfig | None = None
    gelf: GelfConfig | None = None
    loki_push_api: PushApiConfig | None = None
    kubernetes_events: KubernetesEventsConfig | None = None
    webhook: WebhookConfig | None = None
    relabel_configs: tuple[RelabelRule, ...] = ()
    pipeline_stages: tuple[StageSpec, ...] = ()
    packs: tuple[LoadedPack, ...] = ()
    """Whose logs may be among the job's; their stages follow the job's own."""
    encoding: str = ""
    """IANA name of the files' characters; empty: UTF-8, or whatever the bytes are."""
    decompression: DecompressionConfig = DecompressionConfig()

    @field_validator("job_name")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value:
            raise ValueError("job_name is empty")
        return value

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str) -> str:
        return check_encoding(value)

    @model_validator(mode="after")
    def _has_source(self) -> "ScrapeConfig":
        if self.job_name and not any(getattr(self, source) for source in SOURCES):
            raise ValueError(f'no valid target scrape config defined for "{self.job_name}"')
        if self.decompression.enabled and not self.decompression.format:
            raise ValueError('decompression needs a format: "gz", "z" or "bz2"')
        return self


class TargetConfig(Section):
    """How often to look for new files."""

    sync_period: Duration = 10.0
    stdin: bool = False
    """Read the standard input instead of all jobs' targets, as `--stdin` does."""


class FileWatchConfig(Section):
    """How often to look for new lines: doubled from min to max while nothing comes."""

    min_poll_frequency: Duration = 0.25
    max_poll_frequency: Duration = 0.25


class GlobalConfig(Section):
    """Settings of all jobs."""

    file_watch_config: FileWatchConfig = FileWatchConfig()


class WalConfig(Section):
    """Promtail's experimental `wal`; enabled, its folder becomes the spool's."""

    enabled: bool = False
    dir: str = ""
    cleanSegmentsOlderThan: Duration = 3600.0  # noqa: N815  the configuration's key
    watchConfig: dict[str, Duration] = Field(default_factory=dict)  # noqa: N815  as above


class TracingConfig(Section):
    """Promtail's traces of itself; accepted, none are made."""

    enabled: bool = False


class OptionsConfig(Section):
    """Accepted; lags of streams are not measured."""

    stream_lag_labels: object = None


class AgentConfig(Section):
    """A whole configuration file."""

    server: ServerConfig = ServerConfig()
    clients: tuple[ClientConfig, ...] = ()
    positions: PositionsConfig = PositionsConfig()
    scrape_configs: tuple[ScrapeConfig, ...] = ()
    packs: tuple[LoadedPack, ...] = ()
    """Those of all jobs that name none; without any job, one of the node's pods is made."""
    target_config: TargetConfig = TargetConfig()
    limits_config: LimitsConfig = LimitsConfig()
    global_config: GlobalConfig = Field(default=GlobalConfig(), alias="global")
    spool: SpoolConfig = SpoolConfig()
    wal: WalConfig = WalConfig()
    tracing: TracingConfig = TracingConfig()
    options: OptionsConfig = OptionsConfig()
    _notices: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("clients")
    @classmethod
    def _some_client(cls, value: tuple[ClientConfig, ...]) -> tuple[ClientConfig, ...]:
        if not value:
            raise ValueError("at least one client config must be provided")
        names = [client.key for client in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"duplicate client configs are not allowed, found duplicate for name: {name}"
                )
        return value

    @field_validator("scrape_configs")
    @classmethod
    def _unique_jobs(cls, value: tuple[ScrapeConfig, ...]) -> tuple[ScrapeConfig, ...]:
        names = [job.job_name for job in value]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'found multiple scrape configs with job name "{name}"')
        return value

    @model_validator(mode="after")
    def _wal_has_a_folder(self) -> "AgentConfig":
        if self.wal.enabled and not (self.wal.dir or self.spool.directory):
            raise ValueError("wal needs a dir")
        return self

    @property
    def spool_directory(self) -> str:
        """Where batches are spooled; "" where they are not."""
        return self.spool.directory or (self.wal.dir if self.wal.enabled else "")

    @property
    def notices(self) -> tuple[str, ...]:
        """Keys that were ignored when the file was read, with their lines."""
        return self._notices

    def with_notices(self, notices: Iterable[str]) -> "AgentConfig":
        """This configuration, and what was ignored of its file."""
        self._notices = tuple(notices)
        return self

    def without_effect(self) -> list[str]:
        """Keys that were given and change nothing."""
        found = [f"server.{key}" for key in self.server.without_effect()]
        for i, client in enumerate(self.clients):
            if "stream_lag_labels" in client.model_fields_set:
                found.append(f"clients[{i}].stream_lag_labels")
        for job in self.scrape_configs:
            if job.loki_push_api is not None:
                prefix = f"{job.job_name}.loki_push_api.server"
                found += [f"{prefix}.{key}" for key in job.loki_push_api.server.without_effect()]
        if self.tracing.enabled:
            found.append("tracing.enabled")
        if "stream_lag_labels" in self.options.model_fields_set:
            found.append("options.stream_lag_labels")
        if self.wal.enabled:
            found += [
                f"wal.{k}"
                for k in ("cleanSegmentsOlderThan", "watchConfig")
                if k in self.wal.model_fields_set
            ]
        return found
