"""Are the values of labels counted exactly, wherever rows lie, and within the budget?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.columns import Spans
from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.label_column import SpansColumn
from querier.budget import Account, Budget, MemoryBusyError, Total
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.facets import Facet, FacetsAsked, facets_of
from querier.explore.value_counts import ValueCounts, counted, most_frequent
from querier.result import Told
from querier.rules import ALL_RULES, Rules
from tests.querier.shaped import is_query
from tests.querier.test_engine import (
    PARTS,
    RULES,
    SHAPED,
    engine_of,
    options,
    shaped_cases,
)
from tests.reference import engine as reference
from tests.reference import facets
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.reference.similar import THRESHOLDS, thresholds
from tests.storage.blocks import small_groups

NAMES = ("app", "level", "trace", "status", "msg", "user_id", "msg_extracted", "__error__")


def found_by(
    engine: Engine, text: str, asked: FacetsAsked, rules: Rules = ALL_RULES, **more: object
) -> Told[list[Facet]]:
    """Of all times."""
    whole = options(START_NS, START_NS + 100 * NS, rules, **more)
    return engine.explore(text, whole, lambda question: facets_of(question, asked))


def shown(found: list[Facet]) -> list[facets.Facet]:
    """To compare."""
    return [(f.name, list(f.top), f.distinct, f.other, f.missing) for f in found]


def check(
    engine: Engine, parts: list[list[Entry]], query: ast.LogQuery, limit: int, rules: Rules
) -> None:
    """What is counted is what the twin counts."""
    text = format_expr(query)
    try:
        found = found_by(engine, text, FacetsAsked(names=NAMES, limit=limit), rules).value
    except AppError:
        return  # not a valid query: the stage's pattern or template
    rows = reference.rows_of(query, [entry for part in parts for entry in part])
    assert shown(found) == [facets.facet(rows, name, limit) for name in NAMES], text


@settings(max_examples=examples(150))
@given(PARTS, LOG_QUERIES, st.sampled_from([0, 1, 3, 1000]), RULES)
def test_of_any_lines(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    limit: int,
    rules: Rules,
) -> None:
    check(engine_of(parts, executor), parts, query, limit, rules)


@settings(max_examples=examples(60))
@given(shaped_cases(), SHAPED, THRESHOLDS, st.sampled_from([1, 1000]), RULES)
def test_of_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.LogQuery],
    least: int,
    limits: tuple[int, int, int] | None,
    limit: int,
    rules: Rules,
) -> None:
    parts, query = case
    if not is_query(query.stages):
        return
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    check(engine, parts, query, limit, rules)


PIECES = st.lists(st.lists(st.sampled_from([b"a", b"b", b"", None, b"ab", b"\xff"]), max_size=6))


@given(PIECES, st.integers(0, 5))
def test_parts_count_as_the_whole(pieces: list[list[bytes | None]], limit: int) -> None:
    account = Account()
    counts = ValueCounts(account)
    for piece in pieces:
        counts.add(counted(SpansColumn(Spans.of(piece))))
        counts.whole()
    values = [value for piece in pieces for value in piece if value]
    expected = sorted({(-values.count(value), value) for value in values})[:limit]
    whole = counts.whole()
    assert most_frequent(whole, limit) == [(value, -count) for count, value in expected]
    assert int(whole.counts.sum()) == len(values)
    assert account.used == whole.nbytes() * bool(values)


def many(values: int) -> list[Entry]:
    """A line of each value, the first ones twice."""
    lines = [b"id=%032x" % (n % values) for n in range(values + 2)]
    return [({"app": "api"}, {}, START_NS + n, line) for n, line in enumerate(lines)]


def test_many_values(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("querier.explore.value_counts.FEW", 10)
    entries, budget = many(3000), Budget(Total(16 << 20))
    engine, ids = (
        engine_of([entries[::2], entries[1::2]], executor),
        FacetsAsked(names=("id",), limit=3),
    )
    (found,) = found_by(engine, '{app="api"} | logfmt', ids, budget=budget).value
    assert found.top == ((f"{0:032x}", 2), (f"{1:032x}", 2), (f"{2:032x}", 1))
    assert (found.distinct, found.other, found.missing) == (3000, 2997, 0)
    assert budget.used == 0, "what was held is given back"


def test_more_values_than_the_budget_holds(executor: LocalExecutor) -> None:
    engine, ids = engine_of([many(20_000)], executor, 1), FacetsAsked(names=("id",), limit=3)
    with pytest.raises(MemoryBusyError):
        found_by(engine, '{app="api"} | logfmt', ids, budget=Budget(Total(1 << 20)))


def test_a_metric_has_no_facets(executor: LocalExecutor) -> None:
    with pytest.raises(InvalidRequestError, match="only log selector is supported"):
        found_by(
            engine_of([], executor), 'rate({app="api"}[1m])', FacetsAsked(names=("app",), limit=3)
        )
