"""What may a configuration say? Promtail's YAML, as frozen models (reference/agent.md §2-§9).

Invariant: a key that is not understood is an error that names file, line and key. Keys of Promtail
that this agent does not have yet are errors too: nothing configured is silently not done.
"""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from promtail_agent.config_base import Section
from promtail_agent.durations import ByteSize, Duration
from promtail_agent.errors import ConfigError
from promtail_agent.pipeline import StageSpec
from promtail_agent.relabel import RelabelRule
from promtail_agent.stages.labels import check_label_name
from promtail_agent.stages.registry import STAGES
from promtail_agent.targets.push_api import PushApiConfig
from promtail_agent.targets.syslog import SyslogConfig
from promtail_agent.yaml_lines import KeyPath, LinedYaml, load_lined_yaml

DEFAULT_POSITIONS_FILE = "/var/log/positions.yaml"
_LATER = frozenset(
    (
        "file_sd_configs",
        "kubernetes_sd_configs",
        "docker_sd_configs",
        "consul_sd_configs",
        "http_sd_configs",
        "consulagent_sd_configs",
        "dns_sd_configs",
        "journal",
        "gcplog",
        "windows_events",
        "kafka",
        "azure_event_hubs",
        "gelf",
        "cloudflare",
        "heroku_drain",
        "encoding",
        "decompression",
    )
)


class BackoffConfig(Section):
    """How long to wait between attempts: doubled each time, with jitter."""

    min_period: Duration = 0.5
    max_period: Duration = 300.0
    max_retries: int = Field(default=0, ge=0)
    """0: never give up, the files wait. (Promtail: 10, then the batch is lost.)"""


class BasicAuth(Section):
    """HTTP Basic credentials."""

    username: str
    password: str = ""
    password_file: str = ""


