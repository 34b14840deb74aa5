"""Does the engine answer as the reference does? Random queries over random, scattered entries."""

import itertools
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.metrics.samples import ARRIVAL_MATTERS, PipelineError
from querier.query import Direction, QueryOptions
from querier.reading.reading import Hiding
from querier.result import MatrixResult, StreamsResult
from querier.rules import ALL_RULES, Rule, Rules
from storage.block.identity import Layout
from storage.memory_source import MemorySource
from storage.objects.base import Allow, BadObjectError
from storage.scan import BlockProvider, Found, LogSource
from storage.sorting import merge_batches
from tests.querier.shaped import fitting_pipelines, is_query, similar_entries
from tests.reference import engine as reference
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import ENTRIES, NS, START_NS, Entry
from tests.reference.queries import (
    ARITHMETIC,
    COMPARISONS,
    GROUPINGS,
    LOG_QUERIES,
    NAMES,
    NUMBERS,
    range_aggregations,
)
from tests.reference.similar import THRESHOLDS, thresholds
from tests.storage.blocks import block_of, small_groups

TENANT = TenantId("t")
_COMPARING = frozenset(("==", "!=", ">", ">=", "<", "<="))
RULES = st.sampled_from([ALL_RULES, frozenset[Rule](), *(ALL_RULES - {rule} for rule in Rule)])
PARTS = st.lists(ENTRIES, min_size=1, max_size=3)
METRICS: st.SearchStrategy[ast.MetricExpr] = st.one_of(
    range_aggregations(),
    st.builds(
        lambda op, inner, grouping: ast.VectorAggregation(
            op=op, expr=inner, parameter=None, grouping=grouping
        ),
        st.sampled_from(["sum", "sum", "avg", "min", "max", "count", "stddev", "stdvar"]),
        range_aggregations(),
        st.none() | GROUPINGS,
    ),
    st.builds(
        lambda op, inner, number, b: ast.BinaryOperation(
            op=op, left=inner, right=number, return_bool=b and op in _COMPARING
        ),
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

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """The same: nothing is damaged."""
        return Found(self.sources(tenant, start_ns, end_ns))

    def reading(self) -> AbstractContextManager[BlockProvider]:
        """Itself: nothing goes away."""
        return nullcontext(self)

    def judge(self, error: BadObjectError, *, again: bool, allow: Allow) -> None:
        """Nothing is damaged."""
        raise error


def engine_of(
    parts: Sequence[list[Entry]],
    executor: LocalExecutor,
    shaped: int | None = None,
    hiding: Hiding | None = None,
) -> Engine:
    """The first parts as blocks, the last as head.

    `shaped`: all as stored blocks, of one format and the other in turn, in which so many lines make
    a shape.
    """
    runs = [(f"s{k}", merge_batches([batch_of(part)])) for k, part in enumerate(parts) if part]
    if shaped is not None:
        layouts = itertools.cycle((Layout(3), Layout(2)))
        blocks = _Sources(
            [
                block_of(run, shaped, name, layout)
                for (name, run), layout in zip(runs, layouts, strict=False)
            ]
        )
        return Engine(_Sources([]), blocks, executor, hiding=hiding)
    found = [MemorySource(run, name, name) for name, run in runs]
    return Engine(_Sources(found[-1:]), _Sources(found[:-1]), executor, hiding=hiding)


def options(start: int, end: int, rules: Rules, **more: object) -> QueryOptions:
    """A range query without limits that matter."""
    limits = Limits().with_changes(split_queries_by_interval_ns=0, max_query_series=0)
    step = more.pop("step", NS)
    assert isinstance(step, int)
    return QueryOptions(
        tenants=(TENANT,),
        start_ns=start,
        end_ns=end,
        step_ns=step,
        limits=limits,
        rules=rules,
        **more,  # type: ignore[arg-type]
    )


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
    check_log_query(engine_of(parts, executor), parts, query, direction, limit, rules)


def check_log_query(
    engine: Engine,
    parts: list[list[Entry]],
    query: ast.LogQuery,
    direction: Direction,
    limit: int,
    rules: Rules,
) -> None:
    """The engine's lines are the reference's, or as many of them as the limit lets through."""
    text = format_expr(query)
    asked = options(START_NS, START_NS + 100 * NS, rules, direction=direction, limit=limit)
    try:
        result = engine.run(text, asked).result
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
    steps = [START_NS + (first_s + k * step_s) * NS for k in range(more + 1)]
    check_metric_query(engine_of(parts, executor), parts, expr, steps, rules)


def check_metric_query(
    engine: Engine,
    parts: list[list[Entry]],
    expr: ast.MetricExpr,
    steps: list[int],
    rules: Rules,
) -> None:
    """The engine's points are the reference's."""
    text, step_ns = format_expr(expr), steps[1] - steps[0] if len(steps) > 1 else NS
    try:
        expected = reference.evaluate(expr, [e for part in parts for e in part], steps)
    except (reference.HasErrors, AppError):
        return
    asked = options(steps[0], steps[-1], rules, step=step_ns)
    try:
        result = engine.run(text, asked).result
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


@st.composite
def shaped_cases(draw: st.DrawFn) -> tuple[list[list[Entry]], ast.LogQuery]:
    """Similar lines in one or two blocks, and a query that fits them."""
    parts = [draw(similar_entries())]
    if draw(st.booleans()):
        parts.append(draw(st.one_of(similar_entries(), st.just(parts[0][::2]))))
    query = draw(LOG_QUERIES)
    stages = draw(fitting_pipelines([e[3] for part in parts for e in part]))
    return parts, ast.LogQuery(query.selector, stages)


SHAPED = st.sampled_from([1, 1, 2])


@settings(max_examples=examples(100))
@given(
    shaped_cases(),
    SHAPED,
    THRESHOLDS,
    st.sampled_from(Direction),
    st.sampled_from([1, 3, 1000]),
    RULES,
)
def test_log_queries_over_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.LogQuery],
    least: int,
    limits: tuple[int, int, int] | None,
    direction: Direction,
    limit: int,
    rules: Rules,
) -> None:
    parts, query = case
    if not is_query(query.stages):
        return
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    check_log_query(engine, parts, query, direction, limit, rules)


