"""How are lines joined that a runtime wrote in parts? By their stream, until the last part comes.

The entry has the time of its last part, as the agent gives it, and the place of its first one.
"""

from collections.abc import Iterator, Mapping, Sequence

import orjson

from narfi.history.files.records import Found, NotUnderstood, Place, Record
from promtail_agent.stages.cri import cri_time_ns

_MOST_JOINED = 16 << 20
_STREAMS = ("stdout", "stderr")
_EXACT = 9


class _Joined:
    """Base of both forms: parts by stream."""

    def __init__(
        self, labels: Mapping[str, str], metadata: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self._labels = {name: {**labels, "stream": name} for name in _STREAMS}
        self._metadata = metadata
        self._parts: dict[str, tuple[Place, int, list[bytes]]] = {}

    def begin(self, first_lines: Sequence[bytes], memory: str) -> None:
        """Nothing to find out."""

    def memory(self) -> str:
        """Nothing is remembered: reading goes on only where nothing is held."""
        return ""

    def held_from(self) -> Place | None:
        """The first part of the oldest unfinished line."""
        return min((place for place, _, _ in self._parts.values()), default=None)

    def _part(
        self, place: Place, stream: str, ts_ns: int, content: bytes, *, ends: bool
    ) -> Iterator[Found]:
        held = self._parts.pop(stream, None)
        if held is None and ends:
            yield self._record(place, stream, ts_ns, content)
            return
        first, _, parts = held if held is not None else (place, ts_ns, [])
        parts.append(content)
        if ends or sum(map(len, parts)) > _MOST_JOINED:
            yield self._record(first, stream, ts_ns, b"".join(parts))
        else:
            self._parts[stream] = (first, ts_ns, parts)

    def _record(self, place: Place, stream: str, ts_ns: int, line: bytes) -> Record:
        return Record(
            place=place,
            ts_ns=ts_ns,
            digits=_EXACT,
            labels=self._labels[stream],
            line=line,
            metadata=self._metadata,
        )

    def end(self) -> Iterator[Found]:
        """Unfinished lines, as they are."""
        for stream, (place, ts_ns, parts) in self._parts.items():
            yield self._record(place, stream, ts_ns, b"".join(parts))
        self._parts.clear()


class CriLines(_Joined):
    """`2025-10-09T08:00:00.123456789Z stdout F text`, of containerd and CRI-O."""

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """A record where the line ends one."""
        fields = line.split(b" ", 3)
        stream = fields[1].decode("ascii", "replace") if len(fields) > 2 else ""
        ts_ns = cri_time_ns(fields[0]) if stream in _STREAMS else None
        if ts_ns is None:
            yield NotUnderstood(place, line, "no line of a container runtime")
            return
        content = fields[3] if len(fields) == 4 else b""
        partial = fields[2].split(b":")[0] == b"P"
        yield from self._part(place, stream, ts_ns, content, ends=not partial)


class DockerLines(_Joined):
    r"""`{"log":"text\n","stream":"stdout","time":"…"}`, of Docker's json-file driver."""

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """A record where the line ends one."""
        try:
            value = orjson.loads(line)
            log, stream, time = value["log"], value["stream"], value["time"]
            ts_ns = cri_time_ns(time.encode()) if stream in _STREAMS else None
            content = log.encode()
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            ts_ns = None
        if ts_ns is None:
            yield NotUnderstood(place, line, "no line of Docker's json-file driver")
            return
        ends = content.endswith(b"\n")
        if ends:
            content = content[:-1].removesuffix(b"\r")
        yield from self._part(place, stream, ts_ns, content, ends=ends)
