"""How do entries come that are no lines of files? Receiving threads fill a bounded queue.

What is in the queue was not acknowledged by anything: a full queue makes senders wait where the
protocol can (TCP, HTTP). Sources that can be asked again from a cursor have their entries noted.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from narfi.core.relabel import RelabelRule, relabel
from promtail_agent.entry import AgentEntry, LabelSet
from promtail_agent.positions import Position
from promtail_agent.stages.base import HeldFrom
from promtail_agent.targets.cursors import Cursors

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

    def positions(self, held_from: Callable[[str], HeldFrom | None], /) -> list[Position]:
        """Cursors that hold once what was taken so far is delivered; stages may hold some back."""
        ...

    def close(self) -> None:
        """Stop receiving."""
        ...


class EntryQueue:
    """Entries between receiving threads and the reading thread."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[AgentEntry, str, str]] = queue.Queue(MAX_WAITING)
        self._closed = threading.Event()
        self._cursors = Cursors()

    def put(self, entry: AgentEntry, path: str = "", cursor: str = "") -> bool:
        """Wait for room; an entry that comes after `close` is dropped, and False the answer.

        With a path, `cursor` is where to go on after this entry.
        """
        while not self._closed.is_set():
            try:
                self._queue.put((entry, path, cursor), timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def take(self) -> list[AgentEntry]:
        """What is there now."""
        found: list[AgentEntry] = []
        while len(found) < _MAX_TAKEN:
            try:
                entry, path, cursor = self._queue.get_nowait()
            except queue.Empty:
                break
            if path:
                self._cursors.note(entry, path, cursor)
            found.append(entry)
        return found

    def positions(self, held_from: Callable[[str], HeldFrom | None]) -> list[Position]:
        """As of `ReceivedSource`."""
        return self._cursors.positions(held_from)

    def close(self) -> None:
        """Let waiting threads go."""
        self._closed.set()


class Queued:
    """What sources that fill a queue have in common."""

    def __init__(self) -> None:
        self._queue = EntryQueue()

    def take(self) -> list[AgentEntry]:
        """What came."""
        return self._queue.take()

    def positions(self, held_from: Callable[[str], HeldFrom | None], /) -> list[Position]:
        """Cursors of what came."""
        return self._queue.positions(held_from)


def listen_address(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Host and port of `host:port`, `:port`, or `host` with a default; raises `ValueError`."""
    host, colon, port = text.rpartition(":")
    if not colon and default_port is not None:
        host, port = text, str(default_port)
    if not port.isdecimal():
        raise ValueError(f'listen address "{text}" has no port number')
    return host.strip("[]") or "0.0.0.0", int(port)


def public_labels(labels: Mapping[str, str], rules: Sequence[RelabelRule]) -> LabelSet | None:
    """Labels after relabelling, without internal ones; None when the entry is dropped."""
    kept = relabel(dict(labels), rules)
    if kept is None:
        return None
    return LabelSet({n: v for n, v in kept.items() if not n.startswith("__")})


def entry_of(labels: LabelSet, ts_ns: int, line: bytes) -> AgentEntry:
    """A received line as an entry."""
    return AgentEntry(labels=labels, ts_ns=ts_ns, line=line, extracted=dict(labels.values))
