"""Are figures and buckets those of the numbers, one by one?"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.errors import AppError
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.distribution import (
    BUCKETS,
    QUANTILES,
    Counts,
    Distribution,
    buckets_of,
    distribution_of,
    figures_of,
    has_long_tail,
)
from querier.rules import ALL_RULES, Rules
from tests.querier.shaped import is_query
from tests.querier.test_engine import PARTS, RULES, SHAPED, engine_of, options, shaped_cases
from tests.reference import distribution as reference
from tests.reference import exploring
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.reference.similar import THRESHOLDS, thresholds
from tests.storage.blocks import small_groups

NAMES = st.sampled_from(["status", "dur", "size", "level", "user_id", "msg", "absent"])


def asked(engine: Engine, text: str, name: str, rules: Rules = ALL_RULES) -> Distribution:
    """Of all times."""
    whole = options(START_NS, START_NS + 1000 * NS, rules)
    return engine.explore(text, whole, lambda question: distribution_of(question, name)).value


def check(
    engine: Engine, parts: list[list[Entry]], query: ast.LogQuery, name: str, rules: Rules
) -> None:
    """Every number counts, and no other row."""
    text = format_expr(query)
    try:
        found = asked(engine, text, name, rules)
    except AppError:
        return  # not a valid query: the stage's pattern or template
    entries = [entry for part in parts for entry in part]
    rows = exploring.rows_by(query, entries, found.parser)
    by_kind = reference.numbers([row.labels().get(name, "") for row in rows])
    sizes = {kind: len(values) for kind, values in by_kind.items()}
    assert found.rows == len(rows)
    assert found.rows - found.missing == max(sizes.values(), default=0)
    assert sum(bucket.count for bucket in found.buckets) == found.rows - found.missing
    if not found.buckets:
        assert not any(value is not None for value in found.figures.values())
        return
    most = [values for values in by_kind.values() if len(values) == max(sizes.values())]
    assert any(
        (found.figures["min"], found.figures["max"]) == (min(values), max(values))
        for values in most
    )


@settings(max_examples=examples(100))
@given(PARTS, LOG_QUERIES, NAMES, RULES)
def test_of_any_lines(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    name: str,
    rules: Rules,
) -> None:
    check(engine_of(parts, executor), parts, query, name, rules)


@settings(max_examples=examples(60))
@given(shaped_cases(), SHAPED, THRESHOLDS, NAMES, RULES)
def test_of_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.LogQuery],
    least: int,
    limits: tuple[int, int, int] | None,
    name: str,
    rules: Rules,
) -> None:
    parts, query = case
    if not is_query(query.stages):
        return
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    check(engine, parts, query, name, rules)


VALUES = st.lists(
    st.one_of(
        st.integers(-5, 40).map(float),
        st.floats(-1e6, 1e6),
        st.floats(1e-3, 1e9),
    ),
    min_size=1,
    max_size=60,
)


def counts_of(values: list[float]) -> Counts:
    distinct = sorted(set(values))
    return Counts(
        np.array(distinct, np.float64),
        np.array([values.count(value) for value in distinct], np.int64),
    )


@given(VALUES)
def test_figures(values: list[float]) -> None:
    figures = figures_of(counts_of(values))
    assert (figures["min"], figures["max"]) == (min(values), max(values))
    near = 1e-9 * max(map(abs, values)) + 1e-300
    mean = figures["mean"]
    assert mean is not None
    assert math.isclose(mean, math.fsum(values) / len(values), rel_tol=1e-9, abs_tol=near)
    for q in QUANTILES:
        found, expected = figures[f"p{q * 100:g}"], reference.quantile(values, q)
        assert found is not None
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=near)


@given(VALUES, st.booleans())
def test_buckets(values: list[float], is_log: bool) -> None:
    is_log = is_log and min(values) > 0
    buckets = list(buckets_of(counts_of(values), is_log=is_log))
    assert 1 <= len(buckets) <= BUCKETS
    assert buckets[0].low == min(values)
    assert buckets[-1].high >= max(values)
    for k, bucket in enumerate(buckets):
        is_last = k == len(buckets) - 1
        inside = [
            v for v in values if bucket.low <= v < bucket.high or (is_last and v == bucket.high)
        ]
        assert bucket.count == len(inside)
        assert is_last or bucket.high == buckets[k + 1].low


def lines(values: list[str]) -> list[Entry]:
    return [
        ({"app": "a"}, {}, START_NS + k, f"took={value} n=1".encode())
        for k, value in enumerate(values)
    ]


@pytest.mark.parametrize("least", [None, 1])
def test_durations_and_tails(executor: LocalExecutor, least: int | None) -> None:
    values = [f"{k % 7 + 1}ms" for k in range(99)] + ["1.5s", "none", "2KB"]
    found = asked(engine_of([lines(values)], executor, least), '{app="a"}', "took")
    assert (found.parser, found.unit, found.rows, found.missing) == ("logfmt", "ms", 102, 2)
    assert (found.figures["min"], found.figures["max"], found.figures["p50"]) == (1, 1500, 4)
    assert not found.is_log, "one of a hundred is no tail"
    values = [f"{k % 7 + 1}ms" for k in range(90)] + ["1.5s"] * 10
    found = asked(engine_of([lines(values)], executor, least), '{app="a"}', "took")
    assert found.is_log
    assert (found.buckets[0].low, found.buckets[-1].high) == (1, 1500)
    assert found.buckets[-1].count == 10


def test_a_tail_needs_numbers_above_zero() -> None:
    tailed, from_zero = counts_of([1.0] * 50 + [100.0] * 5), counts_of([0.0] * 50 + [100.0] * 5)
    assert has_long_tail(tailed, figures_of(tailed))
    assert not has_long_tail(from_zero, figures_of(from_zero))


def test_few_whole_numbers_have_a_bucket_each() -> None:
    found = list(buckets_of(counts_of([200.0, 201.0, 201.0, 204.0]), is_log=False))
    assert [(b.low, b.high, b.count) for b in found] == [
        (200, 201, 1),
        (201, 202, 2),
        (202, 203, 0),
        (203, 204, 0),
        (204, 205, 1),
    ]
