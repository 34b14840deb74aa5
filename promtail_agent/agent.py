"""How do the parts run together? One thread reads, one a client sends, the caller's waits.

Invariant: at least once, over kill -9 of the agent and outages of the server; the server knows a
line that comes twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from promtail_agent.client.batch import Batcher
from promtail_agent.client.batch_queue import BatchQueue, MemoryQueue
from promtail_agent.client.config import ClientConfig
from promtail_agent.client.printer import Printer
from promtail_agent.client.sender import BatchSink, Sender
from promtail_agent.client.spool import Spool
from promtail_agent.config import AgentConfig, ScrapeConfig
from promtail_agent.errors import PositionsError
from promtail_agent.inspect import Inspector
from promtail_agent.jobs import Job
from promtail_agent.metrics import AgentMetrics
from promtail_agent.own_pages import JobRow, TargetRow
from promtail_agent.own_server import OwnServer
from promtail_agent.positions import Mark, PositionLedger, load_positions
from promtail_agent.reading import Client, Reading
from promtail_agent.stages.base import StageContext

_log = logging.getLogger(__name__)

STDIN_JOB = ScrapeConfig.model_construct(job_name="stdin")
"""The job of the standard input where the configuration has none."""
_LOOK_S = 0.25
"""How soon the places of new files are saved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """What the command line asks for besides the configuration."""

    dry_run: bool = False
    output: str = "text"
    """How a dry run prints entries (`client/printer.py`)."""
    stdin: bool = False
    inspect: bool = False
    notices: tuple[str, ...] = ()
    """What of the command line has no effect; told once."""
    logs_config: bool = False
    """Log the effective configuration, last line first."""
    reload: Callable[[], str] | None = None
    """Reads the configuration again; what is wrong with it, or ""."""
    since_ns: int | None = None
    """When the process began: what was rotated since is read, however long the start takes."""


