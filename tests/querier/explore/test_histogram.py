"""Are rows counted in the right buckets, by each value of any label, wherever they lie?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.errors import AppError
from querier.budget import Budget, Total
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.fields import parsers_for
from querier.explore.histogram import MOST_SERIES, Histogram, histogram_of
from querier.explore.question import Question
from querier.rules import ALL_RULES, Rules
from tests.querier.shaped import is_query
from tests.querier.test_engine import PARTS, RULES, SHAPED, engine_of, options, shaped_cases
from tests.reference import exploring
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.reference.similar import THRESHOLDS, thresholds
from tests.storage.blocks import small_groups

BY = st.sampled_from([None, "app", "level", "env", "trace", "status", "msg", "level_extracted"])
TIMES = st.tuples(st.integers(-3, 30), st.integers(1, 60)).map(
    lambda k: (START_NS + k[0] * NS // 3, START_NS + (k[0] + k[1]) * NS // 3)
)
COUNTS = st.sampled_from([1, 2, 7, 120])
SELECTORS = st.sampled_from(['{app=~".+"}', '{app="api"}', '{app=~"api|web", env="dev"}'])


def asked(
    engine: Engine,
    text: str,
    times: tuple[int, int],
    count: int,
    by: str | None,
    rules: Rules = ALL_RULES,
    budget: Budget | None = None,
) -> tuple[Histogram, str | None]:
    """The histogram, and the parser that a field in lines needs."""

    def work(question: Question) -> tuple[Histogram, str | None]:
        found = histogram_of(question, count, by)
        parser = parsers_for(question, [by])[by] if by else None
        return found, parser

    whole = options(*times, rules, budget=budget or Budget())
    return engine.explore(text, whole, work).value


def check(
    engine: Engine,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    times: tuple[int, int],
    count: int,
    by: str | None,
    rules: Rules,
) -> None:
    """What is counted is what the twin counts."""
    text = format_expr(query)
    try:
        found, parser = asked(engine, text, times, count, by, rules)
    except AppError:
        return  # not a valid query: the stage's pattern or template
    entries = [e for part in parts for e in part if times[0] <= e[2] < times[1]]
    rows = exploring.rows_by(query, entries, None)
    if by is not None and not exploring.valued(rows, by):
        rows = exploring.rows_by(query, entries, parser)
    expected = exploring.histogram(rows, times, count, by)
    shown = exploring.shown_series(expected, MOST_SERIES, count)
    assert [(value, counts.tolist()) for value, counts in found.series] == shown, text
    assert found.total == len(rows)


@settings(max_examples=examples(150))
@given(PARTS, LOG_QUERIES, TIMES, COUNTS, BY, RULES)
def test_of_any_lines(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    times: tuple[int, int],
    count: int,
    by: str | None,
    rules: Rules,
) -> None:
    check(engine_of(parts, executor), parts, query, times, count, by, rules)


@settings(max_examples=examples(60))
@given(PARTS, SELECTORS, TIMES, COUNTS, BY, st.booleans())
def test_without_stages(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    text: str,
    times: tuple[int, int],
    count: int,
    by: str | None,
    is_stored: bool,
) -> None:
    from logql.parser import parse

    query = parse(text)
    assert isinstance(query, ast.LogQuery)
    engine = engine_of(parts, executor, 1 if is_stored else None)
    check(engine, parts, query, times, count, by, ALL_RULES)


@settings(max_examples=examples(60))
@given(shaped_cases(), SHAPED, THRESHOLDS, TIMES, COUNTS, BY, RULES)
def test_of_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.LogQuery],
    least: int,
    limits: tuple[int, int, int] | None,
    times: tuple[int, int],
    count: int,
    by: str | None,
    rules: Rules,
) -> None:
    parts, query = case
    if not is_query(query.stages):
        return
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    check(engine, parts, query, times, count, by, rules)


def many(values: int) -> list[Entry]:
    """Lines with so many ids, the first ones more often."""
    found = [n for k in range(30) for n in range(max(1, values >> k))]
    return [
        ({"app": "api"}, {"id": f"{n:06d}"}, START_NS + k, b"id=%06d" % n)
        for k, n in enumerate(found)
    ]


@pytest.mark.parametrize("text", ['{app="api"}', '{app="api"} | logfmt'])
def test_more_values_than_series(executor: LocalExecutor, text: str) -> None:
    entries, budget = many(2000), Budget(Total(16 << 20))
    engine = engine_of([entries[::2], entries[1::2]], executor)
    times = START_NS, START_NS + len(entries)
    found, _ = asked(engine, text, times, 3, "id", budget=budget)
    assert len(found.series) == MOST_SERIES + 1
    assert [value for value, _ in found.series[:2]] == ["000000", "000001"]
    assert found.series[-1][0] == "(other)"
    assert found.total == len(entries)
    assert budget.used == 0, "what was held is given back"
