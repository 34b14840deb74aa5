"""How is plain text with times read? Each line is an entry; one without a time has that of before.

The form of times is found out from the first lines of a file, or given. Lines before the first time
have that one, unless a time is given for them. With `join`, lines without a time belong to the one
before, as stack traces do.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from narfi.history.errors import HistoryError
from narfi.history.files.moments import SHAPES, Moment, Read, best_shape, layout_reader, reader_of
from narfi.history.files.records import Found, Place, Record

_MOST_JOINED = 1 << 20
"""Bytes of lines that become one."""


class TextLines:
    """Lines of one family of files; `now` is the time of the file, for times without a year."""

    def __init__(
        self,
        labels: Mapping[str, str],
        *,
        layout: str,
        location: str,
        now: datetime,
        join: bool,
        name: str,
        moment: Moment | None = None,
    ) -> None:
        self._labels, self._layout, self._location = labels, layout, location
        self._now, self._join, self._name = now, join, name
        self._read: Read | None = None
        self._shape = ""
        self._moment = moment  # of lines before the first time
        self._held: tuple[Place, Moment, list[bytes]] | None = None
        self._held_bytes = 0

    def begin(self, first_lines: Sequence[bytes], memory: str) -> None:
        """Find the form of times; raises `HistoryError` where there is none."""
        if memory:
            self._shape, ts_ns, digits = json.loads(memory)
            self._moment = Moment(ts_ns, digits)
        elif not self._layout and first_lines:
            shape = best_shape(list(first_lines), self._location, self._now)
            self._shape = shape.name if shape is not None else self._shape
        if self._layout:
            self._read = layout_reader(self._layout, self._location, self._now)
        elif self._shape:
            shape = next(one for one in SHAPES if one.name == self._shape)
            self._read = reader_of(shape, self._location, self._now)
        if self._moment is None and self._read is not None:
            found = map(self._read, first_lines)
            self._moment = next((one for one in found if one is not None), None)
        if first_lines and self._moment is None:
            raise HistoryError(
                f"{self._name}: no time in its first {len(first_lines)} lines; say how times are "
                "written (--time-format), or when all of it was (--at)"
            )

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """The line as a record, or with `join` the one before it."""
        moment = self._read(line) if self._read is not None else None
        if moment is not None:
            self._moment = moment
        assert self._moment is not None
        if not self._join:
            yield self._record(place, self._moment, line)
            return
        held = self._held
        if held is not None and moment is None and self._held_bytes < _MOST_JOINED:
            held[2].append(line)
            self._held_bytes += len(line)
            return
        yield from self.end()
        self._held, self._held_bytes = (place, self._moment, [line]), len(line)

    def _record(self, place: Place, moment: Moment, line: bytes) -> Record:
        return Record(
            place=place, ts_ns=moment.ts_ns, digits=moment.digits, labels=self._labels, line=line
        )

    def held_from(self) -> Place | None:
        """The line to which others may be joined."""
        return self._held[0] if self._held is not None else None

    def memory(self) -> str:
        """The form, and the last time."""
        if self._moment is None:
            return ""
        return json.dumps([self._shape, self._moment.ts_ns, self._moment.digits])

    def end(self) -> Iterator[Found]:
        """The line that is held."""
        if self._held is not None:
            place, moment, lines = self._held
            self._held = None
            yield self._record(place, moment, b"\n".join(lines))
