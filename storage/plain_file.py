"""How is a file read that somebody may have replaced? As bytes, or not at all: nothing waits.

A named pipe or a device in the place of a file would block its reader for ever.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """The file for reading; raises `OSError`, also for what is there and is no plain file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check_plain(os.fstat(descriptor), path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_plain(path: Path) -> bytes:
    """Its content; raises as `open_plain` does."""
    with open_plain(path) as file:
        return file.read()


def check_plain(found: os.stat_result, path: Path) -> None:
    """Raise `OSError` unless it is a plain file."""
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
