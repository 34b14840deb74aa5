"""What does the agent make of a file? Its own readers and stages, run to the end of the file.

The same parts as in a running agent, one after the other instead of in threads: nothing has to be
waited for, and what stages keep back comes out at the end.
"""

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from narfi.core.wire.push_encode import encode_push
from promtail_agent.config import AgentConfig
from promtail_agent.config_file import load_agent_config
from promtail_agent.entry import AgentEntry
from promtail_agent.jobs import Job
from promtail_agent.metrics import AgentMetrics
from promtail_agent.positions import PositionLedger
from promtail_agent.reading import entries_of
from promtail_agent.stages.base import StageContext
from promtail_agent.targets.syslog import SyslogSource

WAIT_S = 20.0
"""For messages to come through the loopback interface."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An entry as it leaves the agent; `labels` is the selector text of its stream."""

    labels: str
    values: Mapping[str, str]
    ts_ns: int
    line: bytes
    metadata: tuple[tuple[str, str], ...]
    offset: int
    """Where its first line begins in its file."""


def _sent(entry: AgentEntry) -> Sent:
    return Sent(
        labels=entry.labels.text,
        values=entry.labels.values,
        ts_ns=entry.ts_ns,
        line=entry.line,
        metadata=tuple(entry.metadata),
        offset=entry.offset,
    )


def _job(config: AgentConfig, metrics: AgentMetrics) -> Job:
    (job,) = config.scrape_configs
    return Job(
        config=job,
        agent=config,
        ledger=PositionLedger(Path("/dev/null"), 1, {}),
        context=StageContext(metrics=metrics),
    )


def entries_of_files(config_file: Path) -> tuple[list[Sent], int]:
    """What a configuration with one job makes of its files, and how many lines stages dropped."""
    metrics = AgentMetrics()
    job = _job(load_agent_config(config_file), metrics)
    try:
        found = [_sent(entry) for entry in _read(job)]
    finally:
        job.files.close()
    return found, sum(metrics.dropped_lines.values())


def _read(job: Job) -> Iterator[AgentEntry]:
    job.files.start()
    for _ in job.files.rescan(time.monotonic()):
        pass
    for reader in job.files.readers():
        while (chunk := reader.read(time.monotonic())) is not None:
            yield from job.pipeline.process(entries_of(reader, chunk))
    yield from job.pipeline.due(float("inf"))


def entries_of_messages(config_file: Path, messages: list[bytes]) -> list[Sent]:
    """What a configuration with one syslog job, which listens on port 0, makes of messages."""
    job = _job(load_agent_config(config_file), AgentMetrics())
    (source,) = job.received
    assert isinstance(source, SyslogSource)
    source.start()
    found: list[Sent] = []
    try:
        with socket.create_connection(("127.0.0.1", source.port)) as connection:
            connection.sendall(b"".join(message + b"\n" for message in messages))
            until_s = time.monotonic() + WAIT_S
            while len(found) < len(messages) and time.monotonic() < until_s:
                found += [_sent(entry) for entry in job.pipeline.process(source.take())]
                time.sleep(0.01)
    finally:
        source.close()
    return found + [_sent(entry) for entry in job.pipeline.due(float("inf"))]


def push_body(entries: list[Sent]) -> bytes:
    """The body that a client of the agent sends for them."""
    streams: dict[str, list[Any]] = {}
    for entry in entries:
        streams.setdefault(entry.labels, []).append((entry.ts_ns, entry.line, entry.metadata))
    return encode_push(streams.items())
