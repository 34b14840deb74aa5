"""What is a server doing at this moment? Counters in a file that its process maps.

The server's process wraps the steps of its life; another process reads which are under way, and
goes on reading when it was killed.
"""

import mmap
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingester.adoption import Adopter
from ingester.flush import Flusher
from narfi.server import wiring
from storage.catalog.delete_log import DeleteLog
from storage.catalog.leases import Leases
from storage.catalog.sql import SqlCatalog
from storage.journal.file import FileJournal
from storage.journal.objects import ObjectJournal
from storage.store import BlockStore
from upkeep import garbage
from upkeep.compaction import Compaction
from upkeep.deletes import Deletes
from upkeep.retention import Retention

STEPS: dict[str, tuple[Any, str]] = {
    "replay": (wiring, "recover"),
    "commit": (FileJournal, "_commit"),
    "flush": (Flusher, "_flush"),
    "put": (BlockStore, "write"),
    "publish": (SqlCatalog, "publish"),
    "forget records": (FileJournal, "truncate"),
    "compaction": (Compaction, "run"),
    "retention": (Retention, "run"),
    "deletes": (Deletes, "execute"),
    "request": (DeleteLog, "add"),
    "progress": (DeleteLog, "change"),
    "cancel": (DeleteLog, "remove"),
    "rewrite": (BlockStore, "rewrite"),
    "replace": (SqlCatalog, "replace"),
    "erase": (garbage, "delete_objects"),
    "set aside": (garbage, "set_aside"),
    "stop": (wiring.Server, "stop"),
    "commit of an object": (ObjectJournal, "_commit"),
    "take lease": (Leases, "take"),
    "adoption": (Adopter, "_adopt"),
    "retire": (Leases, "retire"),
}
"""Where each step is a function of its own."""

_COUNTS = struct.Struct("<II")  # begun, ended
_NAMES = list(STEPS)


class Phases:
    """The counters of one server process."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_COUNTS.size * len(STEPS)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def watch(self) -> None:
        """In the server's process: count from now on."""
        for name, (owner, attribute) in STEPS.items():
            setattr(owner, attribute, self._counted(name, getattr(owner, attribute)))

    def clear(self) -> None:
        """Begin anew, for the next process."""
        self._map[:] = bytes(len(self._map))

    def under_way(self) -> set[str]:
        """Steps that were begun and did not end yet."""
        return {name for name in _NAMES if self.begun(name) > self.ended(name)}

    def all_ended(self) -> dict[str, int]:
        """How often each step ended."""
        return {name: self.ended(name) for name in _NAMES}

    def begun(self, name: str) -> int:
        """How often."""
        return self._counts(name)[0]

    def ended(self, name: str) -> int:
        """How often."""
        return self._counts(name)[1]

    def _counts(self, name: str) -> tuple[int, int]:
        begun, ended = _COUNTS.unpack_from(self._map, _COUNTS.size * _NAMES.index(name))
        return begun, ended

    def _counted(self, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        """The step, counted; one thread at a time does each of them, but for a rare overlap."""
        at = _COUNTS.size * _NAMES.index(name)

        def counted(*arguments: Any, **named: Any) -> Any:
            self._add(at)
            try:
                return step(*arguments, **named)
            finally:
                self._add(at + 4)

        return counted

    def _add(self, at: int) -> None:
        (count,) = struct.unpack_from("<I", self._map, at)
        struct.pack_into("<I", self._map, at, count + 1)
