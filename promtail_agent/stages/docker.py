"""`docker`: a line of Docker's json-file driver: `{"log":"…\\n","stream":"stdout","time":"…"}`.

The driver cuts long lines: a part of 16 KiB has no newline at its end, and the rest comes in the
records that follow of the same stream. They become one entry, as with `cri`.
Source: reference/agent.md §11.
"""

from collections.abc import Iterable, Iterator

import orjson

from promtail_agent.entry import AgentEntry, as_bytes
from promtail_agent.stages.base import HeldFrom, StageConfig, StageContext
from promtail_agent.stages.partials import Partials
from promtail_agent.times import parse_rfc3339_ns

EXAMPLE = "docker: {}"

_STREAMS = ("stdout", "stderr")
_MOST_PARTIALS = 100


class Config(StageConfig):
    """No settings."""


class DockerStage:
    """Takes line, stream and time out of the JSON; other lines pass unchanged."""

    def __init__(self, context: StageContext) -> None:
        self._partials = Partials(context, _MOST_PARTIALS)

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Whole lines, in the order of their last parts."""
        partials = self._partials
        for entry in entries:
            stream, is_part = _take_out(entry)
            if is_part:
                yield from partials.hold(entry, stream)
            elif stream and partials:
                whole = partials.finish(entry, stream)
                whole.extracted["output"] = whole.line + b"\n"
                yield whole
            else:
                yield entry

    def held_from(self, path: str, /) -> HeldFrom | None:
        """The first part of the oldest unfinished line of a path."""
        return self._partials.held_from(path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """Unfinished lines of a source that has ended, as they are."""
        return self._partials.forget(path)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """Unfinished lines whose end does not come, as they are."""
        return self._partials.due(now_s)


def _take_out(entry: AgentEntry) -> tuple[str, bool]:
    """Take a record apart in place; its stream ("" where it is none), whether it is only a part."""
    try:
        record = orjson.loads(entry.line)
    except orjson.JSONDecodeError:
        return "", False
    if not isinstance(record, dict):
        return "", False
    log, stream, time = record.get("log"), record.get("stream"), record.get("time")
    extracted = entry.extracted
    extracted["output"], extracted["stream"], extracted["timestamp"] = log, stream, time
    if isinstance(stream, str):
        entry.labels = entry.labels.with_label("stream", stream)
    ts_ns = parse_rfc3339_ns(time) if isinstance(time, str) else None
    if ts_ns is not None:
        entry.ts_ns = ts_ns
    if not isinstance(log, str):
        return "", False
    ends = log.endswith("\n")
    entry.line = as_bytes(log[:-1].removesuffix("\r") if ends else log)
    if stream not in _STREAMS or ts_ns is None:
        return "", False
    return str(stream), not ends


def build(_config: Config, context: StageContext) -> DockerStage:
    """The stage of a config."""
    return DockerStage(context)
