"""Does the engine answer as the reference does? Random queries over random, scattered entries."""

import math
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.plan.rules import ALL_RULES, Rule, Rules
from querier.query import Direction, QueryOptions
from querier.range_aggregation import PipelineError
from querier.result import MatrixResult, StreamsResult
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches
from tests.reference import engine as reference
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import ENTRIES, NS, START_NS, Entry
from tests.reference.queries import (
    ARITHMETIC,
    COMPARISONS,
    GROUPINGS,
    LOG_QUERIES,
    NUMBERS,
    range_aggregations,
)

TENANT = TenantId("t")
_COMPARING = frozenset(("==", "!=", ">", ">=", "<", "<="))
RULES = st.sampled_from([ALL_RULES, frozenset[Rule](), *(ALL_RULES - {rule} for rule in Rule)])
PARTS = st.lists(ENTRIES, min_size=1, max_size=3)
METRICS: st.SearchStrategy[ast.MetricExpr] = st.one_of(
    range_aggregations(),
    st.builds(
        lambda op, inner, grouping: ast.VectorAggregation(op, inner, None, grouping),
        st.sampled_from(["sum", "sum", "avg", "min", "max", "count", "stddev", "stdvar"]),
        range_aggregations(),
        st.none() | GROUPINGS,
    ),
    st.builds(
        lambda op, inner, number, b: ast.BinaryOperation(op, inner, number, b and op in _COMPARING),
        ARITHMETIC | COMPARISONS,
        range_aggregations(),
        NUMBERS,
        st.booleans(),
    ),
)


class _Sources:
    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._sources = sources

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """Those that reach into the range."""
        assert tenant == TENANT
        return [s for s in self._sources if s.max_ts >= start_ns and s.min_ts < end_ns]


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    """Two threads."""
    found = LocalExecutor(2)
    yield found
    found.close()


def engine_of(parts: Sequence[list[Entry]], executor: LocalExecutor) -> Engine:
    """The first parts as blocks, the last as head."""
    found = [
        MemorySource(merge_batches([batch_of(part)]), f"s{k}", f"s{k}")
        for k, part in enumerate(parts)
        if part
    ]
    return Engine(_Sources(found[-1:]), _Sources(found[:-1]), executor)


def options(start: int, end: int, rules: Rules, **more: object) -> QueryOptions:
    """A range query without limits that matter."""
    limits = Limits().with_changes(split_queries_by_interval_ns=0, max_query_series=0)
    step = more.pop("step", NS)
    assert isinstance(step, int)
    return QueryOptions((TENANT,), start, end, step, limits, rules=rules, **more)  # type: ignore[arg-type]


@settings(max_examples=examples(250))
@given(PARTS, LOG_QUERIES, st.sampled_from(Direction), st.sampled_from([1, 3, 1000]), RULES)
def test_log_queries(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    direction: Direction,
    limit: int,
    rules: Rules,
) -> None:
    text = format_expr(query)
    asked = options(START_NS, START_NS + 100 * NS, rules, direction=direction, limit=limit)
    try:
        result = engine_of(parts, executor).run(text, asked).result
    except AppError:
        return  # not a valid query: the stage's pattern or template
    assert isinstance(result, StreamsResult)
    found = sorted(
        (stream.labels, entry.ts_ns, entry.line)
        for stream in result.streams
        for entry in stream.entries
    )
    everything = reference.log_lines(query, [entry for part in parts for entry in part])
    if limit >= len(everything):
        assert found == everything, text
        return
    times = sorted((ts for _, ts, _ in everything), reverse=direction is Direction.BACKWARD)
    shown = sorted((ts for _, ts, _ in found), reverse=direction is Direction.BACKWARD)
    assert shown == times[:limit], text
    rest = list(everything)
    for line in found:
        rest.remove(line)  # each shown line is one of them


@settings(max_examples=examples(400))
@given(PARTS, METRICS, st.sampled_from([1, 3, 7]), st.integers(0, 25), st.integers(0, 8), RULES)
def test_metric_queries(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    expr: ast.MetricExpr,
    step_s: int,
    first_s: int,
    more: int,
    rules: Rules,
) -> None:
    text = format_expr(expr)
    steps = [START_NS + (first_s + k * step_s) * NS for k in range(more + 1)]
    try:
        expected = reference.evaluate(expr, [e for part in parts for e in part], steps)
    except (reference.HasErrors, AppError):
        return
    asked = options(steps[0], steps[-1], rules, step=step_s * NS)
    try:
        result = engine_of(parts, executor).run(text, asked).result
    except PipelineError as error:
        raise AssertionError(f"{text}: no sample has an error") from error
    except AppError:
        return
    assert isinstance(result, MatrixResult)
    found = {
        s.labels: dict(zip((s.times_ms * 1_000_000).tolist(), s.values.tolist(), strict=True))
        for s in result.series
    }
    wanted = {labels: points for labels, points in expected.items() if points}
    assert found.keys() == wanted.keys(), text
    for labels, points in wanted.items():
        assert found[labels].keys() == points.keys(), text
        for t, value in points.items():
            assert _same(found[labels][t], value), (text, labels, t, found[labels][t], value)


def _same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
