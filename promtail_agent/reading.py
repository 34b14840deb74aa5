"""How do entries get from their sources to the clients' batches? One thread for everything.

Files → entries → the job's pipeline → a batch per client; then the mark of how far that came.
Everything behind is bounded: when a client cannot deliver, reading stops and the files wait.
Invariant: a mark goes into a batch with, or after, every entry that it covers.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from promtail_agent.client.batch import Batcher
from promtail_agent.client.sender import BatchSink
from promtail_agent.config import AgentConfig
from promtail_agent.entry import AgentEntry
from promtail_agent.jobs import Job
from promtail_agent.limits import RATE_DROP_REASON, LineRate
from promtail_agent.metrics import AgentMetrics
from promtail_agent.pipeline import Pipeline
from promtail_agent.positions import Mark, Position, PositionLedger
from promtail_agent.stages.base import StageContext
from promtail_agent.targets.files import Reader
from promtail_agent.targets.reader import Chunk
from promtail_agent.targets.rotation import neighbours
from promtail_agent.targets.watch import FileWatch

_log = logging.getLogger(__name__)

NEW_FILES_EVERY_S = 1.0
"""New files are found at once where folders are watched; without that, after so long."""
LOOK_EVERY_S = 1.0
"""How often all files are looked at though the system told of no change."""
RECEIVED_EVERY_S = 0.05
"""How often queues of received entries are emptied."""


class Client:
    """One server's batches and where they go."""

    def __init__(self, batcher: Batcher, sink: BatchSink, batchwait_s: float) -> None:
        self.batcher, self.sink, self.batchwait_s = batcher, sink, batchwait_s


