"""How do files become pages? Family by family, each line once, from where an earlier run stopped.

Invariant: a page that has cursors ends where all before them was given and nothing behind them, so
that what is given again after an interruption is the same. A compressed file that is damaged ends
with its last whole line; it is told, and goes on there when it was mended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from narfi.history.errors import HistoryError
from narfi.history.files.content import Content, RawLine, digest
from narfi.history.files.placing import Placing
from narfi.history.files.records import Form, Found, NotUnderstood, Place, Record
from narfi.history.files.stops import UNKNOWN, Stat, Stop, Stops
from narfi.history.loki.answers import LabelTexts
from narfi.history.page import Cursor, Page, Refused, Streams, entry_bytes

FIRST_LINES = 1000
"""That a form may look at before it begins."""
_PEEKED_LINES = 100
_PAGE_BYTES = 256 << 10
_MOST_PAGE_BYTES = 8 << 20
"""Of a page that cannot end, since lines are held or share their time: it goes without cursors."""
_MOST_RUN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Files that are one log, oldest first, and the form that reads them.

    A file is known again within its `group`, whatever it is called by then.
    """

    group: str
    files: Sequence[Path]
    form: Callable[[], Form]


@dataclass(slots=True)
class _Draft:
    """A page that is being filled."""

    streams: Streams = field(default_factory=dict)
    not_understood: list[Refused] = field(default_factory=list)
    size: int = 0
    ts_ns: int = 0


class FileSource:
    """Entries of families for one tenant; those outside of `[start_ns, end_ns)` are left out."""

    def __init__(
        self, families: Sequence[Family], tenant: str, *, start_ns: int = 0, end_ns: int = 2**63 - 1
    ) -> None:
        self._families, self.tenant = families, tenant
        self.start_ns, self.end_ns = start_ns, end_ns
        self.texts = LabelTexts()
        self.left_out = 0
        """Entries outside of the time."""
        sizes = [stat[1] for family in families for stat in map(_stat, family.files)]
        self._all_bytes, self.bytes_before = max(1, sum(sizes)), 0

    def pages(self, cursors: Mapping[str, Cursor]) -> Iterator[Page]:
        """Family by family."""
        stops: dict[str, Stops] = {}
        for family in self._families:
            if family.group not in stops:
                stops[family.group] = Stops(cursors, family.group)
            yield from _Reading(self, family, stops[family.group]).pages()

    def share(self, read: int) -> float:
        """Of all bytes."""
        return min(1.0, (self.bytes_before + read) / self._all_bytes)

    def close(self) -> None:
        """Files are closed when they are read."""


