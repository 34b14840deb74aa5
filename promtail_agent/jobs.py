"""What is one job at work? Its sources, its pipeline, where its entries come from.

A new kind of source is one line in `_received` or `_discoveries`, and a key of `ScrapeConfig`.
"""

from collections.abc import Sequence

from narfi.core.relabel import relabel
from promtail_agent.config import AgentConfig, ScrapeConfig
from promtail_agent.discovery.base import Discovery
from promtail_agent.discovery.files import FileDiscovery
from promtail_agent.discovery.http import HttpDiscovery
from promtail_agent.discovery.kubernetes import KubernetesDiscovery
from promtail_agent.discovery.static import StaticDiscovery
from promtail_agent.errors import ConfigError, ListenError
from promtail_agent.inspect import Inspector
from promtail_agent.metrics import AgentMetrics
from promtail_agent.packs.choice import choosing
from promtail_agent.packs.pack import RawStages
from promtail_agent.packs.routing import PackStages
from promtail_agent.pipeline import Pipeline, build_pipeline, parse_stages
from promtail_agent.positions import PositionLedger
from promtail_agent.stages.base import Stage, StageContext
from promtail_agent.targets.docker import DockerSource
from promtail_agent.targets.files import FileJob, FileSource
from promtail_agent.targets.gelf import GelfSource
from promtail_agent.targets.journal import JournalSource
from promtail_agent.targets.kubernetes_events import KubernetesEventsSource
from promtail_agent.targets.push_api import PushApiSource
from promtail_agent.targets.received import ReceivedSource
from promtail_agent.targets.stdin import StdinSource
from promtail_agent.targets.syslog import SyslogSource
from promtail_agent.targets.webhook import WebhookSource


class Job:
    """One scrape config; raises `ConfigError` for what shows only when it is put to work."""

    def __init__(
        self,
        *,
        config: ScrapeConfig,
        agent: AgentConfig,
        ledger: PositionLedger,
        context: StageContext,
        inspector: Inspector | None = None,
        since_ns: int | None = None,
    ) -> None:
        self.name = config.job_name
        try:
            self.pipeline = _pipeline(config, context, inspector)
        except ValueError as error:
            raise ConfigError(f"job {self.name}: {error}") from error
        files = FileJob(
            name=config.job_name,
            rules=config.relabel_configs,
            discoveries=_discoveries(config),
            codec=config.encoding,
            decompression=config.decompression,
        )
        self.files = FileSource(files, ledger, context.metrics, since_ns)
        self.received = _received(config, agent, ledger, context.metrics)

    @classmethod
    def of_stdin(
        cls,
        config: ScrapeConfig,
        agent: AgentConfig,
        ledger: PositionLedger,
        context: StageContext,
        inspector: Inspector | None = None,
    ) -> "Job":
        """The job that reads the standard input and nothing else."""
        bare = ScrapeConfig.model_construct(
            job_name=config.job_name, pipeline_stages=config.pipeline_stages, packs=config.packs
        )
        job = cls(config=bare, agent=agent, ledger=ledger, context=context, inspector=inspector)
        groups = config.static_configs
        labels = groups[0].labels if groups else {}
        if config.packs:
            labels = relabel(labels, [choosing(config.packs)]) or {}
        job.received = [StdinSource(labels)]
        return job

    @property
    def stdin(self) -> StdinSource | None:
        """The standard input, where it is read."""
        return next((s for s in self.received if isinstance(s, StdinSource)), None)

    def start(self) -> None:
        """Begin to listen and discover; raises `ListenError`."""
        for source in self.received:
            try:
                source.start()
            except OSError as error:
                why = error.strerror or str(error)
                raise ListenError(f"job {self.name}: cannot listen: {why}") from error
        self.files.start()


def _pipeline(config: ScrapeConfig, context: StageContext, inspector: Inspector | None) -> Pipeline:
    """The job's stages, then those of its packs."""
    own = build_pipeline(config.pipeline_stages, context, inspector)
    if not config.packs:
        return own

    def build(stages: RawStages, /) -> Pipeline:
        return build_pipeline(parse_stages(stages), context)

    packs: Stage = PackStages(config.packs, build)
    return Pipeline([own, packs if inspector is None else inspector.watch("packs", packs)])


def _discoveries(config: ScrapeConfig) -> Sequence[Discovery]:
    return [
        StaticDiscovery(config.static_configs),
        *(FileDiscovery(sd) for sd in config.file_sd_configs),
        *(HttpDiscovery(sd) for sd in config.http_sd_configs),
        *(KubernetesDiscovery(sd) for sd in config.kubernetes_sd_configs),
    ]


def _received(
    config: ScrapeConfig, agent: AgentConfig, ledger: PositionLedger, metrics: AgentMetrics
) -> list[ReceivedSource]:
    rules = config.relabel_configs
    found: list[ReceivedSource] = []
    if config.syslog is not None:
        found.append(SyslogSource(config.syslog, rules, metrics))
    if config.loki_push_api is not None:
        found.append(PushApiSource(config.loki_push_api, rules))
    if config.gelf is not None:
        found.append(GelfSource(config.gelf, rules, metrics))
    if config.webhook is not None:
        found.append(WebhookSource(config.webhook, rules))
    if config.kubernetes_events is not None:
        found.append(
            KubernetesEventsSource(
                config.kubernetes_events, config.job_name, rules, ledger.cursor_of
            )
        )
    if config.journal is not None:
        start = ledger.begin_at(f"cursor-{config.job_name}")
        cursor = start.cursor if start is not None else ""
        found.append(
            JournalSource(
                config=config.journal,
                job=config.job_name,
                rules=rules,
                metrics=metrics,
                cursor=cursor,
            )
        )
    cursors = {path: ledger.cursor_of(path) for path in ledger.paths()}
    limit = agent.limits_config.max_line_size
    for docker in config.docker_sd_configs:
        found.append(
            DockerSource(
                config=docker, rules=rules, metrics=metrics, cursors=cursors, max_line_bytes=limit
            )
        )
    return found
