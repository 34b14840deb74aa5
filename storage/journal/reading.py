"""How is a journal's file read? Whole, or with an error that names it and says what to do.

Invariant: a file that cannot be read is never taken for one that is not there.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from storage.journal.base import JournalError
from storage.plain_file import open_plain


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn `OSError`, but for a missing file, into a `JournalError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise JournalError(
            f"{path} cannot be read: {error.strerror}; make it readable or put back a backup, or "
            "move it away: what is missing then is told"
        ) from error


def open_file(path: Path) -> BinaryIO:
    """The file for reading; raises `FileNotFoundError`, `JournalError`."""
    with naming(path):
        return open_plain(path)


def read_file(path: Path, size: int = -1) -> bytes:
    """Its content, or the first `size` bytes; raises `FileNotFoundError`, `JournalError`."""
    with naming(path), open_plain(path) as file:
        return file.read(size)
