"""What is pushed and noted at once? A page: entries by stream, and where its source goes on.

Invariant: a page that is given again after an interruption has the same entries with the same times
and metadata, so that pushing it twice changes nothing: stores keep equal entries once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from narfi.core.wire.push_encode import PushEntry

COPY = "import_copy"
"""Metadata of the second and later of entries that are equal in all else: `2`, `3`, …"""

Streams = dict[str, list[PushEntry]]
"""Selector text to entries, in their order."""


@dataclass(slots=True, kw_only=True)
class Refused:
    """An entry that is not at the target, and why; without `labels`: it was not understood."""

    tenant: str
    labels: str
    entry: PushEntry
    reason: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a part goes on; `done` when nothing of it is left."""

    text: str
    done: bool


@dataclass(slots=True, kw_only=True)
class Page:
    """Entries of one tenant of the target, and cursors that hold once they are there.

    Cursors are by the name of a part, such as a file. Without any the source goes on only behind a
    later page, so this one cannot be noted alone.
    """

    tenant: str
    cursors: dict[str, Cursor] = field(default_factory=dict)
    streams: Streams = field(default_factory=dict)
    at_ns: int = 0  # shown in the progress
    share: float | None = None  # of the whole, where the source knows it
    not_understood: list[Refused] = field(default_factory=list)

    def count(self) -> int:
        """Entries."""
        return sum(len(entries) for entries in self.streams.values())


class Source(Protocol):
    """Something that has entries."""

    def pages(self, cursors: Mapping[str, Cursor]) -> Iterator[Page]:
        """Pages behind the cursors that are known, in the order in which they are to be noted."""
        ...

    def close(self) -> None:
        """Let connections and files go."""
        ...


Sleep = Callable[[float], None]
"""Waits for seconds."""


def entry_bytes(entry: PushEntry) -> int:
    """Bytes of an entry as servers count them: its line and its metadata."""
    _, line, metadata = entry
    if not metadata:
        return len(line)
    return len(line) + sum(len(name) + len(value) for name, value in metadata)


def numbered_copies(entries: list[PushEntry]) -> list[PushEntry]:
    """The entries of one instant of a stream, each equal one after the first with its number.

    A store keeps equal entries once; a source that shows them several times means each of them.
    """
    seen: dict[tuple[bytes, tuple[tuple[str, str], ...]], int] = {}
    found: list[PushEntry] = []
    for ts_ns, line, metadata in entries:
        key = (line, tuple(metadata))
        number = seen[key] = seen.get(key, 0) + 1
        more = (*metadata, (COPY, str(number))) if number > 1 else metadata
        found.append((ts_ns, line, more))
    return found
