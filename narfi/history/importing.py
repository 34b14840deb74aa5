"""What does an import do? Push each page, note it, tell how far it is; nothing is done twice."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from narfi.history.errors import HistoryError, SourceError, StateError
from narfi.history.page import Cursor, Page, Refused, Source
from narfi.history.pushing import Pusher, Told
from narfi.history.state import State
from narfi.history.tally import Counts, tally

_AHEAD = 2
"""Pages that are read while another is pushed."""
_NOTE_BYTES, _NOTE_S = 4 << 20, 0.5
"""Pages are noted together up to so much of lines, or so long: a note waits for the disk."""


@dataclass(slots=True)
class Done:
    """What one run brought."""

    entries: int = 0
    line_bytes: int = 0
    refused: int = 0


class Importing:
    """One run over what is left of a source."""

    def __init__(
        self, source: Source, pusher: Pusher, state: State, *, window_ns: int, most_refused: int = 0
    ) -> None:
        self._source, self._pusher, self._state = source, pusher, state
        self._window_ns, self._most_refused = window_ns, most_refused
        self._cursors: dict[str, Cursor] = {}
        self._may_note = False
        self._counts: Counts = {}
        self._refused: list[Refused] = []
        self._bytes = 0
        self._noted_at = time.monotonic()
        self.done = Done()

    def run(self, told: Told) -> Done:
        """Bring everything; raises `HistoryError` where it cannot go on."""
        try:
            for page in _ahead(self._source.pages(self._state.cursors())):
                refused = self._pusher.push(page.tenant, page.streams)
                self._count(page, [*page.not_understood, *refused])
                late = time.monotonic() - self._noted_at >= _NOTE_S
                if late or self._bytes >= _NOTE_BYTES:
                    self._note()
                told(self._progress(page))
        except StateError:
            raise
        except HistoryError:
            self._note()  # what is at the target need not be pushed again
            raise
        self._note()
        return self.done

    def _count(self, page: Page, refused: list[Refused]) -> None:
        counts = tally(page.tenant, page.streams.items(), self._window_ns)
        not_there = [one for one in refused if one.labels]
        for one in not_there:
            less = tally(one.tenant, [(one.labels, [one.entry])], self._window_ns)
            for key, (entries, size) in less.items():
                counts[key][0] -= entries
                counts[key][1] -= size
        for key, (entries, size) in counts.items():
            cell = self._counts.setdefault(key, [0, 0])
            cell[0] += entries
            cell[1] += size
            self.done.entries += entries
            self.done.line_bytes += size
            self._bytes += size
        self._refused += refused
        self.done.refused += len(refused)
        if self._most_refused and self.done.refused > self._most_refused:
            raise SourceError(
                f"more than {self._most_refused} lines were refused, the last one: "
                f"{refused[-1].reason}; look at the flags, or let more be refused (--max-refused)"
            )
        self._cursors |= page.cursors
        self._may_note = bool(page.cursors)

    def _note(self) -> None:
        """Only where the source goes on behind the last page."""
        if not self._may_note:
            return
        cursors = self._cursors | self._pusher.cursors()
        self._state.note(cursors, self._counts, self._refused)
        self._cursors, self._counts, self._refused, self._bytes = {}, {}, [], 0
        self._may_note = False
        self._noted_at = time.monotonic()

    def _progress(self, page: Page) -> str:
        done = self.done
        shown = f"{done.entries:,} entries, {done.line_bytes / 1e6:,.1f} MB of lines"
        if page.at_ns:
            shown += f", at {datetime.fromtimestamp(page.at_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"
        if page.share is not None:
            shown += f" ({page.share:.0%})"
        return shown + (f", {done.refused:,} refused" if done.refused else "")


def _ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages, read by a thread of their own, a few ahead."""
    waiting: queue.Queue[Page | BaseException | None] = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(one: Page | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(one, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for page in pages:
                if not put(page):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001  raised again by who takes pages
            put(error)

    reader = threading.Thread(target=read, name="pages", daemon=True)
    reader.start()
    try:
        while True:
            found = waiting.get()
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield found
    finally:
        stop.set()
        reader.join(5)
