"""How do the parts run together? One thread reads, one a client sends, the caller's waits.

Files → entries → the job's pipeline → a batch per client → the server; then positions. Everything
between is bounded: when a client cannot deliver, reading stops and the files wait.
Invariant: at least once, over kill -9 of the agent and outages of the server.
"""

import logging
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType

from promtail_agent.client.batch import Batcher
from promtail_agent.client.sender import Sender
from promtail_agent.config import AgentConfig, ScrapeConfig
from promtail_agent.entry import AgentEntry
from promtail_agent.errors import ListenError, PositionsError
from promtail_agent.metrics import AgentMetrics
from promtail_agent.own_server import OwnServer, TargetRow
from promtail_agent.pipeline import Pipeline, build_pipeline
from promtail_agent.positions import Mark, Position, PositionLedger, load_positions
from promtail_agent.stages.base import StageContext
from promtail_agent.targets.files import FileSource
from promtail_agent.targets.push_api import PushApiSource
from promtail_agent.targets.reader import Chunk, FileReader
from promtail_agent.targets.received import ReceivedSource
from promtail_agent.targets.syslog import SyslogSource

_log = logging.getLogger(__name__)

NEW_FILES_EVERY_S = 1.0
"""Promtail watches directories and finds new files at once; here a look every second does."""
STOP_WITHIN_S = 10.0
"""How long a stopping agent tries to deliver what it has read."""


class _Job:
    """One scrape config at work."""

    def __init__(self, config: ScrapeConfig, ledger: PositionLedger, metrics: AgentMetrics) -> None:
        self.source = FileSource(config, ledger, metrics)
        self.name = config.job_name
        self.pipeline: Pipeline = build_pipeline(config.pipeline_stages, StageContext(metrics))
        self.received: list[ReceivedSource] = []
        rules = config.relabel_configs
        if config.syslog is not None:
            self.received.append(SyslogSource(config.syslog, rules, metrics))
        if config.loki_push_api is not None:
            self.received.append(PushApiSource(config.loki_push_api, rules))


class _Client:
    """One server's batcher and sender."""

    def __init__(
        self, index: int, config: AgentConfig, ledger: PositionLedger, metrics: AgentMetrics
    ) -> None:
        client = config.clients[index]

        def deliver(marks: dict[str, Mark]) -> None:
            ledger.acknowledge(index, marks)

        self.batcher = Batcher(client, config.limits_config, metrics)
        self.sender = Sender(client, metrics, deliver)


