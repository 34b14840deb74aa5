"""Are the fields of an answer those that one finds in its lines, wherever these lie?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from logql.parser import parse
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.labels import Labels
from narfi.core.limits import Limits
from narfi.core.matchers import match_all
from querier.budget import Budget, MemoryBusyError, Total
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.detected_fields import DetectedField
from querier.http_api.detected import readable
from querier.rules import ALL_RULES, Rules
from querier.service import QueryService
from tests.querier.shaped import is_query
from tests.querier.test_engine import (
    PARTS,
    RULES,
    SHAPED,
    engine_of,
    options,
    shaped_cases,
)
from tests.reference import detected
from tests.reference import engine as reference
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.pipeline import Row, run_pipeline
from tests.reference.queries import LOG_QUERIES
from tests.reference.similar import THRESHOLDS, thresholds
from tests.storage.blocks import small_groups


def newest(query: ast.LogQuery, parts: list[list[Entry]], limit: int) -> list[Row]:
    """The rows of the answer: of one instant by stream, of a stream the last that came first."""
    rows = []
    for labels, metadata, ts, line in reference.distinct([e for part in parts for e in part]):
        if match_all(query.selector.matchers, labels):
            row = run_pipeline(labels, metadata, ts, line, query.stages)
            if row is not None:
                rows.append((ts, Labels.of(labels).fingerprint(), row))
    ordered = sorted(rows, key=lambda found: found[:2])
    return [row for _, _, row in reversed(ordered)][:limit]


def shown(found: list[DetectedField]) -> list[detected.Field]:
    """To compare."""
    return [(f.label, sorted(f.values), f.last_text, f.parsers, f.json_path) for f in found]


def check(
    engine: Engine, parts: list[list[Entry]], query: ast.LogQuery, lines: int, rules: Rules
) -> None:
    """What is found is what the twin finds."""
    service = QueryService(engine, lambda _: Limits())
    asked = options(START_NS, START_NS + 100 * NS, rules, limit=lines)
    try:
        found = service.detected_fields(format_expr(query), asked).value
    except AppError:
        return  # not a valid query: the stage's pattern or template
    expected = detected.fields(newest(query, parts, lines))
    assert shown(found) == expected, format_expr(query)


@settings(max_examples=examples(150))
@given(PARTS, LOG_QUERIES, st.sampled_from([1, 3, 1000]), RULES)
def test_of_any_lines(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    lines: int,
    rules: Rules,
) -> None:
    check(engine_of(parts, executor), parts, query, lines, rules)


@settings(max_examples=examples(150))
@given(PARTS, st.sampled_from([1, 3, 1000]), RULES)
def test_of_lines_as_they_are(
    executor: LocalExecutor, parts: list[list[Entry]], lines: int, rules: Rules
) -> None:
    everything = parse('{app=~".+"}')
    assert isinstance(everything, ast.LogQuery)
    check(engine_of(parts, executor), parts, everything, lines, rules)


@settings(max_examples=examples(60))
@given(shaped_cases(), SHAPED, THRESHOLDS, st.sampled_from([1, 3, 1000]), RULES)
def test_of_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.LogQuery],
    least: int,
    limits: tuple[int, int, int] | None,
    lines: int,
    rules: Rules,
) -> None:
    parts, query = case
    if not is_query(query.stages):
        return
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    check(engine, parts, query, lines, rules)


def test_fields_are_limited_in_the_order_of_the_answer(executor: LocalExecutor) -> None:
    labels = {"app": "api", "a": "stream"}
    entries: list[Entry] = [
        (labels, {}, START_NS, b'{"old":1,"a":2,"n":{"x":"1s"}}'),
        (labels, {"m": "v"}, START_NS + 1, b"b=1 a=x b=2"),
    ]
    service = QueryService(engine_of([entries], executor), lambda _: Limits())
    asked = options(START_NS, START_NS + NS, ALL_RULES)
    found = service.detected_fields('{app="api"}', asked).value
    assert shown(found) == [
        ("m", ["v"], "v", [], []),
        ("b", ["1"], "1", ["logfmt"], []),
        ("a_extracted", ["2", "x"], "2", ["logfmt", "json"], ["a"]),
        ("old", ["1"], "1", ["json"], ["old"]),
        ("n_x", ["1s"], "1s", ["json"], ["n", "x"]),
    ]
    some = service.detected_fields('{app="api"}', asked, 2).value
    assert [one.label for one in some] == ["m", "b"]


def test_what_is_found_is_charged(executor: LocalExecutor) -> None:
    line = b" ".join(b"k%d=%0100d" % (n, n) for n in range(2000))
    entries: list[Entry] = [({"app": "api"}, {}, START_NS, line)]
    service = QueryService(engine_of([entries], executor), lambda _: Limits())
    budget = Budget(Total(16 << 20))
    asked = options(START_NS, START_NS + NS, ALL_RULES, budget=budget)
    assert len(service.detected_fields('{app="api"}', asked).value) == 2000
    assert budget.used > 2000 * 100
    small = options(START_NS, START_NS + NS, ALL_RULES, budget=Budget(Total(256 << 10)))
    with pytest.raises(MemoryBusyError):
        service.detected_fields('{app="api"}', small)


def test_a_metric_has_no_fields(executor: LocalExecutor) -> None:
    service = QueryService(engine_of([], executor), lambda _: Limits())
    with pytest.raises(InvalidRequestError, match="only log selector is supported"):
        service.detected_fields('rate({app="api"}[1m])', options(START_NS, START_NS, ALL_RULES))


def test_keys_that_are_not_utf8_are_shown(executor: LocalExecutor) -> None:
    entries: list[Entry] = [({"app": "api"}, {}, START_NS, b'{"k\xff":"a"}')]
    service = QueryService(engine_of([entries], executor), lambda _: Limits())
    asked = options(START_NS, START_NS + NS, ALL_RULES)
    (found,) = service.detected_fields('{app="api"}', asked).value
    assert found.label == "k_"
    assert [readable(key) for key in found.json_path] == ["k\ufffd"]
