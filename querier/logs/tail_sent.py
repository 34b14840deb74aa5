"""What has a follower been sent, so that it goes on after its connection broke?

Entries are stored by time, and one that came late may lie before others that were sent. So a
position remembers what was sent of the last minute before its newest entry; who resumes is sent all
of that minute and behind it that was not. Only the process that gave a position remembers this, for
the last followers; elsewhere a position is the time of the newest entry, and that is told.
"""

import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from narfi.core.errors import InvalidRequestError
from querier.result import LabelPairs, LogEntry

LATE_NS = 60 * 1_000_000_000
"""How late an entry may come and still be sent to who resumes."""
MOST_ENTRIES = 20_000
"""Of one follower that are remembered: 1.5 MB."""
MOST_FOLLOWERS = 32
"""That are remembered, the last ones."""

Entry = tuple[LabelPairs, LogEntry]
"""With its stream's labels."""


@dataclass(frozen=True, slots=True)
class Position:
    """Behind which frame of which follower, and the time of its newest entry in ns."""

    follower: str
    frame: int
    newest_ns: int

    def text(self) -> str:
        """For the client, which only gives it back."""
        return f"{self.follower}.{self.frame}.{self.newest_ns}"

    @staticmethod
    def parse(text: str) -> "Position | None":
        """None of an empty text; raises `InvalidRequestError`."""
        if not text:
            return None
        try:
            follower, frame, newest = text.split(".")
            found = Position(follower, int(frame), int(newest))
            if found.text() != text or abs(found.newest_ns) >= 2**63:
                raise ValueError
        except ValueError:
            message = "invalid from: it must be the position of a frame"
            raise InvalidRequestError(message) from None
        return found


@dataclass(slots=True, kw_only=True)
class Sent:
    """What one follower was sent; used by its task alone."""

    floor_ns: int  # nothing that is older is owed to it
    newest_ns: int
    follower: str = field(default_factory=lambda: secrets.token_hex(4))
    frame: int = 0
    _kept: deque[tuple[int, int, int]] = field(default_factory=deque)  # frame, time, entry

    def add(self, entries: Sequence[Entry]) -> Position:
        """A frame is about to be sent; the position behind it."""
        self.frame += 1
        for labels, entry in entries:
            self.newest_ns = max(self.newest_ns, entry.ts_ns)
            self._kept.append((self.frame, entry.ts_ns, key_of(labels, entry)))
        while len(self._kept) > MOST_ENTRIES:
            _, ts_ns, _ = self._kept.popleft()
            self.floor_ns = max(self.floor_ns, ts_ns + 1)
        return Position(self.follower, self.frame, self.newest_ns)

    def resumed(self, position: Position) -> "tuple[Sent, set[int]]":
        """For a follower that goes on behind a position; and entries that it has."""
        floor_ns = max(self.floor_ns, position.newest_ns - LATE_NS)
        had = [one for one in self._kept if one[0] <= position.frame and one[1] >= floor_ns]
        again = Sent(floor_ns=floor_ns, newest_ns=position.newest_ns)
        again._kept.extend((0, ts_ns, key) for _, ts_ns, key in had)
        return again, {key for _, _, key in had}


class Followers:
    """The last followers and what they were sent; thread-safe."""

    def __init__(self, most: int = MOST_FOLLOWERS) -> None:
        self._most = most
        self._known: OrderedDict[str, tuple[object, Sent]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, asked: object, sent: Sent) -> None:
        """One that begins; `asked`: what it follows, only who follows the same may go on."""
        with self._lock:
            self._known[sent.follower] = (asked, sent)
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def resumed(self, asked: object, position: Position) -> tuple[Sent, set[int], bool]:
        """Who goes on behind a position, what it has, and whether that is known exactly."""
        with self._lock:
            known = self._known.get(position.follower)
        if known is None or known[0] != asked:
            newest_ns = position.newest_ns
            return Sent(floor_ns=newest_ns, newest_ns=newest_ns), set(), False
        return *known[1].resumed(position), True


def key_of(labels: LabelPairs, entry: LogEntry) -> int:
    """Equal for equal entries, in this process."""
    return hash((labels, entry.ts_ns, entry.line, entry.metadata, entry.parsed))
