"""What stands at a place of a file's content, compressed or not?

A rotated file may be compressed by now: its content, and the places in it, are still the same. Of
a compressed file only a window is in memory; reading backwards begins anew.
"""

import bz2
import os
import zlib
from pathlib import Path
from typing import Any, Protocol

from promtail_agent.known import Known, digest

HEAD_BYTES = 256
"""How much of a content's beginning tells it from another; a CRI line's time is within it."""
TAIL_BYTES = 256
"""How much before a place tells that it is the same content up to there."""

_READ_BYTES = 16 << 10
_LOOKED_AT_BYTES = 64 << 10
_GZIP_WBITS, _ZLIB_WBITS = 31, 15


class Content(Protocol):
    """An open file's content; `device` and `inode` are of the file."""

    device: int
    inode: int
    is_packed: bool

    def pread(self, size: int, offset: int) -> bytes:
        """Up to so many bytes from a place; fewer only at the end."""
        ...

    def length(self) -> int | None:
        """Bytes of the content; None where a compressed file is not whole."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class PlainContent:
    """The bytes of a file."""

    is_packed = False

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        status = os.fstat(descriptor)
        self.device, self.inode = status.st_dev, status.st_ino

    def pread(self, size: int, offset: int) -> bytes:
        """As the system's."""
        return os.pread(self.descriptor, size, offset)

    def length(self) -> int | None:
        """The file's size of now."""
        return os.fstat(self.descriptor).st_size

    def close(self) -> None:
        """Close the file."""
        os.close(self.descriptor)


class PackedContent:
    """What a `gz`, `z` or `bz2` file unpacks to; several streams in a row are one content."""

    is_packed = True

    def __init__(self, descriptor: int, form: str) -> None:
        self._descriptor, self._form = descriptor, form
        status = os.fstat(descriptor)
        self.device, self.inode = status.st_dev, status.st_ino
        self.is_damaged = False
        self._begin()

    def _begin(self) -> None:
        self._place = 0  # of the compressed bytes that were read
        self._window, self._start = bytearray(), 0  # unpacked bytes, and where they begin
        self._unpacker: Any = self._new_unpacker()
        self._ended = self._whole = False

    def _new_unpacker(self) -> Any:
        if self._form == ".bz2":
            return bz2.BZ2Decompressor()
        return zlib.decompressobj(_GZIP_WBITS if self._form == ".gz" else _ZLIB_WBITS)

    def pread(self, size: int, offset: int) -> bytes:
        """What comes before damage, or before the end of a file that is still being written."""
        if offset < self._start:
            self._begin()
        while not self._ended and self._start + len(self._window) < offset + size:
            surplus = offset - self._start
            if surplus > 0:
                gone = min(surplus, len(self._window))
                del self._window[:gone]
                self._start += gone
            self._unpack_more()
        at = offset - self._start
        return bytes(self._window[at : at + size])

    def _unpack_more(self) -> None:
        data = os.pread(self._descriptor, _READ_BYTES, self._place)
        self._place += len(data)
        if not data:
            self._ended = True
            return
        try:
            while data:
                if self._unpacker.eof:
                    self._unpacker = self._new_unpacker()
                self._window += self._unpacker.decompress(data)
                data = self._unpacker.unused_data if self._unpacker.eof else b""
                self._whole = self._unpacker.eof
                if self._whole and not data.strip(b"\0"):  # padding
                    return
        except (OSError, zlib.error):
            self._ended = self.is_damaged = True
            self._whole = False

    def length(self) -> int | None:
        """Known after reading all of it."""
        at = self._start + len(self._window)
        while not self._ended:
            self.pread(_READ_BYTES, at)
            at = self._start + len(self._window)
        return at if self._whole else None

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def packed_form(path: str) -> str:
    """`.gz`, `.z` or `.bz2` where a name says so, else ""."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix in (".gz", ".z", ".bz2") else ""


def open_content(path: str) -> Content:
    """Raises `OSError`. A name alone makes no compressed file: it must begin as one."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    form = packed_form(path)
    if form and _begins_packed(os.pread(descriptor, 3, 0), form):
        return PackedContent(descriptor, form)
    return PlainContent(descriptor)


def _begins_packed(begin: bytes, form: str) -> bool:
    if form == ".gz":
        return begin[:2] == b"\x1f\x8b"
    if form == ".bz2":
        return begin == b"BZh"
    return len(begin) > 1 and begin[0] & 15 == 8 and int.from_bytes(begin[:2], "big") % 31 == 0


# Telling contents apart


def tail_at(content: Content, offset: int) -> bytes:
    """What stands for the bytes before a place; "" where the content does not reach so far."""
    size = min(TAIL_BYTES, offset)
    data = content.pread(size, offset - size)
    return digest(data) if size and len(data) == size else b""


def holds(content: Content, head: bytes, offset: int, tail: bytes) -> bool:
    """Does it begin so, reach to the place, and have this before it?"""
    if content.pread(len(head), 0) != head:
        return False
    found = tail_at(content, offset)
    return not offset or (found == tail if tail else found != b"")


def known_as(content: Content, offset: int, *, whole: bool = False, base: int = 0) -> Known:
    """What is to be remembered of a content that was read up to a place.

    Where compressed it is not unpacked for this if nothing of it was read.
    """
    lazy = whole and content.is_packed
    head = content.pread(HEAD_BYTES if lazy else min(HEAD_BYTES, offset), 0)
    return Known(
        device=content.device,
        inode=content.inode,
        size=offset,
        length=len(head),
        head=digest(head),
        tail=b"" if lazy else tail_at(content, offset),
        whole=whole,
        base=base,
    )


def is_distinct(content: Content) -> bool:
    """Does its begin tell it from all others? Not where the first line comes again and again.

    Lines without a time, or many of one second, may begin several contents of one path.
    """
    begin = content.pread(_LOOKED_AT_BYTES, 0)
    first = begin[: begin.find(b"\n") + 1] or begin
    return begin.find(first, len(first)) < 0


def is_copy(content: Content, other: Content) -> bool:
    """Are two contents the same as far as both go? By their begin and what the shorter ends in."""
    size = min(content.length() or 0, other.length() or 0)
    begin = min(HEAD_BYTES, size)
    if not size or content.pread(begin, 0) != other.pread(begin, 0):
        return False
    return tail_at(content, size) == tail_at(other, size) and is_distinct(content)