class TlsConfig(Section):
    """How to trust the server, and how to be trusted."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure_skip_verify: bool = False


class ClientConfig(Section):
    """One server to push to (reference/agent.md §4)."""

    url: str = ""
    """The whole address, such as http://localhost:3100/loki/api/v1/push."""
    name: str = ""
    tenant_id: str = ""
    """Sent as X-Scope-OrgID where it is not empty; the label __tenant_id__ goes before it."""
    batchwait: Duration = 1.0
    batchsize: ByteSize = Field(default=1 << 20, gt=0)
    """Bytes of lines and metadata in one batch."""
    timeout: Duration = 10.0
    backoff_config: BackoffConfig = BackoffConfig()
    external_labels: dict[str, str] = Field(default_factory=dict)
    """Added to every entry; labels of the entry win."""
    headers: dict[str, str] = Field(default_factory=dict)
    drop_rate_limited_batches: bool = False
    basic_auth: BasicAuth | None = None
    bearer_token: str = ""
    bearer_token_file: str = ""
    tls_config: TlsConfig = TlsConfig()

    @field_validator("url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not value:
            raise ValueError("a client needs a url")
        if not value.startswith(("http://", "https://")):
            raise ValueError(f'url "{value}" must start with http:// or https://')
        return value


class PositionsConfig(Section):
    """Where to remember what was delivered (reference/agent.md §6)."""

    filename: str = DEFAULT_POSITIONS_FILE
    sync_period: Duration = 10.0
    ignore_invalid_yaml: bool = False


class StaticTargets(Section):
    """Labels of a group of files; `__path__` says which."""

    targets: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("labels")
    @classmethod
    def _names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            check_label_name(name)
        return value


class ScrapeConfig(Section):
    """One job: where its lines come from and what is done to them."""

    job_name: str = ""
    static_configs: tuple[StaticTargets, ...] = ()
    relabel_configs: tuple[RelabelRule, ...] = ()
    pipeline_stages: tuple[StageSpec, ...] = ()
    syslog: SyslogConfig | None = None
    loki_push_api: PushApiConfig | None = None

    @field_validator("job_name")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value:
            raise ValueError("job_name is empty")
        return value

    @field_validator("pipeline_stages", mode="before")
    @classmethod
    def _no_stages(cls, value: object) -> object:
        return () if value is None else value

    @model_validator(mode="after")
    def _has_source(self) -> "ScrapeConfig":
        received = self.syslog is not None or self.loki_push_api is not None
        if self.job_name and not self.static_configs and not received:
            raise ValueError(f'no valid target scrape config defined for "{self.job_name}"')
        return self


class TargetConfig(Section):
    """How often to look for new files."""

    sync_period: Duration = 10.0


class FileWatchConfig(Section):
    """How often to look for new lines: doubled from min to max while nothing comes."""

    min_poll_frequency: Duration = 0.25
    max_poll_frequency: Duration = 0.25


class GlobalConfig(Section):
    """Settings of all jobs."""

    file_watch_config: FileWatchConfig = FileWatchConfig()


class LimitsConfig(Section):
    """What is too much (reference/agent.md §5)."""

    max_line_size: ByteSize = 0
    """Bytes; 0: no limit. Longer lines are dropped, or cut where so configured."""
    max_line_size_truncate: bool = False


class ServerConfig(Section):
    """The agent's own HTTP side. Served where a port is given (Promtail: on port 80 by default)."""

    disable: bool = False
    http_listen_address: str = "127.0.0.1"
    http_listen_port: int | None = None
    health_check_target: bool = True
    grpc_listen_address: str = ""
    grpc_listen_port: int = 9095
    log_level: str = "info"
    log_format: str = "logfmt"


class AgentConfig(Section):
    """A whole configuration file."""

    server: ServerConfig = ServerConfig()
    clients: tuple[ClientConfig, ...] = ()
    positions: PositionsConfig = PositionsConfig()
    scrape_configs: tuple[ScrapeConfig, ...] = ()
    target_config: TargetConfig = TargetConfig()
    limits_config: LimitsConfig = LimitsConfig()
    global_config: GlobalConfig = Field(default=GlobalConfig(), alias="global")

    @field_validator("clients")
    @classmethod
    def _some_client(cls, value: tuple[ClientConfig, ...]) -> tuple[ClientConfig, ...]:
        if not value:
            raise ValueError("at least one client config must be provided")
        names = [client.name for client in value if client.name]
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


def load_agent_config(path: str | Path, expand_env: bool = False) -> AgentConfig:
    """Read, check and freeze a configuration; raises `ConfigError` with a line for each mistake."""
    document = load_lined_yaml(Path(path), expand_env)
    value = document.value
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: the configuration must be a mapping of keys to values")
    mistakes: list[str] = []
    if "client" in value:
        value["clients"] = [value.pop("client"), *(value.get("clients") or [])]
    for i, job in enumerate(value.get("scrape_configs") or []):
        if isinstance(job, dict) and isinstance(job.get("pipeline_stages"), list):
            at = ("scrape_configs", i, "pipeline_stages")
            job["pipeline_stages"] = _read_stages(document, at, job["pipeline_stages"], mistakes)
    try:
        config = AgentConfig.model_validate(value)
    except ValidationError as error:
        mistakes += _texts(document, (), error)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return config


def _read_stages(
    document: LinedYaml, at: KeyPath, stages: list[object], mistakes: list[str]
) -> list[StageSpec]:
    specs: list[StageSpec] = []
    for i, stage in enumerate(stages):
        here = (*at, i)
        if not isinstance(stage, dict):
            message = (
                "invalid YAML config, make sure each stage of your pipeline is a YAML object "
                f"(must end with a `:`), check stage `- {stage}`"
            )
            mistakes.append(document.complain(here, message))
        elif len(stage) != 1:
            message = "pipeline stage must contain only one key"
            mistakes.append(document.complain(here, message))
        else:
            [(name, body)] = stage.items()
            spec = _read_stage(document, (*here, name), name, body, mistakes)
            if spec is not None:
                specs.append(spec)
    return specs


def _read_stage(
    document: LinedYaml, at: KeyPath, name: str, body: Any, mistakes: list[str]
) -> StageSpec | None:
    module = STAGES.get(name)
    if module is None:
        message = f"invalid {name} stage config: Unknown stage type: {name}"
        mistakes.append(document.complain(at, message))
        return None
    try:
        return StageSpec(name, module.Config.model_validate({} if body is None else body))
    except ValidationError as error:
        mistakes += _texts(document, at, error, f"invalid {name} stage config: ")
        return None


def _texts(
    document: LinedYaml, base: KeyPath, error: ValidationError, prefix: str = ""
) -> list[str]:
    """One line for each mistake that pydantic found."""
    out: list[str] = []
    for mistake in error.errors(include_url=False):
        path: KeyPath = (*base, *mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            known = path[-1] in _LATER
            message = "not supported yet" if known else "unknown key"
        elif mistake["type"] == "missing":
            message = "this key is required"
        else:
            message = mistake["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:] if not prefix else message
        text = document.complain(path, prefix + message)
        if text not in out:
            out.append(text)
    return out
