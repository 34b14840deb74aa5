"""Is every answer the reference's over all blocks or, with a warning, over those that are whole?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from logql.parser import parse_selector
from narfi.core.clock import ManualClock
from narfi.core.errors import AppError, ErrorKind
from narfi.core.tenant import TenantId
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import Direction, QueryOptions
from querier.result import Answer
from querier.rules import ALL_RULES
from storage.catalog.sql import SqlCatalog
from storage.scan import LogSource
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from tests.querier.test_engine import (
    METRICS,
    PARTS,
    TENANT,
    check_log_query,
    check_metric_query,
    options,
    shaped_cases,
)
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.storage.blocks import MemoryObjects

ALWAYS = (-(2**63), 2**63 - 1)
NUMBERS = count()
LIMIT = 5000
"""Entries; more than there are."""
T = TypeVar("T")
EVERYTHING = ast.LogQuery(parse_selector('{app=~".+"}'), ())


@dataclass(frozen=True, slots=True)
class Damage:
    """Of one object of one block, chosen by fractions."""

    block: float
    object: float
    place: float
    how: str

    def do(self, objects: MemoryObjects, blocks: Sequence[str]) -> int:
        """Which of the blocks was damaged."""
        block = _chosen(self.block, range(len(blocks)))
        key = _chosen(self.object, sorted(objects.list(blocks[block])))
        content = bytearray(objects.content[key])
        place = _chosen(self.place, range(len(content)))
        if self.how == "lost":
            del objects.content[key]
        elif self.how == "cut":
            objects.content[key] = bytes(content[:place])
        else:
            content[place] ^= int(self.how, 16)
            objects.content[key] = bytes(content)
        return block


def _chosen(fraction: float, of: Sequence[T]) -> T:
    return of[min(int(fraction * len(of)), len(of) - 1)]


FRACTIONS = st.floats(0, 1, allow_nan=False)
DAMAGES = st.builds(
    Damage, FRACTIONS, FRACTIONS, FRACTIONS, st.sampled_from(["1", "10", "80", "ff", "lost", "cut"])
)


class NoHeads:
    """Everything is in blocks."""

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """None."""
        return []


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlCatalog]:
    """One for all examples."""
    found = SqlCatalog(f"sqlite:///{tmp_path_factory.mktemp('catalog')}/catalog.db", ManualClock(1))
    yield found
    found.close()


@dataclass(slots=True)
class Case:
    """Blocks of which one is damaged, with nothing in a cache."""

    engine: Engine
    store: BlockStore
    parts: list[list[Entry]]
    damaged: int

    def run(self, text: str, asked: QueryOptions) -> Answer | None:
        """The answer; None where the query is not a valid one. Damage is no reason to fail."""
        try:
            return self.engine.run(text, asked)
        except AppError as error:
            if error.kind is ErrorKind.UNAVAILABLE:
                raise AssertionError("damage is told as an outage") from error
            return None

    def readable(self, warnings: Sequence[str]) -> list[list[Entry]]:
        """What an answer with these warnings was computed from."""
        if not warnings:
            return self.parts
        (warning,) = warnings
        (held,) = self.store.quarantine.blocks()
        assert f"block {held.row.block_id} is damaged" in warning
        return [part for n, part in enumerate(self.parts) if n != self.damaged]


def damaged_case(
    catalog: SqlCatalog, executor: LocalExecutor, parts: list[list[Entry]], damage: Damage
) -> Case:
    """A store in the catalog, which has no other blocks afterwards."""
    catalog.replace([row.block_id for row in catalog.blocks(TENANT, *ALWAYS)], [])
    objects = MemoryObjects()
    services = StoreServices(catalog, objects, ManualClock(1))
    writer = BlockStore(services, 0, 2)
    parts = [part for part in parts if part]
    assume(parts)
    rows = [
        writer.write(merge_batches([batch_of(part)]), TENANT, f"c{next(NUMBERS)}") for part in parts
    ]
    writer.publish(rows, [])
    folders = [next(key for key in objects.content if row.block_id in key) for row in rows]
    damaged = damage.do(objects, [f"{key.rpartition('/')[0]}/" for key in folders])
    store = BlockStore(services, 1 << 24)
    return Case(Engine(NoHeads(), store, executor), store, parts, damaged)


def check(
    case: Case, text: str, asked: QueryOptions, compare: Callable[[list[list[Entry]]], None]
) -> None:
    """An answer is whole or warns, and so is that of the next question, and of all entries."""
    first = case.run(text, asked)
    if first is None:
        return
    second = case.run(text, asked)
    assert second is not None
    assert repr(second.result) == repr(first.result)
    assert second.warnings == first.warnings
    compare(case.readable(first.warnings))
    all_of_it = options(START_NS, START_NS + 100 * NS, ALL_RULES, limit=LIMIT)
    found = case.run(format_expr(EVERYTHING), all_of_it)
    assert found is not None
    check_log_query(
        case.engine,
        case.readable(found.warnings),
        EVERYTHING,
        Direction.FORWARD,
        LIMIT,
        ALL_RULES,
    )


@settings(max_examples=examples(25), deadline=None)
@given(PARTS, LOG_QUERIES, st.sampled_from(Direction), DAMAGES)
def test_log_queries(
    catalog: SqlCatalog,
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    direction: Direction,
    damage: Damage,
) -> None:
    check_logs(damaged_case(catalog, executor, parts, damage), query, direction)


@settings(max_examples=examples(25), deadline=None)
@given(shaped_cases(), st.sampled_from(Direction), DAMAGES)
def test_log_queries_over_shapes(
    catalog: SqlCatalog,
    executor: LocalExecutor,
    shaped: tuple[list[list[Entry]], ast.LogQuery],
    direction: Direction,
    damage: Damage,
) -> None:
    parts, query = shaped
    check_logs(damaged_case(catalog, executor, parts, damage), query, direction)


def check_logs(case: Case, query: ast.LogQuery, direction: Direction) -> None:
    """As `check`."""
    asked = options(START_NS, START_NS + 100 * NS, ALL_RULES, direction=direction, limit=LIMIT)

    def compare(parts: list[list[Entry]]) -> None:
        check_log_query(case.engine, parts, query, direction, LIMIT, ALL_RULES)

    check(case, format_expr(query), asked, compare)


@settings(max_examples=examples(25), deadline=None)
@given(PARTS, METRICS, st.sampled_from([1, 3, 7]), st.integers(0, 8), DAMAGES)
def test_metric_queries(
    catalog: SqlCatalog,
    executor: LocalExecutor,
    parts: list[list[Entry]],
    expr: ast.MetricExpr,
    step_s: int,
    more: int,
    damage: Damage,
) -> None:
    case = damaged_case(catalog, executor, parts, damage)
    steps = [START_NS + (5 + k * step_s) * NS for k in range(more + 1)]
    step_ns = steps[1] - steps[0] if more else NS

    def compare(readable: list[list[Entry]]) -> None:
        check_metric_query(case.engine, readable, expr, steps, ALL_RULES)

    check(case, format_expr(expr), options(steps[0], steps[-1], ALL_RULES, step=step_ns), compare)
