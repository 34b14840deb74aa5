"""Which records does a journal hold, and which acknowledged ones does it not hold any more?

Positions tell: within a journal they grow by one, each segment's header says up to where older
ones were durable, and the mark (`mark.py`) says it for the newest. Missing positions are

* a torn commit, when nothing says that the commit was durable: normal after a crash, and silent;
* not needed any more, when the mark says that they may be forgotten;
* else damage: they were acknowledged, and it is told.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from storage.journal.base import Damage, StoredRecord
from storage.journal.mark import Mark
from storage.journal.segment import Header, read_header, read_records, segment_position

MISSING = "the journal ends before its newest acknowledged record"
UNREADABLE = "bytes of the journal are damaged"
GONE = "a segment of the journal is missing"


class Replay:
    """One pass over the segments of a journal, oldest first."""

    def __init__(
        self,
        paths: Sequence[Path],
        journal_id: str,
        mark: Mark | None,
        damaged: Callable[[Damage], None],
    ) -> None:
        self._paths, self._journal_id, self._mark = paths, journal_id, mark
        self._damaged = damaged
        self._seen = 0  # every position up to here was yielded, refused, forgotten or told
        self._received_ns: int | None = None  # of the record before
        # first, last, reason: told when the record behind them comes
        self._untold: list[tuple[int, int, str]] = []

    def records(self) -> Iterator[StoredRecord]:
        """All records, ascending; damage is told where it lies."""
        mark = self._mark
        headers = [read_header(path, self._journal_id) for path in self._paths]
        self._seen = mark.forgotten if mark is not None else forgotten_before(self._paths, headers)
        for number, path in enumerate(self._paths):
            durable = self._durable_behind(number, headers)
            self._enter(path, headers[number])
            yield from self._segment(path, headers[number], durable)
        if mark is not None:
            self._missing_up_to(mark.durable, MISSING)
        self._tell(None)

    def _durable_behind(self, number: int, headers: Sequence[Header | None]) -> int | None:
        """The newest position of this segment that is known to have been durable; None: any."""
        if number + 1 < len(headers):
            following = headers[number + 1]
            if following is not None:
                return following.durable
            return segment_position(self._paths[number + 1]) - 1
        return None

    def _enter(self, path: Path, header: Header | None) -> None:
        """What older segments should have held and did not; positions that were never given."""
        first = segment_position(path)
        self._missing_up_to(header.durable if header else first - 1, GONE)
        self._seen = max(self._seen, first - 1)

    def _segment(
        self, path: Path, header: Header | None, durable: int | None
    ) -> Iterator[StoredRecord]:
        known = max(self._mark.durable if self._mark else 0, durable or 0)
        held: list[
            StoredRecord
        ] = []  # of a commit with a hole: kept when a later commit shows it whole
        for record in read_records(path, self._journal_id, header):
            if durable is not None and record.position > durable:
                break  # refused: its caller was told so
            if held and held[0].commit != record.commit:
                yield from map(self._account, held)
                held = []
            if held or record.position - 1 > max(self._seen, known, record.commit - 1):
                self._missing_up_to(record.commit - 1, UNREADABLE)
                held.append(record)
                continue
            yield self._account(record)
        if durable is not None:
            self._missing_up_to(durable, UNREADABLE)

    def _account(self, record: StoredRecord) -> StoredRecord:
        """The record comes; whatever is missing before it was acknowledged."""
        self._missing_up_to(record.position - 1, UNREADABLE)
        self._seen = max(self._seen, record.position)
        self._tell(record.received_ns)
        self._received_ns = record.received_ns
        return record

    def _missing_up_to(self, position: int, reason: str) -> None:
        """Positions behind the last one seen are missing."""
        if position > self._seen:
            self._untold.append((self._seen + 1, position, reason))
            self._seen = position

    def _tell(self, before_ns: int | None) -> None:
        for first, last, reason in self._untold:
            self._damaged(
                Damage(
                    first=first,
                    last=last,
                    after_ns=self._received_ns,
                    before_ns=before_ns,
                    reason=reason,
                )
            )
        self._untold.clear()


def forgotten_before(paths: Sequence[Path], headers: Sequence[Header | None]) -> int:
    """Without a mark: what older segments than those that are there held was forgotten rightly."""
    if not paths:
        return 0
    return headers[0].durable if headers[0] else segment_position(paths[0]) - 1
