"""When was a line of a file written, as its entry says it? Its time, made exact by its place.

Digits of a second that a line does not tell are filled up from its place in the file: the same at
every reading, and growing from line to line. Lines that tell enough of them, and are equal in all
else, are numbered. So equal lines stay as many as they are, though stores keep equal entries once.
"""

from collections import OrderedDict

from narfi.core.wire.push_encode import PushEntry
from narfi.history.files.content import digest
from narfi.history.files.records import Record
from narfi.history.page import COPY

_ENOUGH_DIGITS = 4
"""With fewer, places of a hundred kilobytes and more tell lines of one time apart."""
_EXACT = 9
_TIMES = 8

Key = tuple[str, int, bytes, tuple[tuple[str, str], ...]]


class Placing:
    """Makes entries of the records of one family, in their order.

    Equal ones are looked for among those of the last few times: writers of one log are a little out
    of order.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[int, dict[Key, int]] = OrderedDict()  # by time
        self._before: dict[str, int] = {}  # what an earlier process had last

    def go_on(self, run: dict[str, int]) -> None:
        """What an earlier process had of the last times."""
        self._seen.clear()
        self._before = run

    def entry(self, record: Record, labels: str) -> PushEntry:
        """The entry of a record."""
        digits = record.digits
        ts_ns = record.ts_ns
        if digits < _EXACT:
            ts_ns += record.place[1] % 10 ** (_EXACT - digits)
        if digits < _ENOUGH_DIGITS:
            return ts_ns, record.line, record.metadata
        seen = self._seen.get(record.ts_ns)
        if seen is None:
            seen = self._seen[record.ts_ns] = {}
            if len(self._seen) > _TIMES:
                self._seen.popitem(last=False)
                self._before = {}
        key = (labels, ts_ns, record.line, record.metadata)
        number = seen.get(key)
        if number is None:
            number = self._before.get(_name(key), 0) if self._before else 0
        seen[key] = number = number + 1
        if number == 1:
            return ts_ns, record.line, record.metadata
        return ts_ns, record.line, (*record.metadata, (COPY, str(number)))

    def run(self) -> dict[str, int]:
        """Entries of the last times, for who goes on."""
        mine = {_name(key): n for seen in self._seen.values() for key, n in seen.items()}
        return self._before | mine

    def run_length(self) -> int:
        """Different entries of the last times."""
        return sum(map(len, self._seen.values())) + len(self._before)


def _name(key: Key) -> str:
    return digest(repr(key).encode("utf-8", "surrogateescape"))
