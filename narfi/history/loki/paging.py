"""How is every entry of a source read once? Forward in time, page by page, each instant whole.

An answer with fewer entries than its limit has all of its span. One that is full may end between
entries of one nanosecond: those of its last nanosecond are left out, and the next question begins
there. Where a whole answer is one nanosecond, `crowded.py` asks for that instant in parts.
Invariant: a cursor is a time: all that is before it is in pages that were given, nothing after it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from narfi.core.wire.push_encode import PushEntry
from narfi.history.errors import SourceError
from narfi.history.loki.answers import LabelTexts, entries_of
from narfi.history.loki.asking import API, Asker, TooLargeError
from narfi.history.loki.crowded import instant
from narfi.history.page import Cursor, Page, Streams, numbered_copies

SLICE_NS = 24 * 3600 * 10**9
"""A question reaches so far at most; less where the source does not answer in time."""
_LEAST_SLICE_NS = 1000
_LEAST_BATCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One selector of one tenant, whose pages go to a tenant of the target."""

    tenant: str
    to_tenant: str
    selector: str

    @property
    def name(self) -> str:
        """In the state file."""
        return f"{self.tenant} {self.selector}"


@dataclass(slots=True, kw_only=True)
class LokiSource:
    """Entries of `[start_ns, end_ns)` of some parts."""

    asker: Asker
    parts: list[Part]
    start_ns: int
    end_ns: int
    batch: int
    texts: LabelTexts = field(default_factory=LabelTexts)
    merges_metadata: bool = False
    """Some answer had metadata among the labels: the source knows no other form."""

    def pages(self, cursors: Mapping[str, Cursor]) -> Iterator[Page]:
        """Part by part, forward in time."""
        for number, part in enumerate(self.parts):
            cursor = cursors.get(part.name)
            if cursor is not None and cursor.done:
                continue
            start_ns = int(cursor.text) if cursor is not None else self.start_ns
            yield from self._part(number, part, start_ns)

    def _part(self, number: int, part: Part, at_ns: int) -> Iterator[Page]:
        walk = _Walk(self, part)
        while True:
            streams, at_ns = walk.step(at_ns)
            done = at_ns >= self.end_ns
            span = max(1, self.end_ns - self.start_ns)
            yield Page(
                tenant=part.to_tenant,
                cursors={part.name: Cursor(str(at_ns), done)},
                streams={text: _with_copies(entries) for text, entries in streams.items()},
                at_ns=at_ns,
                share=(number + (at_ns - self.start_ns) / span) / len(self.parts),
            )
            if done:
                return

    def close(self) -> None:
        """The client is its maker's."""


class _Walk:
    """Where one part is, and how much is asked for at once."""

    def __init__(self, source: LokiSource, part: Part) -> None:
        self._source, self._selector = source, part.selector
        self._asker = source.asker.of_tenant(part.tenant)
        self._slice_ns = SLICE_NS

    def step(self, at_ns: int) -> tuple[Streams, int]:
        """Entries from a time on, and up to where that is all."""
        source = self._source
        end_ns = min(source.end_ns, at_ns + self._slice_ns)
        if end_ns <= at_ns:
            return {}, at_ns
        batch = source.batch
        try:
            streams, count = self._ask(self._selector, at_ns, end_ns, batch)
        except TooLargeError as error:
            self._smaller(error, end_ns - at_ns)
            return {}, at_ns
        if count < batch:
            self._slice_ns = min(SLICE_NS, self._slice_ns * 2)
            return streams, end_ns
        last_ns = max(entries[-1][0] for entries in streams.values())
        if min(entries[0][0] for entries in streams.values()) == last_ns:
            whole = instant(self._asker, self._ask, self._selector, last_ns, batch)
            return whole, last_ns + 1
        before = {
            text: [entry for entry in entries if entry[0] < last_ns]
            for text, entries in streams.items()
            if entries[0][0] < last_ns
        }
        return before, last_ns

    def _smaller(self, error: TooLargeError, asked_ns: int) -> None:
        """Ask for less the next time; raises where it is little already."""
        source = self._source
        if error.entries:
            if error.entries >= source.batch or error.entries < _LEAST_BATCH:
                raise error
            source.batch = error.entries
            return
        self._slice_ns = asked_ns // 2
        if self._slice_ns < _LEAST_SLICE_NS:
            raise SourceError(f"the source does not answer for a microsecond: {error.message}")

    def _ask(self, query: str, start_ns: int, end_ns: int, limit: int) -> tuple[Streams, int]:
        source = self._source
        parameters = [
            ("query", query),
            ("start", str(start_ns)),
            ("end", str(end_ns)),
            ("limit", str(limit)),
            ("direction", "forward"),
        ]
        data = self._asker.get(f"{API}/query_range", parameters)
        streams, apart = entries_of(data, source.texts)
        source.merges_metadata |= bool(streams) and not apart
        count = 0
        for text, entries in streams.items():
            count += len(entries)
            times = [ts_ns for ts_ns, _, _ in entries]
            if times != sorted(times):  # streams of the answer that are one here
                entries.sort(key=lambda entry: entry[0])
            if entries[0][0] < start_ns or entries[-1][0] >= end_ns:
                raise SourceError(
                    f"the source answered with times of {text} outside of [{start_ns}, {end_ns}): "
                    f"{entries[0][0]}, {entries[-1][0]}"
                )
        if count > limit:
            raise SourceError(f"the source answered with {count} entries, {limit} were asked for")
        return streams, count


def _with_copies(entries: list[PushEntry]) -> list[PushEntry]:
    """Equal entries get their numbers; mostly there are no two of an instant."""
    if len({ts_ns for ts_ns, _, _ in entries}) == len(entries):
        return entries
    return [
        entry
        for _, same in groupby(entries, key=lambda entry: entry[0])
        for entry in numbered_copies(list(same))
    ]
