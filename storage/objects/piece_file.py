"""What is in a file of the disk cache? A checksum of everything behind it, a name, the bytes.

Nothing is synced: a file that a crash tore has a wrong checksum. Several processes may read and
write them at once, since a file takes its place whole.
"""

import contextlib
import hashlib
import os
import shutil
import struct
import threading
from pathlib import Path

import google_crc32c

LEAST_FREE = 512 * 1024 * 1024
"""Bytes that the disk has left for others; else nothing is written."""
TORN = ".new"
_HEAD = struct.Struct("<II")
"""Checksum of what follows, and the length of the name."""


class BadPieceError(ValueError):
    """The file is not what was written."""


def file_of(name: str) -> str:
    """What the file of a piece is called."""
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def place_of(folder: Path, file: str) -> Path:
    """Where the owner of a cache's folder keeps it."""
    return folder / file[:2] / file


def size_of(name: str, data: bytes) -> int:
    """Bytes of the file."""
    return _HEAD.size + len(name.encode()) + len(data)


def read_piece(path: Path, name: str) -> bytes | None:
    """The bytes, used now; None for a piece of another name. Raises `OSError`, `BadPieceError`."""
    content = path.read_bytes()
    os.utime(path)
    text = name.encode()
    begin = _HEAD.size + len(text)
    if len(content) < begin:
        raise BadPieceError("it is cut")
    checksum, length = _HEAD.unpack_from(content)
    if google_crc32c.value(content[4:]) != checksum:
        raise BadPieceError("wrong checksum")
    is_same = length == len(text) and content[_HEAD.size : begin] == text
    return content[begin:] if is_same else None


def write_piece(path: Path, name: str, data: bytes) -> None:
    """Whole or not at all; raises `OSError`, also where the disk is nearly full."""
    text = name.encode()
    rest = struct.pack("<I", len(text)) + text + data
    content = struct.pack("<I", google_crc32c.value(rest)) + rest
    path.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(path.parent).free < LEAST_FREE + len(content):
        raise OSError("the disk is nearly full")
    new = path.with_name(f"{path.name}-{os.getpid()}-{threading.get_ident()}{TORN}")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        raise