class _Reading:
    """One family, from where it was left."""

    def __init__(self, source: FileSource, family: Family, stops: Stops) -> None:
        self._source, self._family, self._known = source, family, stops
        self._form = family.form()
        self._placing = Placing()
        self._draft = _Draft()
        self._stops: dict[int, Stop] = {}  # of files that are not noted as done
        self._last_place: Place = (-1, -1)
        self._before = RawLine(0, b"")  # the line before the one that is read
        self._before_held = RawLine(0, b"")

    def pages(self) -> Iterator[Page]:
        """All files; what is held back at the end comes as it is."""
        for number, path in enumerate(self._family.files):
            stat = _stat(path)
            if stat[1]:
                with closing(Content(path)) as content:
                    yield from self._file(number, content, stat)
            self._source.bytes_before += stat[1]
        for found in self._form.end():
            self._add(found)
        if self._stops:
            yield self._page(self._ended(len(self._family.files)), 0)

    def _file(self, number: int, content: Content, stat: Stat) -> Iterator[Page]:
        head = content.head()
        stop = self._known.find(content, head, stat)
        if stop.done_stat == stat:
            return
        stop.done_stat = UNKNOWN
        self._stops[number] = stop
        if stop.run:
            self._placing.go_on(stop.run)
        lines = content.lines(stop.at)
        first = list(islice(lines, FIRST_LINES)) if not stop.at else []
        self._form.begin([line.text for line in first], stop.memory)
        self._before = RawLine(stop.at, b"")
        for line in chain(first, lines):
            if self._draft.size >= _PAGE_BYTES:
                yield from self._cut((number, line.start), content.read_bytes())
            place = (number, line.start)
            if line.left_out:
                size = line.end - line.start
                self._add(NotUnderstood(place, line.raw, f"a line of {size} bytes"))
            else:
                for found in self._form.take(line.text, place):
                    self._add(found)
            if self._form.held_from() == place:
                self._before_held = self._before
            self._before = line.last
        if self._before.raw:
            stop.at, stop.line = self._before.end, (self._before.start, digest(self._before.raw))
        stop.memory, stop.done_stat = self._form.memory(), stat
        if content.damage:
            self._add(_damaged((number, self._before.end), content.damage))

    def _cut(self, place: Place, read: int) -> Iterator[Page]:
        """A page, if it may end before the line at a place, or is too large."""
        held = self._form.held_from()
        safe, before = (place, self._before) if held is None else (held, self._before_held)
        number, at = safe
        if self._last_place < safe and self._placing.run_length() <= _MOST_RUN:
            stop = self._stops[number]
            cursors = self._ended(number)
            stop.at = at
            if before.raw:
                stop.line = (before.start, digest(before.raw))
            stop.memory = self._form.memory()
            stop.run = self._placing.run()
            cursors[stop.part] = stop.cursor(self._family.files[number], done=False)
            yield self._page(cursors, read)
        elif self._draft.size >= _MOST_PAGE_BYTES:
            yield self._page({}, read)

    def _ended(self, number: int) -> dict[str, Cursor]:
        """Cursors of files before this one, which are done."""
        done = [one for one in self._stops if one < number]
        found: dict[str, Cursor] = {}
        for one in done:
            stop = self._stops.pop(one)
            stop.run = {}
            found[stop.part] = stop.cursor(self._family.files[one], done=True)
        return found

    def _page(self, cursors: dict[str, Cursor], read: int) -> Page:
        draft, self._draft = self._draft, _Draft()
        return Page(
            tenant=self._source.tenant,
            cursors=cursors,
            streams=draft.streams,
            at_ns=draft.ts_ns,
            share=self._source.share(read),
            not_understood=draft.not_understood,
        )

    def _add(self, found: Found) -> None:
        draft, source = self._draft, self._source
        self._last_place = max(self._last_place, found.place)
        if isinstance(found, NotUnderstood):
            number, at = found.place
            reason = f"{self._family.files[number]}, byte {at}: {found.reason}"
            entry = (0, found.line, ())
            draft.not_understood.append(
                Refused(tenant=source.tenant, labels="", entry=entry, reason=reason)
            )
            draft.size += len(found.line)
            return
        labels = source.texts.of(found.labels)
        entry_ = self._placing.entry(found, labels)
        if not source.start_ns <= entry_[0] < source.end_ns:
            source.left_out += 1
            return
        stream = draft.streams.get(labels)
        if stream is None:
            stream = draft.streams[labels] = []
        stream.append(entry_)
        draft.size += entry_bytes(entry_) + 32
        draft.ts_ns = entry_[0]


def first_time(family: Family) -> int:
    """About when a family begins, in ns: its first entry's time, else when its files were written.

    Only a few lines are looked at, and entries may be older: it is for saying what may be refused.
    """
    times = [_stat(path)[2] for path in family.files[:1]]
    form = family.form()
    try:
        with closing(Content(family.files[0])) as content:
            lines = list(islice(content.lines(0), _PEEKED_LINES))
        form.begin([line.text for line in lines], "")
        found = chain.from_iterable(form.take(line.text, (0, line.start)) for line in lines)
        times += [one.ts_ns for one in chain(found, form.end()) if isinstance(one, Record)]
    except HistoryError:
        pass  # reading it tells that
    return min(times)


def _damaged(place: Place, damage: str) -> NotUnderstood:
    reason = f"the file is damaged, what it has from here on is not there: {damage}"
    return NotUnderstood(place, b"", reason)


def _stat(path: Path) -> Stat:
    """Zeros where there is no file any more: it was rotated away since it was listed."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return UNKNOWN
    return status.st_ino, status.st_size, status.st_mtime_ns
