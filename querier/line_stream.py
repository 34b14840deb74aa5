"""How does a log answer leave while its rows are still looked for? Batch by batch, behind a cursor.

Each batch is made by one call of `step`, on whatever thread; between two of them nothing runs, and
what is read stays (pinned blocks, found rows). A stream that was interrupted, by a damaged block
or since others held the memory that it needed, goes on behind the last entry that left: so an
answer that leaves while it is found may hold the first entries of a block that is found damaged
afterwards, and then says what is missing.
Invariant: no entry leaves twice, and none that was there at the beginning is passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from logql.ast import LogQuery
from logql.parser import parse
from narfi.core.columns import I64
from narfi.core.errors import InvalidRequestError
from narfi.core.patience import wanted_while
from querier.engine import MAX_TRIES, BlocksUnreadableError, Engine
from querier.logs.candidates import Candidates, joined, no_candidates
from querier.logs.cursor import Cursor
from querier.logs.entries import EntryRows
from querier.logs.instants import behind, cursor_behind, of_stream, orders
from querier.logs.search import LogSearch, runs_by_size
from querier.plan.build import search_range
from querier.query import Direction, QueryOptions
from querier.reading.admission import check_query
from querier.reading.view import View
from querier.result import Notes, Phase, QueryStats
from storage.objects.base import BadObjectError

MOST_ROWS = 1 << 20
"""Rows that are found, by time and place alone, before the first of them are read: 64 MB, charged.
Of a filter that passes many lines, so many are looked for by one pass over what may have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesAsked:
    """A log query whose answer leaves in batches."""

    text: str
    options: QueryOptions  # with categorized labels; `limit`: of the whole answer
    cursor: Cursor | None = None
    at_least: int = 1  # rows of a batch, while others are looked for
    batch_bytes: int = 1 << 20  # of lines of a batch, about
    numbered: bool = False  # whether each entry's order in its instant is wanted
    limited: bool = True  # by max_entries_limit_per_query
    stream: int | None = None  # the fingerprint of the only stream that is wanted


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Entries in the order of the answer, and of each its order in its instant (or none)."""

    rows: EntryRows
    orders: I64


@dataclass(slots=True, kw_only=True)
class Covered:
    """What a stream reads of, all together."""

    rows: int = 0
    bytes: int = 0


class LineStream:
    """An answer that leaves in batches; one thread at a time."""

    def __init__(self, engine: Engine, asked: LinesAsked, notes: Notes | None = None) -> None:
        """Raises `AppError` of a query that cannot be asked so."""
        options = asked.options
        options.budget.begin(options.limits)
        expr = parse(asked.text)
        if not isinstance(expr, LogQuery):
            raise InvalidRequestError("only log selector is supported")
        check_query(expr, options if asked.limited else replace(options, limit=0))
        self._engine, self._asked, self._query = engine, asked, expr
        self._batches: Iterator[LineBatch] | None = None
        self._met: set[str] = set()  # objects
        self.cursor = asked.cursor
        self.given = 0
        self.is_whole = False
        """Whether nothing of the range is left behind the cursor."""
        self.stats, self.covered = QueryStats(), Covered()
        self._warnings: dict[str, str] = {}
        if notes is not None:
            notes.kind, notes.stats = "log", self.stats

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the answer so far may be without."""
        return tuple(self._warnings.values())

    def step(self) -> LineBatch | None:
        """The next batch; None behind the last one. Raises `AppError`; then it may be called again,
        and goes on behind the last batch."""
        budget = self._asked.options.budget
        for _ in range(MAX_TRIES):
            budget.check()
            if self._batches is None:
                self._batches = self._every()
            try:
                with wanted_while(budget.check):
                    return next(self._batches, None)
            except BadObjectError as error:
                self._batches = None
                self._engine.judge(error, budget, again=error.key in self._met)
                self._met.add(error.key)
                last = error
            except BaseException:
                self._batches = None
                raise
        raise BlocksUnreadableError(
            f"blocks went, or were found damaged, while they were read: {last.message}"
        ) from last

    def close(self) -> None:
        """Let go what it reads."""
        batches, self._batches = self._batches, None
        if batches is not None:
            batches.close()  # type: ignore[attr-defined]  # a generator

    def _every(self) -> Iterator[LineBatch]:
        """The batches behind the cursor, from one view after another where there are many rows."""
        while self.given < self._asked.options.limit:
            before = self.given
            wanted = min(self._asked.options.limit - before, MOST_ROWS)
            yield from self._of_one_view(wanted)
            if self.given - before < wanted:
                self.is_whole = True
                return

    def _of_one_view(self, wanted: int) -> Iterator[LineBatch]:
        asked, stats = self._asked, self.stats
        start_ns, end_ns = self._time_range()
        if start_ns >= end_ns:
            return
        with (
            asked.options.budget.part() as own,
            self._engine.reading(asked.options.tenants, own) as reading,
        ):
            with stats.timed(Phase.VIEW):
                whole = reading.view(self._query.selector.matchers, (start_ns, end_ns))
                if asked.stream is not None:
                    whole = of_stream(whole, asked.stream)
                self._warnings.update({text: text for text in reading.warnings()})
                view = whole if self.cursor is None else behind(whole, self.cursor)
            self._cover(whole)
            options = replace(
                asked.options, budget=own, limit=wanted, start_ns=start_ns, end_ns=end_ns
            )
            search = LogSearch(self._query, view, options, self._engine.executor)
            given, before = no_candidates(), self.cursor
            for run in search.runs(min(asked.at_least, wanted), stats):
                for part in runs_by_size(view, run, asked.batch_bytes):
                    with own.part() as held:
                        with stats.timed(Phase.FETCH):
                            rows = search.rows(part, stats, held)
                            numbers = orders(whole, part) if asked.numbered else part.ts[:0]
                            given = _at_last(joined([given, part]))
                            last = given.take(np.array([len(given) - 1]))
                            self.cursor = cursor_behind(
                                whole, last, given, before, options.direction
                            )
                        self.given += len(part)
                        yield LineBatch(rows, numbers)

    def _time_range(self) -> tuple[int, int]:
        """`[start, end)` of what may be left behind the cursor."""
        start_ns, end_ns = search_range(self._asked.options)
        if self.cursor is None:
            return start_ns, end_ns
        if self._asked.options.direction is Direction.FORWARD:
            return max(start_ns, self.cursor.ts_ns), end_ns
        return start_ns, min(end_ns, self.cursor.ts_ns + 1)

    def _cover(self, view: View) -> None:
        if not self.covered.rows:
            tables = [(one.source.table, one.streams) for one in view.sources]
            self.covered.rows = sum(table.count_rows(mask) for table, mask in tables)
            self.covered.bytes = sum(table.count_line_bytes(mask) for table, mask in tables)
            self.stats.streams += view.count_streams()
            self.stats.blocks += len(view.sources)


def _at_last(given: Candidates) -> Candidates:
    """The entries of the stream and time of the last one."""
    same = (given.ts == given.ts[-1]) & (given.stream == given.stream[-1])
    return given.take(np.flatnonzero(same))
