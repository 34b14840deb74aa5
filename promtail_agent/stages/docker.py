"""`docker`: a line of Docker's json-file driver: `{"log":"…\\n","stream":"stdout","time":"…"}`.

Source: reference/agent.md §11.
"""

import orjson

from promtail_agent.entry import AgentEntry, as_bytes
from promtail_agent.stages.base import EachEntry, StageConfig, StageContext
from promtail_agent.times import parse_rfc3339_ns

EXAMPLE = "docker: {}"


class Config(StageConfig):
    """No settings."""


class DockerStage(EachEntry):
    """Takes line, stream and time out of the JSON; other lines pass unchanged."""

    def apply(self, entry: AgentEntry) -> bool:
        """Never drops."""
        try:
            record = orjson.loads(entry.line)
        except orjson.JSONDecodeError:
            return True
        if not isinstance(record, dict):
            return True
        log, stream, time = record.get("log"), record.get("stream"), record.get("time")
        extracted = entry.extracted
        extracted["output"], extracted["stream"], extracted["timestamp"] = log, stream, time
        if isinstance(stream, str):
            entry.labels = entry.labels.with_label("stream", stream)
        ts_ns = parse_rfc3339_ns(time) if isinstance(time, str) else None
        if ts_ns is not None:
            entry.ts_ns = ts_ns
        if isinstance(log, str):
            entry.line = as_bytes(log.removesuffix("\n"))
        return True


def build(_config: Config, _context: StageContext) -> DockerStage:
    """The stage of a config."""
    return DockerStage()
