"""Which whole lines come next in a content? Cut at newlines as the encoding writes them.

The `\\r` of a CRLF goes with its newline; one more stays, as does one without a newline.
"""

from dataclasses import dataclass

from promtail_agent.targets.content import Content
from promtail_agent.targets.encoding import encoding_of

CHUNK_BYTES = 256 << 10
MAX_LINE_BYTES = 4 << 20
"""A longer line is given out in pieces: it must not fill the memory."""


@dataclass(slots=True)
class Lines:
    """Lines as UTF-8 without their ends; `starts` where they do not follow from the lengths."""

    lines: list[bytes]
    read_bytes: int
    starts: list[int] | None = None
    is_piece: bool = False
    """Whether the line goes on behind it."""


def next_lines(content: Content, offset: int, codec: str) -> Lines | None:
    """None where no line has ended yet."""
    if codec:
        return _next_encoded(content, offset, codec)
    size = CHUNK_BYTES
    while True:
        data = content.pread(size, offset)
        cut = data.rfind(b"\n")
        if cut >= 0:
            return _plain(data[:cut], offset)
        if len(data) < size:
            return None
        if size >= MAX_LINE_BYTES:
            return Lines([data], len(data), is_piece=True)
        size *= 4


def _plain(data: bytes, offset: int) -> Lines:
    """Lines of what stands before the last newline."""
    lines = data.split(b"\n")
    if b"\r" not in data:
        return Lines(lines, len(data) + 1)
    starts: list[int] = []
    for line in lines:
        starts.append(offset)
        offset += len(line) + 1
    return Lines([line.removesuffix(b"\r") for line in lines], len(data) + 1, starts)


def _next_encoded(content: Content, offset: int, codec: str) -> Lines | None:
    encoding = encoding_of(codec, content.pread(4, 0))
    data = content.pread(MAX_LINE_BYTES, offset)
    cut = encoding.last_newline(data)
    if cut < 0:
        if len(data) < MAX_LINE_BYTES:
            return None
        lines, starts = encoding.split(data, offset)
        return Lines(lines, len(data), starts, is_piece=True)
    lines, starts = encoding.split(data[:cut], offset)
    ended = [line.removesuffix(b"\r") for line in lines]
    return Lines(ended, cut + len(encoding.newline), starts)


def last_line(content: Content, offset: int, codec: str) -> Lines | None:
    """The end of a finished content that has no newline: its writer will not come back."""
    data = content.pread(MAX_LINE_BYTES, offset)
    if not data:
        return None
    if not codec:
        return Lines([data], len(data))
    lines, starts = encoding_of(codec, content.pread(4, 0)).split(data, offset)
    return Lines(lines, len(data), starts)
