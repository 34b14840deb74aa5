"""`cri`: a line as containerd and CRI-O write it; parts of a long line are joined.

`2025-10-09T08:00:00.123456789Z stdout P first ` + `… stdout F last` → one entry `first last`.
Source: reference/agent.md §8.2, §11.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from promtail_agent.durations import ByteSize
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.stages.base import HeldFrom, StageConfig, StageContext, oldest
from promtail_agent.times import parse_rfc3339_ns

EXAMPLE = "cri: {}"

_STREAMS = {b"stdout": "stdout", b"stderr": "stderr"}
# Without a limit in the config a line may still not fill the memory: it is given out in pieces.
MAX_JOINED_BYTES = 16 << 20


_STAMP_BYTES = 30  # 2025-10-09T08:00:00.123456789Z, as all runtimes write it
_REMEMBERED_SECONDS = 256


class Config(StageConfig):
    """Limits of joining."""

    max_partial_lines: int = 100  # sources with an unfinished line at the same time
    max_partial_line_size: ByteSize = 0  # bytes; 0: only MAX_JOINED_BYTES
    max_partial_line_size_truncate: bool = False


@dataclass(slots=True)
class _Partial:
    first: AgentEntry
    parts: list[bytes]
    line_bytes: int


class CriStage:
    """Parses CRI lines; holds the parts of lines that have no end yet."""

    def __init__(self, config: Config, context: StageContext) -> None:
        self._config = config
        self._metrics = context.metrics
        self._partials: dict[tuple[str, str], _Partial] = {}

    def process(self, entries: Iterable[AgentEntry]) -> Iterator[AgentEntry]:
        """Whole lines in the order of their last parts; other lines unchanged."""
        partials = self._partials
        before: LabelSet | None = None
        labelled: dict[bytes, LabelSet] = {}  # of the labels `before`, by stream
        for entry in entries:
            fields = entry.line.split(b" ", 3)
            stream = _STREAMS.get(fields[1]) if len(fields) == 4 else None
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
                yield from self._hold(entry, stream)
            elif partials:
                yield self._finish(entry, stream)
            else:
                yield entry

    def _hold(self, entry: AgentEntry, stream: str) -> Iterator[AgentEntry]:
        key = (_path(entry), stream)
        partial = self._partials.get(key)
        if partial is None:
            if len(self._partials) >= self._config.max_partial_lines:
                yield from self._give_out(list(self._partials))
            self._partials[key] = _Partial(entry, [entry.line], len(entry.line))
            return
        partial.parts.append(entry.line)
        partial.line_bytes += len(entry.line)
        if partial.line_bytes > MAX_JOINED_BYTES:
            yield from self._give_out([key])

    def _finish(self, entry: AgentEntry, stream: str) -> AgentEntry:
        partial = self._partials.pop((_path(entry), stream), None)
        if partial is None:
            return entry
        # The last part's time, the first part's place.
        entry.line = self._joined([*partial.parts, entry.line])
        entry.extracted["content"] = entry.line
        entry.generation, entry.offset = partial.first.generation, partial.first.offset
        return entry

    def _joined(self, parts: list[bytes]) -> bytes:
        line = b"".join(parts)
        limit = self._config.max_partial_line_size
        if limit and len(line) > limit and self._config.max_partial_line_size_truncate:
            self._metrics.mutate("", "", "line_too_long", len(line) - limit)
            return line[:limit]
        return line

    def _give_out(self, keys: list[tuple[str, str]]) -> Iterator[AgentEntry]:
        for key in keys:
            partial = self._partials.pop(key)
            partial.first.line = self._joined(partial.parts)
            yield partial.first

    def held_from(self, path: str, /) -> HeldFrom | None:
        """The first part of the oldest unfinished line of a path."""
        if not self._partials:
            return None
        return oldest(p.first for key, p in self._partials.items() if key[0] == path)

    def forget(self, path: str, /) -> Iterator[AgentEntry]:
        """Unfinished lines of a source that has ended, as they are."""
        return self._give_out([key for key in self._partials if key[0] == path])

    def due(self, _now_s: float, /) -> Iterator[AgentEntry]:
        """Parts wait for their end, however long it takes."""
        return iter(())


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


def _path(entry: AgentEntry) -> str:
    return entry.generation.path if entry.generation is not None else entry.labels.text


def build(config: Config, context: StageContext) -> CriStage:
    """The stage of a config."""
    return CriStage(config, context)
