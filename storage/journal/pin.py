"""How is a journal read while a server writes, rolls over and deletes its segments?

Its files are opened at once: what is deleted later stays readable. The mark is read behind the
segments' opening, so it says that those are forgotten which were deleted before; segments that were
begun since are taken in by `follow`. So bytes read afterwards hold every record that was durable at
the call of `follow`, and the mark explains every hole.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from storage.journal.base import JournalError
from storage.journal.file import ID, MARK
from storage.journal.mark import parse_mark
from storage.journal.reading import open_file, read_file
from storage.journal.segment import segment_paths, segment_position

TRIES = 100
"""Looks at a folder whose segments are deleted at the same moment; each takes microseconds."""


class PinnedJournal:
    """Open files of a journal; close it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments: dict[Path, BinaryIO] = {}
        self.journal_id = _content(directory / ID)
        try:
            self._open_all()
            self.mark = _read_mark(directory / MARK)
        except BaseException:
            self.close()
            raise

    def _open_all(self) -> None:
        for _ in range(TRIES):
            if self._open(segment_paths(self._directory)):
                return
            self.close()
        raise JournalError(
            f"the segments in {self._directory} change faster than they can be opened"
        )

    def _open(self, paths: list[Path]) -> bool:
        """Whether all of them were still there."""
        for path in paths:
            try:
                self._segments[path] = open_file(path)
            except FileNotFoundError:
                return False
        return True

    def follow(self) -> bool:
        """Take in segments that were begun since; false when one may have come and gone."""
        there = segment_paths(self._directory)
        newest = max(self._segments, default=None)
        if newest is None:
            return not there
        if newest not in there:
            return False  # segments are deleted in order, so those behind it may be gone too
        first = segment_position(newest)
        return self._open([path for path in there if segment_position(path) > first])

    def files(self) -> Iterator[tuple[str, bytes]]:
        """(name, content) of what makes the journal up, the oldest segment first."""
        if self.journal_id is not None:
            yield ID, self.journal_id
        if self.mark is not None:
            yield MARK, self.mark
        for path in sorted(self._segments):
            file = self._segments[path]
            file.seek(0)
            yield path.name, file.read()

    def close(self) -> None:
        """Let the files go."""
        for file in self._segments.values():
            file.close()
        self._segments.clear()


def _read_mark(path: Path) -> bytes | None:
    """The mark's bytes; read again when it was being written."""
    for _ in range(TRIES):
        data = _content(path)
        if data is None or parse_mark(data) is not None:
            return data
    return None  # damaged: a start makes a new one


def _content(path: Path) -> bytes | None:
    with contextlib.suppress(FileNotFoundError):
        return read_file(path)
    return None
