"""How does a container's log come over Docker's API? Frames with a time, joined to lines.

A frame is 8 bytes of header (stream, three zeros, size big-endian) and its payload; the log of a
terminal has no frames. Each payload begins with an RFC 3339 time, as do the parts of a long line.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from promtail_agent.times import parse_rfc3339_ns

MAX_LINE_BYTES = 256 << 10
"""A longer line is given out so far, and its rest left, as Promtail does."""
MAX_FRAME_BYTES = 16 << 20
_STREAMS = {1: "stdout", 2: "stderr"}

DockerLine = tuple[str, int, bytes]
"""Stream, time in ns, text."""


@dataclass(slots=True)
class _Open:
    """A line whose end has not come."""

    ts_ns: int = 0
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    cut: bool = False


class LineJoiner:
    """Parts of lines of one container, by stream."""

    def __init__(self, max_line_bytes: int = 0) -> None:
        self._limit = max_line_bytes or MAX_LINE_BYTES
        self._open: dict[str, _Open] = {}

    def add(self, stream: str, payload: bytes) -> Iterator[DockerLine]:
        """Lines that this payload ends; raises `ValueError` for one without a time."""
        stamp, space, text = payload.partition(b" ")
        ts_ns = parse_rfc3339_ns(stamp.decode("ascii", "replace"))
        if not space or ts_ns is None:
            raise ValueError(f"no time at the beginning of {payload[:40]!r}")
        line = self._open.setdefault(stream, _Open(ts_ns))
        ended = text.endswith(b"\n")
        text = text[:-1].removesuffix(b"\r") if ended else text
        if not line.cut:
            line.parts.append(text[: self._limit - line.size])
            line.size += len(line.parts[-1])
        if line.size >= self._limit and not line.cut and not ended:
            line.cut = True
            yield stream, line.ts_ns, b"".join(line.parts)
            line.parts.clear()
        if ended:
            del self._open[stream]
            if not line.cut:
                yield stream, line.ts_ns, b"".join(line.parts)


def read_frames(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Stream and payload of each frame; raises `ValueError` for what is no frame."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        at = 0
        while len(buffer) - at >= 8:
            kind, size = struct.unpack_from(">B3xI", buffer, at)
            if kind not in (0, 1, 2) or size > MAX_FRAME_BYTES:
                raise ValueError(f"frame of stream {kind} and {size} bytes")
            if len(buffer) - at - 8 < size:
                break
            yield _STREAMS.get(kind, "stdout"), bytes(buffer[at + 8 : at + 8 + size])
            at += 8 + size
        del buffer[:at]


def read_terminal(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """Lines of a container with a terminal, as payloads."""
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            yield "stdout", line + b"\n"
        if len(buffer) > MAX_FRAME_BYTES:
            yield "stdout", buffer
            buffer = b""
