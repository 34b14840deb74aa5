"""`cri`: a line as containerd and CRI-O write it; parts of a long line are joined.

`2025-10-09T08:00:00.123456789Z stdout P first ` + `… stdout F last` → one entry `first last`. Where
no end comes, because the container died, the parts are given out after a while.
Source: reference/agent.md §8.2, §11.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from promtail_agent.durations import ByteSize
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.stages.base import HeldFrom, StageConfig, StageContext
from promtail_agent.stages.partials import Partials
from promtail_agent.times import parse_rfc3339_ns

EXAMPLE = "cri: {}"

_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}
_STAMP_BYTES = 30  # 2025-10-09T08:00:00.123456789Z, as all runtimes write it
_REMEMBERED_SECONDS = 256


class Config(StageConfig):
    """Limits of joining."""

    max_partial_lines: int = 100  # sources with an unfinished line at the same time
    max_partial_line_size: ByteSize = 0  # bytes; 0: only partials.MAX_JOINED_BYTES
    max_partial_line_size_truncate: bool = False


class CriStage:
    """Parses CRI lines; holds the parts of lines that have no end yet."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._config = config
        self._metrics = context.metrics
        self._partials = Partials(context, config.max_partial_lines, self._joined)

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Whole lines in the order of their last parts; other lines unchanged."""
        partials = self._partials
        before: LabelSet | None = None
        labelled: dict[bytes, LabelSet] = {}  # of the labels `before`, by stream
        for entry in entries:
            fields = entry.line.split(b" ", 3)
            stream = _STREAMS.get(fields[1]) if len(fields) == 4 and fields[2] else None
            if stream is None:
                yield entry
                continue
            time, name, flags, content = fields
            ts_ns = cri_time_ns(time)
            if ts_ns is not None:
                entry.ts_ns = ts_ns
            if entry.labels is not before:
                before, labelled = entry.labels, {}
            labels = labelled.get(name)
            if labels is None:
                labels = labelled[name] = entry.labels.with_label("stream", stream)
            entry.labels = labels
            entry.line = content
            extracted = entry.extracted
            extracted["time"], extracted["stream"] = time, stream
            extracted["flags"], extracted["content"] = flags, content
            if flags == b"P":
                yield from partials.hold(entry, stream)
            elif partials:
                whole = partials.finish(entry, stream)
                whole.extracted["content"] = whole.line
                yield whole
            else:
                yield entry

    def _joined(self, parts: list[bytes]) -> bytes:
        line = b"".join(parts)
        limit = self._config.max_partial_line_size
        if limit and len(line) > limit and self._config.max_partial_line_size_truncate:
            self._metrics.mutate("", "", "line_too_long", len(line) - limit)
            return line[:limit]
        return line

    def held_from(self, path: str, /) -> HeldFrom | None:
        """The first part of the oldest unfinished line of a path."""
        return self._partials.held_from(path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """Unfinished lines of a source that has ended, as they are."""
        return self._partials.forget(path)

    def due(self, now_s: float, /) -> Iterator[AgentEntry]:
        """Unfinished lines whose end does not come, as they are."""
        return self._partials.due(now_s)


@lru_cache(maxsize=_REMEMBERED_SECONDS)
def _second_ns(second: bytes) -> int | None:
    return parse_rfc3339_ns(second.decode("ascii", "replace") + "Z")


def cri_time_ns(stamp: bytes) -> int | None:
    """`parse_rfc3339_ns`, quicker for the usual form: neighbouring lines share their second."""
    if len(stamp) == _STAMP_BYTES and stamp[29:] == b"Z" and stamp[19:20] == b".":
        digits = stamp[20:29]
        second_ns = _second_ns(stamp[:19])
        if second_ns is not None and digits.isdigit():
            return second_ns + int(digits)
    return parse_rfc3339_ns(stamp.decode("ascii", "replace"))


def build(config: Config, context: StageContext) -> CriStage:
    """The stage of a config."""
    return CriStage(config, context)