class Agent:
    """A configured agent; `start`, then `stop` once. Raises `AppError` when it cannot start."""

    def __init__(self, config: AgentConfig) -> None:
        self.metrics = AgentMetrics()
        self._config = config
        file = Path(config.positions.filename)
        if not file.absolute().parent.is_dir():
            raise PositionsError(f"folder of the positions file {file} does not exist")
        saved = load_positions(file, config.positions.ignore_invalid_yaml)
        self._ledger = PositionLedger(file, len(config.clients), saved)
        self._jobs = [_Job(job, self._ledger, self.metrics) for job in config.scrape_configs]
        indexes = range(len(config.clients))
        self._clients = [_Client(i, config, self._ledger, self.metrics) for i in indexes]
        self._own: OwnServer | None = None
        self._stop = threading.Event()
        self._marks = 0
        self._thread = threading.Thread(target=self._read_until_stopped, name="read", daemon=True)
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Begin to read and send; returns at once."""
        for job in self._jobs:
            for source in job.received:
                try:
                    source.start()
                except OSError as error:
                    raise ListenError(f"job {job.name}: cannot listen: {error.strerror}") from error
        for client in self._clients:
            client.sender.start()
        self._thread.start()
        self._serve()

    def _serve(self) -> None:
        server = self._config.server
        if server.disable or server.http_listen_port is None:
            return
        address = (server.http_listen_address, server.http_listen_port)
        self._own = OwnServer(address, self.metrics, self._is_ready, self._target_rows)
        self._own.start()

    def _is_ready(self) -> bool:
        received = any(job.received for job in self._jobs)
        check = self._config.server.health_check_target
        return received or self.metrics.files_active > 0 or not check

    def _target_rows(self) -> list[TargetRow]:
        rows: list[TargetRow] = []
        for job in self._jobs:
            for reader in job.source.readers():
                position = reader.current_position()
                offset = 0 if position is None else position.offset
                rows.append((job.name, reader.path, reader.labels.text, offset))
        return rows

    @property
    def own_port(self) -> int | None:
        """The port of the agent's own HTTP side, where it has one."""
        return None if self._own is None else self._own.port

    def wait(self, stop: threading.Event) -> None:
        """Save positions from time to time until `stop` is set or reading has failed."""
        while not stop.wait(self._config.positions.sync_period) and self.failure is None:
            self.save_positions()

    @property
    def failure(self) -> BaseException | None:
        """What has ended reading or sending, if anything has."""
        senders = (client.sender.failure for client in self._clients)
        return self._failure or next((f for f in senders if f is not None), None)

    def stop(self) -> None:
        """Stop reading, deliver what was read, save positions."""
        if self._own is not None:
            self._own.close()
        self._stop.set()
        self._thread.join()
        until_s = time.monotonic() + STOP_WITHIN_S
        for client in self._clients:
            client.sender.finish(max(0.1, until_s - time.monotonic()))
        self.save_positions()

    def save_positions(self) -> None:
        """Write what was acknowledged; a full disk is logged and tried again at the next turn."""
        try:
            self._ledger.save(self.metrics)
        except OSError as error:
            _log.error("positions cannot be saved error=%s", error)

    # The reading thread

    def _read_until_stopped(self) -> None:
        try:
            self._read_loop()
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits
            _log.exception("reading failed")
            self._failure = error
        for job in self._jobs:
            job.source.close()

    def _read_loop(self) -> None:
        watch = self._config.global_config.file_watch_config
        every_s = min(NEW_FILES_EVERY_S, self._config.target_config.sync_period)
        pause_s, rescan_at_s = watch.min_poll_frequency, 0.0
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s >= rescan_at_s:
                self._rescan(now_s)
                rescan_at_s = time.monotonic() + every_s
            busy = self._read_all()
            self._give_out_due()
            self._send_old_batches()
            if busy:
                pause_s = watch.min_poll_frequency
            else:
                self._stop.wait(min(pause_s, self._until_next_batch()))
                pause_s = min(pause_s * 2, watch.max_poll_frequency)
        self._drain_received()
        self._send_old_batches(even_young=True)

    def _drain_received(self) -> None:
        """What was accepted is sent, also when the agent stops."""
        for job in self._jobs:
            for source in job.received:
                source.close()
                while entries := source.take():
                    self._pass_on(job.pipeline.process(entries))

    def _until_next_batch(self) -> float:
        return min((client.batchwait for client in self._config.clients), default=1.0) / 4 + 0.01

    def _rescan(self, now_s: float) -> None:
        active: set[str] = set()
        for job in self._jobs:
            for gone in job.source.rescan(now_s):
                self._pass_on(job.pipeline.forget(gone.path))
            active.update(reader.path for reader in job.source.readers())
        self.metrics.files_active = len(active)
        self._ledger.prune(active, now_s)

    def _read_all(self) -> bool:
        """One chunk of every file that has something new; False when none has."""
        busy = False
        for job in self._jobs:
            for reader in job.source.readers():
                if self._stop.is_set():
                    return False
                chunk = reader.read(time.monotonic())
                if chunk is not None:
                    busy = True
                    self._take_chunk(job.pipeline, reader, chunk)
            for source in job.received:
                entries = source.take()
                if entries:
                    busy = True
                    self._pass_on(job.pipeline.process(entries))
        return busy

    def _give_out_due(self) -> None:
        """Entries that stages have kept long enough; then positions may go on."""
        now_s = time.monotonic()
        for job in self._jobs:
            due = list(job.pipeline.due(now_s))
            if not due:
                continue
            self._pass_on(due)
            for reader in job.source.readers():
                position = reader.current_position()
                if position is not None and job.pipeline.held_from(reader.path) is None:
                    self._mark(position)

    def _take_chunk(self, pipeline: Pipeline, reader: FileReader, chunk: Chunk) -> None:
        self._pass_on(pipeline.process(_entries(reader, chunk)))
        held = pipeline.held_from(reader.path)
        if held is None:
            position = reader.position(chunk.generation, chunk.end)
        else:
            position = reader.position(held.generation, held.offset)
        self._mark(position)

    def _pass_on(self, entries: Iterable[AgentEntry]) -> None:
        now_s = time.monotonic()
        clients = self._clients
        for entry in entries:
            for client in clients:
                full = client.batcher.add(entry, now_s)
                if full is not None:
                    client.sender.put(full, self._stop)

    def _mark(self, position: Position) -> None:
        self._marks += 1
        mark = Mark(self._marks, position)
        now_s = time.monotonic()
        for client in self._clients:
            client.batcher.mark(mark, now_s)

    def _send_old_batches(self, *, even_young: bool = False) -> None:
        now_s = time.monotonic()
        for client in self._clients:
            batch = client.batcher.take(now_s, even_young=even_young)
            if batch is not None:
                client.sender.put(batch, self._stop)


def _entries(reader: FileReader, chunk: Chunk) -> Iterator[AgentEntry]:
    """The lines of a chunk as entries of now."""
    ts_ns = time.time_ns()
    labels, generation, offset = reader.labels, chunk.generation, chunk.offset
    values = labels.values
    for line in chunk.lines:
        yield AgentEntry(labels, ts_ns, line, dict(values), generation, offset)
        offset += len(line) + 1


def run_agent(config: AgentConfig, stop: threading.Event | None = None) -> None:
    """Run until SIGTERM or SIGINT (or until `stop` is set, where one is given).

    Raises `AppError` when the agent cannot start, and whatever ended the reading.
    """
    if stop is None:
        stop = _stop_on_signals()
    agent = Agent(config)
    agent.start()
    _log.info("agent started jobs=%d clients=%d", len(config.scrape_configs), len(config.clients))
    agent.wait(stop)
    _log.info("agent stops")
    agent.stop()
    if agent.failure is not None:
        raise agent.failure


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return stop