class Agent:
    """A configured agent; `start`, then `stop` once. Raises `AppError` when it cannot start."""

    def __init__(
        self,
        config: AgentConfig,
        options: RunOptions | None = None,
        metrics: AgentMetrics | None = None,
    ) -> None:
        self.metrics = metrics if metrics is not None else AgentMetrics()
        self._config, self._options = config, options or RunOptions()
        self._ledger = self._open_ledger()
        indexes = range(len(config.clients))
        self._clients = [self._client(i, config.clients[i]) for i in indexes]
        context = StageContext(metrics=self.metrics)
        self._jobs = self._make_jobs(context)
        self._reading = Reading(
            config=config,
            jobs=self._jobs,
            clients=self._clients,
            ledger=self._ledger,
            metrics=self.metrics,
            context=context,
            save=self.save_positions,
        )
        self._own: OwnServer | None = None

    def _open_ledger(self) -> PositionLedger:
        config = self._config
        file = Path(config.positions.filename)
        if not self._saves_positions:
            file = file if file.exists() else Path("/dev/null")
        elif not file.absolute().parent.is_dir():
            raise PositionsError(f"folder of the positions file {file} does not exist")
        saved = load_positions(file, config.positions.ignore_invalid_yaml)
        return PositionLedger(file, len(config.clients), saved)

    @property
    def _saves_positions(self) -> bool:
        return not (self._options.dry_run or self._reads_stdin)

    @property
    def _reads_stdin(self) -> bool:
        return self._options.stdin or self._config.target_config.stdin

    def _client(self, index: int, client: ClientConfig) -> Client:
        limits, metrics = self._config.limits_config, self.metrics
        if self._options.dry_run:
            single = client.model_copy(update={"batchsize": 1})  # printed in the order they came
            printer = Printer(self._options.output)
            return Client(Batcher(single, limits, metrics), printer, client.batchwait)

        def deliver(marks: Mapping[str, Mark]) -> None:
            self._ledger.acknowledge(index, marks)

        host = client.host

        def dropped(entries: int, line_bytes: int) -> None:
            metrics.drop(host, "", "spool_full", entries, line_bytes)

        def sized(waiting_bytes: int) -> None:
            metrics.spool_bytes[host] = waiting_bytes

        waiting: BatchQueue = MemoryQueue()
        if self._config.spool_directory and not self._reads_stdin:
            folder = Path(self._config.spool_directory) / client.key
            spool = Spool(folder, self._config.spool.max_size, dropped, sized)
            self._ledger.resume(index, spool.last_marks)
            waiting = spool
        sink: BatchSink = Sender(config=client, metrics=metrics, waiting=waiting, deliver=deliver)
        return Client(Batcher(client, limits, metrics, host), sink, client.batchwait)

    @property
    def _since_ns(self) -> int:
        """Until when somebody has looked for new files."""
        try:
            return Path(self._config.positions.filename).stat().st_mtime_ns
        except OSError:
            return self._options.since_ns if self._options.since_ns is not None else time.time_ns()

    def _make_jobs(self, context: StageContext) -> list[Job]:
        config, since_ns = self._config, self._since_ns
        inspector = Inspector() if self._options.inspect else None
        if not self._reads_stdin:
            return [
                Job(
                    config=job,
                    agent=config,
                    ledger=self._ledger,
                    context=context,
                    inspector=inspector,
                    since_ns=since_ns,
                )
                for job in config.scrape_configs
            ]
        first = config.scrape_configs[0] if config.scrape_configs else STDIN_JOB
        return [Job.of_stdin(first, config, self._ledger, context, inspector)]

    def start(self) -> None:
        """Begin to read and send; returns at once."""
        for job in self._jobs:
            job.start()
        for client in self._clients:
            client.sink.start()
        self._reading.start()
        self._serve()

    def _serve(self) -> None:
        server = self._config.server
        if server.disable or server.http_listen_port is None or self._options.dry_run:
            return
        self._own = OwnServer(self._config, self)
        self._own.start()

    def abandon(self) -> None:
        """Let go of what was opened by a start that failed."""
        for job in self._jobs:
            for source in job.received:
                source.close()
            job.files.close()

    # What the own server shows

    @property
    def is_ready(self) -> bool:
        """Whether something is read (reference/agent.md §3)."""
        received = any(job.received for job in self._jobs)
        check = self._config.server.health_check_target
        return received or self.metrics.files_active > 0 or not check

    def target_rows(self) -> list[TargetRow]:
        """Files that are read."""
        rows: list[TargetRow] = []
        for job in self._jobs:
            for reader in job.files.readers():
                position = reader.current_position()
                offset = 0 if position is None else position.offset
                rows.append(TargetRow(job.name, reader.path, reader.labels.text, offset))
        return rows

    def job_rows(self) -> list[JobRow]:
        """What was discovered, and what was left out of it."""
        return [
            JobRow(
                job.name,
                [(t.pattern, dict(t.labels)) for t in job.files.targets],
                [(dict(t.labels), t.reason) for t in job.files.dropped],
            )
            for job in self._jobs
        ]

    def reload(self) -> str:
        """Read the configuration again; what is wrong with it, or ""."""
        if self._options.reload is None:
            return "this agent cannot be reloaded"
        return self._options.reload()

    # Waiting and stopping

    @property
    def own_port(self) -> int | None:
        """The port of the agent's own HTTP side, where it has one."""
        return None if self._own is None else self._own.port

    @property
    def has_ended(self) -> bool:
        """Whether the standard input has ended."""
        return self._reading.ended.is_set()

    def wait(self, stop: threading.Event) -> None:
        """Save positions from time to time until `stop` is set or reading has failed or ended."""
        period_s = 0.05 if self._reads_stdin else self._config.positions.sync_period
        due_s = time.monotonic() + period_s
        while not stop.wait(min(period_s, _LOOK_S)) and self.failure is None:
            if self.has_ended:
                return
            if self._ledger.has_begun or time.monotonic() >= due_s:
                self.save_positions()
                due_s = time.monotonic() + period_s

    @property
    def failure(self) -> BaseException | None:
        """What has ended reading or sending, if anything has."""
        sinks = (client.sink.failure for client in self._clients)
        return self._reading.failure or next((f for f in sinks if f is not None), None)

    def stop(self) -> None:
        """Stop reading, deliver what was read, save positions."""
        if self._own is not None:
            self._own.close()
        self._reading.stop()
        until_s = time.monotonic() + self._config.server.graceful_shutdown_timeout
        for client in self._clients:
            client.sink.finish(max(0.1, until_s - time.monotonic()))
        self.save_positions()

    def save_positions(self) -> None:
        """Write what was acknowledged; a full disk is logged and tried again at the next turn."""
        if not self._saves_positions:
            return
        try:
            self._ledger.save(self.metrics)
        except OSError as error:
            _log.error("positions cannot be saved, will try again error=%s", error)
