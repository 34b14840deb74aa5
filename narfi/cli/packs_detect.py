"""`narfi packs detect`: which formats of which packs read how many lines of a file?"""

from pathlib import Path

from narfi.core.errors import AppError, ErrorKind
from narfi.packs.detect import detected
from promtail_agent.packs.load import Shelf

MOST_LINES = 5_000


class NothingReadError(AppError):
    """The file cannot be read."""

    kind = ErrorKind.INVALID


def run(file: Path) -> None:
    """A line a format, the one that reads most first."""
    try:
        lines = [line for line in file.read_bytes().split(b"\n") if line][:MOST_LINES]
    except OSError as error:
        raise NothingReadError(f"{file}: cannot be read: {error.strerror}") from error
    shelf = Shelf.of_environment()
    found = detected([shelf.find(name) for name in shelf.names()], lines)
    if not found:
        print(f"no format reads any of the {len(lines)} lines; narfi packs new drafts one")
    for one in found:
        print(f"{one.pack:<18} {one.format:<22} {one.lines} of {len(lines)} lines")