class Reading:
    """The reading thread; `failure` says what ended it."""

    def __init__(
        self,
        *,
        config: AgentConfig,
        jobs: Sequence[Job],
        clients: Sequence[Client],
        ledger: PositionLedger,
        metrics: AgentMetrics,
        context: StageContext,
        save: Callable[[], None],
    ) -> None:
        """`save` writes the positions. The context's `stop` is set by `stop()`."""
        self._config, self._jobs, self._clients = config, jobs, clients
        self._ledger, self._metrics = ledger, metrics
        self._stop, self._wake = context.stop, threading.Event()
        self._behind, self._save = context.behind, save
        self._watch = FileWatch(self._wake)
        self._by_path: dict[str, list[Reader]] = {}
        self._busy: set[str] = set()  # paths that had something new at the last look
        self._orders = time.time_ns()  # grows over restarts too
        limits = config.limits_config
        self._rate = LineRate(limits) if limits.readline_rate_enabled else None
        self._thread = threading.Thread(target=self._run, name="read", daemon=True)
        self.failure: BaseException | None = None
        self.ended = threading.Event()
        """Set when all sources have ended by themselves (the standard input)."""

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; what was read is in batches then, and those are given over."""
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits
            _log.exception("reading failed")
            self.failure = error
        self._watch.close()
        for job in self._jobs:
            job.files.close()

    def _loop(self) -> None:
        poll = self._config.global_config.file_watch_config
        every_s = min(NEW_FILES_EVERY_S, self._config.target_config.sync_period)
        pause_s, rescan_at_s, look_at_s = poll.min_poll_frequency, 0.0, 0.0
        # paths that changed and that no target has: looked for once, not at each change
        strange: set[str] = set()
        while not self._stop.is_set():
            now_s = time.monotonic()
            changed = self._watch.changed()
            due = now_s >= rescan_at_s
            if due or not changed <= self._by_path.keys() | strange:
                self._rescan(now_s)
                strange = set() if due else strange | (changed - self._by_path.keys())
                rescan_at_s = time.monotonic() + every_s if due else rescan_at_s
            all_files = now_s >= look_at_s
            if all_files:
                look_at_s = now_s + (LOOK_EVERY_S if self._watch.works else 0.0)
            busy = self._read_files(None if all_files else changed | self._busy)
            busy |= self._take_received()
            self._give_out_due(now_s)
            self._send_old_batches()
            if busy:
                pause_s = poll.min_poll_frequency
            else:
                self._wake.wait(min(pause_s, self._longest_pause()))
                pause_s = min(pause_s * 2, poll.max_poll_frequency)
            self._wake.clear()
        self._drain_received()
        self._send_old_batches(even_young=True)

    def _longest_pause(self) -> float:
        waits = [client.batchwait_s / 4 + 0.01 for client in self._clients]
        if any(job.received for job in self._jobs):
            waits.append(RECEIVED_EVERY_S)
        return min(waits)

    def _rescan(self, now_s: float) -> None:
        by_path: dict[str, list[Reader]] = {}
        patterns: list[str] = []
        targets = 0
        for job in self._jobs:
            for gone in job.files.rescan(now_s):
                self._behind.discard(gone.path)
                self._pass_on(job.pipeline.forget(gone.path))
            targets += len(job.files.targets)
            patterns += [target.pattern for target in job.files.targets]
            for reader in job.files.readers():
                for path in reader.names:
                    by_path.setdefault(path, []).append(reader)
        self._by_path = by_path
        self._watch.follow(by_path, patterns)
        active = {reader.path for readers in by_path.values() for reader in readers}
        self._metrics.files_active, self._metrics.targets_active = len(active), targets
        self._ledger.prune(active, now_s, _is_there)
        self._save_begun()

    def _save_begun(self) -> None:
        """A file that was first seen is noted on disk before any line of it is given on.

        After kill -9 it is found again by that, wherever it is by then.
        """
        if self._ledger.has_begun:
            self._save()

    # Files

    def _read_files(self, paths: Iterable[str] | None) -> bool:
        """A chunk of each of these files, or of all; False when none has anything new."""
        wanted = None
        if paths is not None:
            wanted = {id(reader) for path in paths for reader in self._by_path.get(path, ())}
        self._busy = set()
        busy = False
        for job in self._jobs:
            for reader in job.files.readers():
                if self._stop.is_set():
                    return False
                if wanted is not None and id(reader) not in wanted:
                    continue
                chunk = reader.read(time.monotonic())
                if chunk is not None:
                    busy = True
                    self._behind.add(reader.path)
                    self._take_chunk(job.pipeline, reader, chunk)
                else:
                    self._behind.discard(reader.path)
                if chunk is not None or reader.is_turning:
                    self._busy.add(reader.path)
        return busy

    def _take_chunk(self, pipeline: Pipeline, reader: Reader, chunk: Chunk) -> None:
        if chunk.offset == 0:
            self._ledger.begin(reader.position(chunk.generation, 0))
            self._save_begun()
        self._pass_on(pipeline.process(entries_of(reader, chunk)))
        held = pipeline.held_from(reader.path)
        if held is None:
            position = reader.position_after(chunk)
        else:
            position = reader.position(held.generation, held.offset)
        self._mark(position)

    # Sources that come by themselves

    def _take_received(self) -> bool:
        busy = False
        ended = [job.stdin.ended.is_set() for job in self._jobs if job.stdin is not None]
        for job in self._jobs:
            busy |= self._take_of(job)
        if ended and all(ended) and not busy:
            self.ended.set()
        return busy

    def _take_of(self, job: Job) -> bool:
        busy = False
        for source in job.received:
            entries = source.take()
            if entries:
                busy = True
                self._pass_on(job.pipeline.process(entries))
            for position in source.positions(job.pipeline.held_from):
                self._mark(position)
        return busy

    def _drain_received(self) -> None:
        """What was accepted is sent, also when the agent stops."""
        for job in self._jobs:
            for source in job.received:
                source.close()
            while self._take_of(job):
                pass
            if job.stdin is not None:  # nothing will be read again: stages give out what they keep
                self._pass_on(job.pipeline.due(float("inf")))

    # Both

    def _give_out_due(self, now_s: float) -> None:
        """Entries that stages have kept long enough; then positions may go on.

        `now_s` is from before the files were looked at: what ends a line is not still unread.
        """
        for job in self._jobs:
            due = list(job.pipeline.due(now_s))
            if not due:
                continue
            self._pass_on(due)
            for reader in job.files.readers():
                position = reader.current_position()
                if position is not None and job.pipeline.held_from(reader.path) is None:
                    self._mark(position)

    def _pass_on(self, entries: Iterable[AgentEntry]) -> None:
        clients, rate, clock = self._clients, self._rate, time.monotonic
        look_s = clock() + self._longest_pause()
        for entry in entries:
            if rate is not None and not rate.allows(self._stop):
                self._metrics.dropped_lines[RATE_DROP_REASON] += 1
                continue
            now_s = clock()
            if now_s > look_s:  # entries may come slowly: a limit waits
                self._send_old_batches()
                look_s = now_s + self._longest_pause()
            for client in clients:
                full = client.batcher.add(entry, now_s)
                if full is not None:
                    client.sink.put(full, self._stop)

    def _mark(self, position: Position) -> None:
        self._orders += 1
        mark = Mark(self._orders, position)
        now_s = time.monotonic()
        for client in self._clients:
            client.batcher.mark(mark, now_s)

    def _send_old_batches(self, *, even_young: bool = False) -> None:
        now_s = time.monotonic()
        for client in self._clients:
            batch = client.batcher.take(now_s, even_young=even_young)
            if batch is not None:
                client.sink.put(batch, self._stop)


def _is_there(path: str) -> bool:
    """Whether a path or what a rotation made of it is there."""
    exists = os.path.exists(path)  # noqa: PTH110  pathlib raises
    return exists or any(neighbour.is_rotated for neighbour in neighbours(path))


def entries_of(reader: Reader, chunk: Chunk) -> Iterator[AgentEntry]:
    """The lines of a chunk as entries of now, each a nanosecond later than the one before.

    Equal lines of one time would be one entry to the server.
    """
    ts_ns = time.time_ns()
    labels, generation, offset = reader.labels, chunk.generation, chunk.offset
    values = labels.values
    if chunk.starts is not None:
        for line, start in zip(chunk.lines, chunk.starts, strict=True):
            yield AgentEntry(labels, ts_ns, line, dict(values), generation, start)
            ts_ns += 1
        return
    for line in chunk.lines:
        yield AgentEntry(labels, ts_ns, line, dict(values), generation, offset)
        offset += len(line) + 1
        ts_ns += 1
