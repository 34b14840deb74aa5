"""Who may change a data folder? The one process that holds the lock of its journal."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from storage.journal.base import JournalError

LOCK = "lock"


def take_lock(directory: Path) -> int:
    """The descriptor that holds the lock until it is closed; raises `JournalError` when taken.

    Also where the file cannot be opened.
    """
    path = directory / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        step = "move it away, it holds nothing"
        if isinstance(error, PermissionError):
            step = "the folder and all in it must belong to the user that the server runs as"
        message = f"{path} cannot be opened: {error.strerror}; {step}"
        raise JournalError(message) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        message = f"another process uses the journal in {directory}; stop it or use another"
        raise JournalError(message) from error
    return descriptor


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock; the folder is made when it is not there."""
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = take_lock(directory)
    try:
        yield
    finally:
        os.close(descriptor)
