"""Which entries are around an entry? Of its stream, or of all that share some labels with it.

An entry is named by its stream, its time, and how many entries of both arrived before it. The time
that is looked at grows until enough was found, so that a busy stream costs little and of a quiet
one everything is found. Invariant: what is before, the entry and what is behind it are one piece of
the list of all entries (querier/logs/cursor.py says in which order), without a gap at equal times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from logql.ast import LogQuery, Selector
from logql.format import format_query
from narfi.core.clock import NS_PER_S, within_time
from narfi.core.labels import Labels
from narfi.core.matchers import Matcher, MatchOp
from querier.engine import Engine
from querier.line_stream import LineBatch, LinesAsked, LineStream
from querier.logs.cursor import Cursor
from querier.query import Direction, QueryOptions

SPANS_NS = (3600 * NS_PER_S, 24 * 3600 * NS_PER_S, 2 * 366 * 24 * 3600 * NS_PER_S)
"""How far is looked, one after another, while too little was found; at most `max_query_length`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An entry."""

    stream: Labels
    ts_ns: int
    order: int  # entries of the stream and time that are before it

    def cursor(self, direction: Direction) -> Cursor:
        """Behind the entry."""
        fingerprint = self.stream.fingerprint()
        return Cursor(direction=direction, ts_ns=self.ts_ns, stream=fingerprint, order=self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is on one side, nearest first; `cursor`: behind it, None when there is no more."""

    batches: tuple[LineBatch, ...]
    cursor: Cursor | None


class Surroundings:
    """Looks around entries of one stream; used by one thread."""

    def __init__(
        self, engine: Engine, options: QueryOptions, stream: Labels, shared: Sequence[str] | None
    ) -> None:
        """`shared`: labels that streams have in common with the entry's; None: its stream alone.

        Of the options, times say how far may be looked.
        """
        self._engine, self._options, self._stream = engine, options, stream
        self._shared = shared
        self.warnings: dict[str, None] = {}
        """Texts, each once, in order."""

    def own(self, place: Place) -> LineBatch | None:
        """The entry itself, one row; None when it is not there."""
        before = replace(place, order=place.order - 1).cursor(Direction.FORWARD)
        times = (place.ts_ns, place.ts_ns + 1)
        return next(iter(self._read(before, 1, times, shared=None).batches), None)

    def side(self, cursor: Cursor, wanted: int) -> Side:
        """So many entries behind a cursor, as far as there are any."""
        batches: list[LineBatch] = []
        widest, at = self._within(cursor, SPANS_NS[-1]), cursor
        for span_ns in SPANS_NS if wanted else ():
            left, times = wanted - rows_of(batches), self._within(cursor, span_ns)
            found = self._read(at, left, times, shared=self._shared)
            batches += found.batches
            if not found.is_whole:
                return Side(batches=tuple(batches), cursor=found.cursor)
            if times == widest:
                return Side(batches=tuple(batches), cursor=None)
            at = found.cursor or at
        return Side(batches=tuple(batches), cursor=at)

    def _within(self, cursor: Cursor, span_ns: int) -> tuple[int, int]:
        """The times that are looked at, on one side of a cursor."""
        most_ns = self._options.limits.max_query_length_ns
        span_ns = min(span_ns, most_ns - 1) if most_ns else span_ns
        if cursor.direction is Direction.FORWARD:
            end_ns = within_time(cursor.ts_ns + span_ns)
            return cursor.ts_ns, min(end_ns, self._options.end_ns)
        return max(within_time(cursor.ts_ns - span_ns), self._options.start_ns), cursor.ts_ns + 1

    def _read(
        self,
        cursor: Cursor,
        limit: int,
        times: tuple[int, int],
        *,
        shared: Sequence[str] | None,
    ) -> "_Read":
        start_ns, end_ns = times
        if start_ns >= end_ns:
            return _Read(batches=(), cursor=cursor, is_whole=True)
        options = replace(
            self._options,
            start_ns=start_ns,
            end_ns=end_ns,
            limit=limit,
            direction=cursor.direction,
        )
        asked = LinesAsked(
            text=format_query(LogQuery(Selector(self._matchers(shared)), ())),
            options=options,
            cursor=cursor,
            numbered=True,
            stream=self._stream.fingerprint() if shared is None else None,
        )
        stream, batches = LineStream(self._engine, asked), []
        while (batch := stream.step()) is not None:
            batches.append(batch)
        self.warnings |= dict.fromkeys(stream.warnings)
        return _Read(batches=tuple(batches), cursor=stream.cursor, is_whole=stream.is_whole)

    def _matchers(self, shared: Sequence[str] | None) -> tuple[Matcher, ...]:
        pairs = self._stream.as_dict()
        names = sorted(pairs) if shared is None else shared
        return tuple(Matcher(name, MatchOp.EQ, pairs.get(name, "")) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was found of a stretch of time; `is_whole`: nothing of it is left behind the cursor."""

    batches: tuple[LineBatch, ...]
    cursor: Cursor | None
    is_whole: bool


def rows_of(batches: Sequence[LineBatch]) -> int:
    """How many entries these are."""
    return sum(len(batch.rows) for batch in batches)
