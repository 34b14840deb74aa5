"""Are rows counted in the right buckets, by each value of any label, wherever they lie?"""

import re
from collections import Counter

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
from querier.explore.status_level import STATUS_NAMES, without_level
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


ACCESS = b'10.0.0.1 - - [26/Nov/2026] "GET /a HTTP/1.1" %d 12 "-" "x 500 "'
STATUS_LINES = st.sampled_from(
    [
        b'{"status":200}',
        b'{"status":"404","x":1}',
        b'{"status_code":500,"status":"abc"}',
        b'{"status":0}',
        b"status=503 x=1",
        b"status=4040",
        *(ACCESS % status for status in (200, 404, 503, 999)),
        b'said "500 times" ok',
        b'one" 500',
        b"",
    ]
)
LEVELS = st.sampled_from([None, "", "unknown", "info", "error", "odd"])


def level_by_rule(entry: Entry, parser: str | None) -> str:
    """What the page promises: the label, or the first status that is one."""
    query = ast.LogQuery(ast.Selector(()))
    (row,) = exploring.rows_by(query, [entry], parser)
    labels = row.labels()
    told = labels.get("detected_level", "")
    if told not in ("", "unknown"):
        return told
    behind_quote = entry[3].partition(b'" ')[2]
    found = [labels.get(name, "") for name in STATUS_NAMES]
    found.append(behind_quote.partition(b" ")[0].decode())
    for text in found:
        if re.fullmatch("[1-5][0-9][0-9]", text):
            return {"5": "error", "4": "warn"}.get(text[0], "info")
    return told


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(LEVELS, STATUS_LINES), min_size=1, max_size=25), st.booleans())
def test_levels_by_status(
    executor: LocalExecutor, lines: list[tuple[str | None, bytes]], is_stored: bool
) -> None:
    entries: list[Entry] = [
        ({"app": "a"}, {} if level is None else {"detected_level": level}, START_NS + k, line)
        for k, (level, line) in enumerate(lines)
    ]
    engine = engine_of([entries[::2], entries[1::2]], executor, 1 if is_stored else None)

    def work(question: Question) -> tuple[Histogram, dict[str, str | None]]:
        found = histogram_of(question, 1, "detected_level", by_status=True)
        rest = question.about(without_level(question.query, "detected_level"))
        return found, parsers_for(rest, STATUS_NAMES)

    whole = options(START_NS, START_NS + 100, ALL_RULES)
    found, parsers = engine.explore('{app="a"}', whole, work).value
    used = next((parser for parser in parsers.values() if parser), None)
    expected = Counter(level_by_rule(entry, used) for entry in entries)
    assert {value: int(counts.sum()) for value, counts in found.series} == expected
