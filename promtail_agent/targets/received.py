"""How do entries come that are no lines of files? Receiving threads fill a bounded queue.

What is in the queue was not acknowledged by anything: a full queue makes senders wait where the
protocol can (TCP, HTTP).
"""

import queue
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.relabel import RelabelRule, relabel

MAX_WAITING = 10_000
_MAX_TAKEN = 2_000


class ReceivedSource(Protocol):
    """A source of entries that come by themselves."""

    def start(self) -> None:
        """Begin to receive; raises `OSError` when the address is taken."""
        ...

    def take(self) -> list[AgentEntry]:
        """What came since the last call, at most a few thousand entries."""
        ...

    def close(self) -> None:
        """Stop receiving."""
        ...


class EntryQueue:
    """Entries between receiving threads and the reading thread."""

    def __init__(self) -> None:
        self._queue: queue.Queue[AgentEntry] = queue.Queue(MAX_WAITING)
        self._closed = threading.Event()

    def put(self, entry: AgentEntry) -> None:
        """Wait for room; an entry that comes after `close` is dropped."""
        while not self._closed.is_set():
            try:
                self._queue.put(entry, timeout=0.2)
            except queue.Full:
                continue
            return

    def take(self) -> list[AgentEntry]:
        """What is there now."""
        found: list[AgentEntry] = []
        while len(found) < _MAX_TAKEN:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return found

    def close(self) -> None:
        """Let waiting threads go."""
        self._closed.set()


def public_labels(labels: Mapping[str, str], rules: Sequence[RelabelRule]) -> LabelSet | None:
    """Labels after relabelling, without internal ones; None when the entry is dropped."""
    kept = relabel(dict(labels), rules)
    if kept is None:
        return None
    return LabelSet({n: v for n, v in kept.items() if not n.startswith("__")})


def entry_of(labels: LabelSet, ts_ns: int, line: bytes) -> AgentEntry:
    """A received line as an entry."""
    return AgentEntry(labels, ts_ns, line, dict(labels.values))
