"""Where does a syslog message end on a connection? Octet counting, newlines, or both by turns.

A message that begins with a number, a blank and `<` is counted (RFC 6587 §3.4.1), also one whose
number is followed by anything else when the message before it was counted. Every other one goes to
the next newline or NUL. Nothing is left out: too long a message is cut, and what a connection that
ends leaves is given as it is.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COUNT = re.compile(rb"(\d{1,9}) ")
_COUNT_MAYBE = re.compile(rb"\d{0,9} ?")
_END = re.compile(rb"[\n\0]")
_READ_BYTES = 65536
_LEFT_OUT = b"\r\n\0"


@dataclass(frozen=True, slots=True)
class Framed:
    """A message, and how many bytes of its end were cut off."""

    data: bytes
    cut_bytes: int = 0


def datagram(data: bytes, max_bytes: int) -> Framed:
    """The message of a datagram, which may have several lines."""
    return _framed(data, max_bytes, 0)


def frames(read: Callable[[int], bytes], max_bytes: int) -> Iterator[Framed]:
    """The messages of a connection; `read` gives at most n bytes, none at the end."""
    source = _Source(read)
    counted = False
    while source.fill(1):
        size = _count(source, counted)
        counted = size is not None
        framed = source.counted(size, max_bytes) if size is not None else source.line(max_bytes)
        if framed.data:
            yield framed


def _count(source: "_Source", before: bool) -> int | None:
    """The size of a counted message, which is taken off; None where it is not counted."""
    while (maybe := _COUNT_MAYBE.match(source.buffer)) and maybe.end() == len(source.buffer):
        if not source.more():
            break
    found = _COUNT.match(source.buffer)
    if found is None:
        return None
    source.fill(found.end() + 1)
    if not before and source.buffer[found.end() : found.end() + 1] != b"<":
        return None
    source.buffer = source.buffer[found.end() :]
    return int(found[1])


class _Source:
    """What was read and not given yet."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.buffer = b""

    def more(self) -> bool:
        """Read; False at the end."""
        found = self._read(_READ_BYTES)
        self.buffer += found
        return bool(found)

    def fill(self, size: int) -> bool:
        """Have so many bytes; False where there are not."""
        while len(self.buffer) < size:
            if not self.more():
                return False
        return True

    def counted(self, size: int, max_bytes: int) -> Framed:
        """So many bytes, or what is left of them at the end of the connection."""
        message, left = bytearray(), size
        while left and (self.buffer or self.more()):
            part, self.buffer = self.buffer[:left], self.buffer[left:]
            left -= len(part)
            message += part[: max(0, max_bytes + len(_LEFT_OUT) - len(message))]
        return _framed(bytes(message), max_bytes, size - left - len(message))

    def line(self, max_bytes: int) -> Framed:
        """Up to a newline or NUL, or to the end of the connection."""
        message, gone = bytearray(), 0
        while True:
            end = _END.search(self.buffer)
            part = self.buffer if end is None else self.buffer[: end.start()]
            self.buffer = b"" if end is None else self.buffer[end.end() :]
            kept = part[: max(0, max_bytes + len(_LEFT_OUT) - len(message))]
            message += kept
            gone += len(part) - len(kept)
            if end is not None or not self.more():
                return _framed(bytes(message), max_bytes, gone)


def _framed(data: bytes, max_bytes: int, gone_bytes: int) -> Framed:
    """A message without what ends it, cut where it is too long."""
    if not gone_bytes:
        data = data.rstrip(_LEFT_OUT)
    kept = data[:max_bytes]
    return Framed(kept, gone_bytes + len(data) - len(kept))
