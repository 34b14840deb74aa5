"""Do pages of a log answer, however large, give every entry once and in order?"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.columns import I64
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.tenant import TenantId
from querier.budget import Budget, MemoryBusyError
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.line_stream import LineBatch, LinesAsked, LineStream
from querier.logs.cursor import Cursor, parse_cursor
from querier.query import Direction
from querier.rules import ALL_RULES, Rules
from storage.batch import LogBatch
from storage.memory_source import MemorySource
from storage.objects.base import Allow, BadObjectError
from storage.scan import (
    BlockProvider,
    Columns,
    Found,
    LogSource,
    ReadStats,
    RowGroup,
    ScanRequest,
)
from storage.sorting import merge_batches
from tests.querier.test_engine import RULES, engine_of, options
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import ENTRIES, NS, START_NS, Entry
from tests.reference.ordered import Shown, shown_in_order
from tests.reference.queries import LOG_QUERIES

PARTS = st.lists(ENTRIES, min_size=1, max_size=3)
FEW_TIMES = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([{"app": "api"}, {"app": "web"}, {"app": "api", "env": "prod"}]),
            st.sampled_from([{}, {"trace": "a"}, {"trace": "b"}]),
            st.sampled_from([START_NS, START_NS + 1, START_NS + NS]),
            st.sampled_from([b"one", b"two", b"three level=error", b"four", b"\xff five"]),
        ),
        max_size=12,
    ),
    min_size=1,
    max_size=4,
)
"""Entries of which most share their instant, and some are there twice."""
EngineOf = Callable[[int], Engine]


def shown_of(batch: LineBatch) -> list[Shown]:
    """The entries of a batch."""
    rows, columns, found = batch.rows, batch.rows.columns, []
    for k, line in enumerate(columns.lines.to_list()):
        metadata, parsed = rows.extras[columns.extras[k]]
        labels = dict(rows.labels[columns.labels[k]]) | dict(metadata) | dict(parsed)
        shown = tuple(sorted(labels.items()))
        found.append(Shown(int(columns.ts[k]), shown, line or b"", int(batch.orders[k])))
    return found


def read(engine: Engine, asked: LinesAsked) -> tuple[list[Shown], LineStream]:
    """All entries of a stream."""
    stream, found = LineStream(engine, asked), []
    while (batch := stream.step()) is not None:
        found += shown_of(batch)
    return found, stream


def asked_for(
    text: str,
    direction: Direction,
    limit: int,
    rules: Rules = ALL_RULES,
    *,
    at_least: int = 1,
    batch_bytes: int = 1 << 20,
) -> LinesAsked:
    """Lines of all time that tests have, with their orders."""
    wanted = options(
        START_NS,
        START_NS + 100 * NS,
        rules,
        direction=direction,
        limit=limit,
        categorize_labels=True,
    )
    return LinesAsked(
        text=text,
        options=wanted,
        numbered=True,
        limited=False,
        at_least=at_least,
        batch_bytes=batch_bytes,
    )


def all_pages(engine_of_page: EngineOf, asked: LinesAsked) -> list[list[Shown]]:
    """Page by page, each with the cursor that the one before gave."""
    found: list[list[Shown]] = []
    cursor: Cursor | None = None
    for page in itertools.count():
        again = replace(asked, cursor=cursor, options=replace(asked.options))
        shown, stream = read(engine_of_page(page), again)
        found.append(shown)
        assert len(shown) <= asked.options.limit
        if stream.is_whole:
            return found
        assert stream.cursor is not None
        cursor = parse_cursor(stream.cursor.text(), asked.options.direction)
    raise AssertionError


@settings(max_examples=examples(150))
@given(
    PARTS | FEW_TIMES,
    LOG_QUERIES,
    st.sampled_from(Direction),
    st.sampled_from([1, 2, 3, 1000]),
    st.sampled_from([1, 2, 1000]),
    st.sampled_from([1, 50, 1 << 20]),
    RULES,
    st.sampled_from([None, 2]),
)
def test_pages_are_the_whole_answer_in_order(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    direction: Direction,
    limit: int,
    at_least: int,
    batch_bytes: int,
    rules: Rules,
    shaped: int | None,
) -> None:
    engine, text = engine_of(parts, executor, shaped), format_expr(query)
    asked = asked_for(text, direction, limit, rules, at_least=at_least, batch_bytes=batch_bytes)
    try:
        engine.run(text, asked.options)
    except AppError:
        return  # not a valid query: the stage's pattern or template
    pages = all_pages(lambda _: engine, asked)
    entries = [entry for part in parts for entry in part]
    expected = shown_in_order(query, entries, backward=direction is Direction.BACKWARD)
    assert [one for page in pages for one in page] == expected, text
    assert all(len(page) == limit for page in pages[:-1])


@settings(max_examples=examples(150))
@given(FEW_TIMES, st.sampled_from(Direction), st.sampled_from([1, 2, 3]), st.integers(0, 1 << 30))
def test_pages_while_blocks_are_merged_and_entries_come(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    direction: Direction,
    limit: int,
    seed: int,
) -> None:
    """What lies where changes before every page; merged blocks stand behind those that are not."""
    chance = random.Random(seed)
    first = [entry for part in parts for entry in part]
    now = [list(part) for part in parts]
    came: list[Entry] = []

    def changed(page: int) -> Engine:
        if page and chance.random() < 0.7:
            merged = [part for part in now if chance.random() < 0.5]
            left = [part for part in now if all(part is not other for other in merged)]
            now[:] = [*left, [entry for part in merged for entry in part]]
        if page and chance.random() < 0.3:
            new: Entry = ({"app": "api"}, {}, START_NS + chance.randrange(2), b"new %d" % page)
            came.append(new)
            now.append([new])
        return engine_of(now, executor)

    pages = all_pages(changed, asked_for('{app=~".+"}', direction, limit))
    query = ast.LogQuery(ast.Selector(()), ())
    backward = direction is Direction.BACKWARD
    shown = [(one.ts, one.labels, one.line) for page in pages for one in page]
    assert [ts for ts, *_ in shown] == sorted((ts for ts, *_ in shown), reverse=backward)
    wanted = {(s.ts, s.labels, s.line) for s in shown_in_order(query, first, backward=backward)}
    later = {(s.ts, s.labels, s.line) for s in shown_in_order(query, came, backward=backward)}
    assert len(shown) == len(set(shown)), "an entry was given twice"
    assert wanted <= set(shown) <= wanted | later


@pytest.mark.parametrize("direction", Direction)
def test_many_entries_of_one_instant(executor: LocalExecutor, direction: Direction) -> None:
    """More than a cursor can tell apart are counted."""
    lines = [b"line %d" % k for k in range(700)]
    entries: list[Entry] = [({"app": "api"}, {}, START_NS, line) for line in lines]
    engine = engine_of([entries], executor)
    pages = all_pages(lambda _: engine, asked_for('{app="api"}', direction, 90))
    found = [one for page in pages for one in page]
    expected = lines if direction is Direction.FORWARD else lines[::-1]
    assert [one.line for one in found] == expected
    assert [one.order for one in found] == [lines.index(line) for line in expected]


class Failing:
    """A source of which the n-th read of all sources raises an error."""

    def __init__(self, source: LogSource, calls: Iterator[int], at: int, error: Exception) -> None:
        self._source, self._calls, self._at, self._error = source, calls, at, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)

    def _count(self) -> None:
        if next(self._calls) == self._at:
            raise self._error

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """As the source, or the error."""
        self._count()
        return self._source.read(row_group, request)

    def fetch(
        self,
        rows: I64,
        columns: Columns,
        stats: ReadStats | None = None,
        charge: Callable[[int], None] | None = None,
    ) -> LogBatch:
        """As the source, or the error."""
        self._count()
        return self._source.fetch(rows, columns, stats, charge)


class Blocks:
    """Blocks of which one is found damaged when it is judged."""

    def __init__(self, sources: Sequence[LogSource]) -> None:
        self.left = list(sources)

    def found(self, _tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """Those that are left."""
        near = [s for s in self.left if s.max_ts >= start_ns and s.min_ts < end_ns]
        return Found(near)

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """The same."""
        return self.found(tenant, start_ns, end_ns).sources

    def reading(self) -> AbstractContextManager[BlockProvider]:
        """Itself."""
        return nullcontext(self)

    def judge(self, error: BadObjectError, *, again: bool, allow: Allow) -> None:
        """Leave out the block that the error names."""
        self.left = [source for source in self.left if source.source_id != error.key]


SPREAD: list[list[Entry]] = [
    [({"app": app}, {}, START_NS + k * 3 + shift, b"%d of %d" % (k, shift)) for k in range(9)]
    for shift, app in ((0, "api"), (1, "web"), (2, "api"))
]


def failing(at: int, error: Exception, executor: LocalExecutor) -> Engine:
    """The spread entries in three blocks, of which the n-th read fails."""
    runs = [
        MemorySource(merge_batches([batch_of(p)]), f"b{k}", f"b{k}") for k, p in enumerate(SPREAD)
    ]
    calls = itertools.count()
    sources = [cast(LogSource, Failing(run, calls, at, error)) for run in runs]
    nothing = Blocks([])
    return Engine(nothing, Blocks(sources), executor)


@pytest.mark.parametrize("at", range(40))
@pytest.mark.parametrize("text", ['{app=~".+"}', '{app=~".+"} |= "of"'])
def test_a_step_that_fails_is_done_again(executor: LocalExecutor, at: int, text: str) -> None:
    """As when others hold the memory: nothing is lost, nothing comes twice."""
    asked = replace(asked_for(text, Direction.FORWARD, 100, batch_bytes=30))
    stream = LineStream(failing(at, MemoryBusyError("later"), executor), asked)
    found: list[Shown] = []
    for _ in range(100):
        try:
            batch = stream.step()
        except MemoryBusyError:
            continue
        if batch is None:
            break
        found += shown_of(batch)
    everything = [entry for part in SPREAD for entry in part]
    query = ast.LogQuery(ast.Selector(()), ())
    assert found == shown_in_order(query, everything, backward=False)


@pytest.mark.parametrize("at", range(0, 40, 3))
def test_a_block_that_is_found_damaged_meanwhile(executor: LocalExecutor, at: int) -> None:
    """What the others hold comes once; of the block what came before, and nothing twice."""
    error = BadObjectError("b1", "a page is damaged")
    asked = asked_for('{app=~".+"}', Direction.BACKWARD, 100, batch_bytes=30)
    found, stream = read(failing(at, error, executor), asked)
    lines = [one.line for one in found]
    others = [line for part in (SPREAD[0], SPREAD[2]) for *_, line in part]
    assert len(lines) == len(set(lines))
    assert set(others) <= set(lines)
    assert [one.ts for one in found] == sorted((one.ts for one in found), reverse=True)
    assert stream.is_whole


@given(st.text(max_size=60) | st.binary(max_size=80).map(lambda data: data.hex()))
def test_no_cursor_but_ours_is_taken(text: str) -> None:
    if text:
        with pytest.raises(InvalidRequestError, match=r"^invalid cursor"):
            parse_cursor(text, Direction.FORWARD)


def test_a_cursor_is_of_its_direction() -> None:
    cursor = Cursor(direction=Direction.FORWARD, ts_ns=-5, stream=2**64 - 1, order=3)
    text = cursor.text()
    assert parse_cursor(text, Direction.FORWARD) == cursor
    with pytest.raises(InvalidRequestError, match="direction forward"):
        parse_cursor(text, Direction.BACKWARD)


def test_an_answer_larger_than_its_memory(executor: LocalExecutor) -> None:
    """Of an export only a batch is held, and when it has ended nothing is."""
    entries: list[Entry] = [
        ({"app": "api"}, {}, START_NS + k, b"%d " % k + b"x" * 1000) for k in range(20_000)
    ]
    asked = asked_for('{app="api"}', Direction.FORWARD, 1 << 40, batch_bytes=1 << 18)
    limits = asked.options.limits.with_changes(max_query_memory=8 << 20)
    budget = Budget()
    own = replace(asked.options, limits=limits, budget=budget)
    stream = LineStream(engine_of([entries], executor), replace(asked, options=own))
    size = batches = 0
    while (batch := stream.step()) is not None:
        size += batch.rows.columns.lines.nbytes()
        batches += 1
    assert size > 2 * limits.max_query_memory
    assert batches > 50
    assert budget.used == 0
