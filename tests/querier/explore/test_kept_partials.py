"""Is nothing computed twice of a block, and is what is kept never an answer to something else?"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.limits import Limits
from querier.budget import (
    Budget,
    QueryCancelledError,
    QueryMemoryError,
    QueryTimeoutError,
    Total,
)
from querier.engine import Engine
from querier.executors.leaf import Compute, LeafContext
from querier.executors.local import LocalExecutor
from querier.explore.distribution import distribution_of
from querier.explore.facets import FacetsAsked, facets_of
from querier.explore.fields import fields_of
from querier.explore.histogram import histogram_of
from querier.explore.kept_partials import KeptPartials
from querier.explore.question import Question
from querier.explore.top_patterns import top_patterns
from querier.plan.spec import LeafSpec
from querier.rules import ALL_RULES
from tests.querier.test_engine import PARTS, engine_of, options
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry

P = TypeVar("P")
LINES: list[Entry] = [
    ({"app": "api"}, {"level": "m"}, START_NS + k * NS, b'{"status":%d,"took":%d}' % (k % 5, k))
    for k in range(100)
]
NAMES = FacetsAsked(names=("app", "status", "level"), limit=5, in_lines=True)


def ask(question: Question) -> list[object]:
    """Everything that is asked of logs, to compare."""
    histogram = histogram_of(question, 10, "status")
    patterns = top_patterns(question, 10, 4, compare=False)
    return [
        fields_of(question),
        facets_of(question, NAMES),
        [(value, counts.tolist()) for value, counts in histogram.series],
        distribution_of(question, "took"),
        [(one.text, one.level, one.counts.tolist()) for one in patterns.patterns],
    ]


class Counting:
    """Counts the leaf tasks that are run."""

    def __init__(self, executor: LocalExecutor) -> None:
        self._executor, self.tasks = executor, 0

    def leaves(self, specs: Iterable[LeafSpec[Compute[P]]], context: LeafContext) -> Iterator[P]:
        """As the executor does."""
        some = list(specs)
        self.tasks += len(some)
        return self._executor.leaves(some, context)

    def count(self) -> int:
        """Since it was asked last."""
        found, self.tasks = self.tasks, 0
        return found


def told(engine: Engine, text: str, first: int, end: int, budget: Budget | None = None) -> object:
    """Of these seconds."""
    budget = budget or Budget()
    whole = options(START_NS + first * NS, START_NS + end * NS, ALL_RULES, budget=budget)
    return engine.explore(text, whole, ask).value


def test_only_what_is_not_known_is_computed(executor: LocalExecutor) -> None:
    engine = engine_of([LINES[:50], LINES[50:]], executor, 1)
    engine.executor = counting = Counting(executor)
    computed, budget = Budget(Total(16 << 20)), Budget(Total(16 << 20))
    first = told(engine, '{app="api"}', 0, 100, computed)
    asked = counting.count()
    assert asked > 0
    assert told(engine, '{app="api"}', 0, 100, budget) == first
    assert counting.count() == 0
    assert budget.peak > budget.used, "what is kept is paid for"
    assert budget.used == computed.used, "and given back, but for the patterns themselves"
    told(engine, '{app=~"api"}', 0, 100)
    assert counting.count() == asked, "another query is another question"
    engine.kept.clear()
    assert told(engine, '{app="api"}', 0, 100) == first
    assert counting.count() == asked


def test_a_block_that_lies_partly_in_the_range_is_read(executor: LocalExecutor) -> None:
    engine = engine_of([LINES[:50], LINES[50:]], executor, 1)
    whole = told(engine, '{app="api"}', 0, 100)
    fresh = engine_of([LINES[:50], LINES[50:]], executor, 1)
    for first, end in ((10, 100), (0, 60), (50, 100), (49, 51), (-20, 120)):
        found = told(engine, '{app="api"}', first, end)
        fresh.kept.clear()
        assert found == told(fresh, '{app="api"}', first, end)
    assert told(engine, '{app="api"}', 0, 100) == whole


def test_patterns_of_another_range_are_only_counted(executor: LocalExecutor) -> None:
    """What is grouped of blocks that lie in both ranges as a whole is not grouped again."""
    engine, fresh = (engine_of([LINES[:50], LINES[50:]], executor, 1) for _ in range(2))
    engine.executor = counting = Counting(executor)

    def patterns(question: Question) -> list[object]:
        found = top_patterns(question, 10, 4, compare=False)
        return [found.rows, *((one.text, one.counts.tolist()) for one in found.patterns)]

    for first, end in ((0, 100), (-3, 117), (-50, 101)):
        whole = options(START_NS + first * NS, START_NS + end * NS, ALL_RULES, budget=Budget())
        found = engine.explore('{app="api"}', whole, patterns).value
        asked = counting.count()
        assert (asked > 0) == (first == 0)
        fresh.kept.clear()
        assert found == fresh.explore('{app="api"}', whole, patterns).value


def test_heads_are_read_each_time(executor: LocalExecutor) -> None:
    engine = engine_of([LINES], executor)
    engine.executor = counting = Counting(executor)
    told(engine, '{app="api"}', 0, 100)
    asked = counting.count()
    told(engine, '{app="api"}', 0, 100)
    assert counting.count() == asked > 0


@settings(max_examples=examples(40))
@given(PARTS, st.sampled_from(['{app="api"}', '{app=~".+"} | json', '{app=~".+"} |= "level"']))
def test_the_second_answer_is_the_first(
    executor: LocalExecutor, parts: list[list[Entry]], text: str
) -> None:
    engine = engine_of(parts, executor, 1)
    assert told(engine, text, 0, 100) == told(engine, text, 0, 100)


def test_few_bytes_are_kept(executor: LocalExecutor) -> None:
    engine = engine_of([LINES], executor, 1)
    engine.executor, engine.kept = (counting := Counting(executor)), KeptPartials(1)
    first = told(engine, '{app="api"}', 0, 100)
    asked = counting.count()
    assert told(engine, '{app="api"}', 0, 100) == first
    assert counting.count() == asked


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_request_that_is_over_ends(executor: LocalExecutor, is_stored: bool) -> None:
    engine = engine_of([LINES[:50], LINES[50:]], executor, 1 if is_stored else None)
    told(engine, '{app="api"}', 0, 100)  # what is kept does not go on either
    budget = Budget()
    budget.cancel()
    with pytest.raises(QueryCancelledError):
        told(engine, '{app="api"}', 0, 100, budget)
    late = Budget()
    late.begin(Limits().with_changes(query_timeout_ns=1))
    with pytest.raises(QueryTimeoutError):
        told(engine, '{app="api"}', 0, 100, late)


def test_what_is_counted_is_charged(executor: LocalExecutor) -> None:
    engine = engine_of([LINES], executor, 1)
    budget = Budget()
    budget.begin(Limits().with_changes(max_query_memory=100))
    with pytest.raises(QueryMemoryError, match="set by max_query_memory"):
        told(engine, '{app="api"}', 0, 100, budget)