@st.composite
def shaped_metrics(draw: st.DrawFn) -> tuple[list[list[Entry]], ast.RangeAggregation]:
    """Similar lines and a range aggregation over them, often of an unwrapped field."""
    parts, query = draw(shaped_cases())
    found = draw(range_aggregations())
    stages: tuple[ast.Stage, ...] = query.stages
    if draw(st.booleans()):
        parser: ast.Stage = ast.JsonParser() if draw(st.booleans()) else ast.LogfmtParser()
        stages = (parser, *found.log_range.query.stages[-1:])
    clean = ast.StringLabelFilter(Matcher("__error__", MatchOp.EQ, ""))
    if draw(st.integers(0, 3)):
        stages = (*stages, ast.LabelFilterStage(clean))
    unwrap = found.log_range.unwrap
    if unwrap is not None and draw(st.integers(0, 3)):
        post = (clean, *unwrap.post_filters)[:1]
        unwrap = ast.Unwrap(draw(NAMES), ast.Conversion.NUMBER, post)
    log_range = replace(found.log_range, query=ast.LogQuery(query.selector, stages), unwrap=unwrap)
    return parts, replace(found, log_range=log_range)


@settings(max_examples=examples(150))
@given(
    shaped_metrics(),
    SHAPED,
    THRESHOLDS,
    st.none() | GROUPINGS,
    st.sampled_from([1, 3, 7]),
    st.integers(0, 25),
    st.integers(0, 8),
    RULES,
)
def test_metric_queries_over_shapes(
    executor: LocalExecutor,
    case: tuple[list[list[Entry]], ast.RangeAggregation],
    least: int,
    limits: tuple[int, int, int] | None,
    grouping: ast.Grouping | None,
    step_s: int,
    first_s: int,
    more: int,
    rules: Rules,
) -> None:
    parts, inner = case
    if not is_query(inner.log_range.query.stages):
        return
    expr: ast.MetricExpr = inner
    if grouping is not None:
        expr = ast.VectorAggregation(op="sum", expr=inner, parameter=None, grouping=grouping)
    with thresholds(limits), small_groups(2 if limits else None):
        engine = engine_of(parts, executor, least)
    steps = [START_NS + (first_s + k * step_s) * NS for k in range(more + 1)]
    check_metric_query(engine, parts, expr, steps, rules)


TIED = st.lists(
    st.tuples(
        st.sampled_from(
            [b'{"dur":%d}', b'{"dur":%d,"x":1}', b'{"x":"a","dur":%d.5}', b"dur=%d a="]
        ),
        st.integers(0, 9),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(80))
@given(TIED, st.sampled_from(sorted(ARRIVAL_MATTERS)), SHAPED, st.booleans(), RULES)
def test_values_of_one_instant_keep_their_order(
    executor: LocalExecutor,
    rows: list[tuple[bytes, int, int]],
    op: str,
    least: int,
    json: bool,
    rules: Rules,
) -> None:
    """However they are spread over shapes, row groups and blocks."""
    entries: list[Entry] = [
        ({"app": "api"}, {}, START_NS + at * NS, line % value) for line, value, at in rows
    ]
    parser: ast.Stage = ast.JsonParser() if json else ast.LogfmtParser()
    clean = ast.LabelFilterStage(ast.StringLabelFilter(Matcher("__error__", MatchOp.EQ, "")))
    selector = ast.Selector((Matcher("app", MatchOp.EQ, "api"),))
    log_range = ast.LogRange(
        query=ast.LogQuery(selector, (parser, clean)),
        range_ns=5 * NS,
        offset_ns=0,
        unwrap=ast.Unwrap("dur", ast.Conversion.NUMBER, ()),
    )
    expr = ast.RangeAggregation(
        op=op,
        log_range=log_range,
        parameter=None,
        grouping=ast.Grouping(("app",), False) if op != "rate_counter" else None,
    )
    parts = [entries[: len(entries) // 2], entries[len(entries) // 2 :]]
    with small_groups(2):
        engine = engine_of(parts, executor, least)
    steps = [START_NS + k * NS for k in range(7)]
    check_metric_query(engine, parts, expr, steps, rules)


def _same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
