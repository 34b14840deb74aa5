"""What lies beside a path, and what of it is still to be read?

History is what was there before the path was first looked at; what is known was read. Anything else
that looks like a rotated file came and was moved aside while nobody looked.
"""

import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

from promtail_agent.known import Beside
from promtail_agent.targets.content import Content, is_copy, known_as, open_content
from promtail_agent.targets.family import MAX_KNOWN, WHOLE, Family, Member
from promtail_agent.targets.rotation import Identity, Neighbour, neighbours

_log = logging.getLogger(__name__)

UNFINISHED_S = 60.0
"""A compressed file that has no end and did not change for so long is read as it is."""

ROTATED_GRACE_S = 5.0
"""A rotated file is let go after so long a quiet; nor does its successor wait longer."""

Unread = tuple[Content, int]
"""A content and the place from which it is to be read; of what was begun, the rest."""


class Surroundings:
    """The files beside one path, as they were when `look` was called; used by one thread."""

    def __init__(self, path: str, family: Family) -> None:
        self._path, self._family = path, family
        self.around: list[Neighbour] = []
        self.before_ns = 0
        """What was last written by then is history."""
        self.is_unfinished = False
        """Whether a file could not be judged yet: it is to be looked at again."""
        self._folder_ns = 0
        self._left: set[Identity] = set()  # of the files of now, for others

    def look(self) -> None:
        """See what is there now."""
        self._folder_ns = self._folder_time()
        self._left = set()
        self.around = neighbours(self._path)

    @property
    def has_changed(self) -> bool:
        """Whether files came or went since the last look."""
        return self._folder_time() != self._folder_ns

    def _folder_time(self) -> int:
        try:
            return Path(os.path.realpath(self._path)).parent.stat().st_mtime_ns
        except OSError:
            return 0

    def beside(self) -> Beside:
        """What positions are to say of it."""
        return self._family.beside(self.around, self.before_ns)

    def remember_history(self, until_ns: int) -> None:
        """Rotated files that were last written by then are not read under this path.

        Those that the pattern matches are read under their own: their readers begin after this.
        """
        old = [n for n in self.around if n.is_rotated and n.modified_ns <= until_ns]
        matched = self._family.matched
        self._left = {n.identity for n in old if n.path in matched}
        history = [n for n in old if n.path not in matched]
        for neighbour in history[:-MAX_KNOWN]:
            self.before_ns = max(self.before_ns, neighbour.modified_ns)
        for neighbour in history[-MAX_KNOWN:]:
            content = self._open(neighbour)
            if content is not None:
                size = 0 if content.is_packed else neighbour.size
                self._family.note(known_as(content, size, whole=True))
                content.close()

    def unread(self, reader: Member, mine: set[Identity], held: Iterable[Content]) -> list[Unread]:
        """Contents that nobody has read, open, the oldest first.

        `mine` are files that the reader has already; copies of what it holds are left out too.
        """
        out: list[Unread] = []
        self.is_unfinished = False
        before_ns = max(self.before_ns, self._family.forgotten_ns)
        for neighbour in self.around:
            skipped = neighbour.identity in mine or neighbour.identity in self._left
            is_new = neighbour.modified_ns > before_ns and not skipped
            if not neighbour.is_rotated or not neighbour.size or not is_new:
                continue
            content = self._open(neighbour)
            if content is None:
                continue
            place = self._place_of(content, neighbour, reader, held)
            if place is None:
                content.close()
            else:
                out.append((content, place))
        return out

    def grown(self, reader: Member) -> list[Unread]:
        """Contents that were read, but are or may be longer by now, and where they are to go on."""
        out: list[Unread] = []
        for neighbour in self.around:
            content = self._open(neighbour) if neighbour.is_rotated and neighbour.size else None
            if content is None:
                continue
            place = self._family.place_in(content, self.around)
            known = place is not None and place != WHOLE and not content.is_packed
            young = time.time_ns() - neighbour.modified_ns < ROTATED_GRACE_S * 1e9
            longer = place is not None and place < neighbour.size
            if known and (young or longer) and not self._family.is_anothers(content, reader):
                out.append((content, place or 0))
            else:
                content.close()
        return out

    def _open(self, neighbour: Neighbour) -> Content | None:
        try:
            return open_content(neighbour.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.is_unfinished = True
            _log.warning("cannot open rotated file path=%s error=%s", neighbour.path, error)
            return None

    def _place_of(
        self, content: Content, neighbour: Neighbour, reader: Member, held: Iterable[Content]
    ) -> int | None:
        """Where reading begins; None where nothing of it is new."""
        family = self._family
        if family.is_anothers(content, reader) or family.is_awaited(content):
            return None
        if any(is_copy(content, other) for other in held):
            return None
        place = family.place_in(content, self.around)
        if place == WHOLE:
            return None
        length = content.length()
        if length is None:
            if not is_old(neighbour.modified_ns):
                self.is_unfinished = True
                return None
            return place or 0
        if place is not None and place >= length:
            base = family.base_in(content)
            family.note(known_as(content, length, whole=content.is_packed, base=base))
            return None
        return place or 0


def is_old(modified_ns: int) -> bool:
    """Whether a file that has no end is not being written any more."""
    return time.time_ns() - modified_ns > UNFINISHED_S * 1e9
