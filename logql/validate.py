"""Does a grammatical query make sense? Selectors that choose something, stages that compile."""

from collections.abc import Iterator, Sequence

from logql import ast
from logql.build import Mistake
from logql.errors import LogQLValidationError
from logql.stage_rules import check_stages

_BARRIERS = ast.LabelFilterStage | ast.LineFormat | ast.Unpack | ast.Decolorize

EMPTY_SELECTOR = (
    "queries require at least one regexp or equality matcher that does not have an "
    'empty-compatible value. For instance, app=~".*" does not meet this requirement, but '
    'app=~".+" will'
)


def selector_mistakes(expr: ast.Expr) -> Iterator[Mistake]:
    """The selectors that choose nothing in particular."""
    for query in log_queries(expr):
        if _chooses_nothing(query.selector):
            span = query.selector.span
            yield Mistake(span.start, True, -span.end, EMPTY_SELECTOR)


def check_selector(selector: ast.Selector) -> None:
    """At least one matcher must not accept the empty string."""
    if _chooses_nothing(selector):
        raise LogQLValidationError(EMPTY_SELECTOR)


def _chooses_nothing(selector: ast.Selector) -> bool:
    return all(matcher.matches_empty() for matcher in selector.matchers)


def check_pipelines(expr: ast.Expr) -> None:
    """Every stage that will run compiles; a `line_format` without effect is not looked at."""
    for query, counts_bytes in _runnable(expr):
        run = []
        for place, stage in enumerate(query.stages):
            unread = not counts_bytes and not _line_is_read(query.stages[place + 1 :])
            if not (unread and isinstance(stage, ast.LineFormat)):
                run.append(stage)
        for together in _together(run):
            check_stages(together)


def _together(stages: Sequence[ast.Stage]) -> Iterator[Sequence[ast.Stage]]:
    """Stages as they are compiled: all line filters up to a stage that they may not pass are one,
    in front of what stands between them (reference/logql.md §4.2)."""
    filters: list[ast.Stage] = []
    others: list[ast.Stage] = []
    for stage in stages:
        (filters if isinstance(stage, ast.LineFilter) else others).append(stage)
        if isinstance(stage, _BARRIERS):
            yield from _in_turn(filters, others)
            filters, others = [], []
    yield from _in_turn(filters, others)


def _in_turn(filters: list[ast.Stage], others: list[ast.Stage]) -> Iterator[Sequence[ast.Stage]]:
    if filters:
        yield filters
    for stage in others:
        yield [stage]


def _line_is_read(stages: tuple[ast.Stage, ...]) -> bool:
    readers = (
        ast.LineFilter
        | ast.JsonParser
        | ast.LogfmtParser
        | ast.RegexpParser
        | ast.PatternParser
        | ast.Unpack
    )
    return any(isinstance(stage, readers) for stage in stages)


def _runnable(expr: ast.Expr) -> Iterator[tuple[ast.LogQuery, bool]]:
    """(query, whether its final lines count): all of a log query, ranges of a metric."""
    if isinstance(expr, ast.LogQuery):
        yield expr, True
        return
    for found in range_aggregations(expr):
        yield found.log_range.query, found.op in ("bytes_rate", "bytes_over_time")


def range_aggregations(expr: ast.MetricExpr) -> Iterator[ast.RangeAggregation]:
    """All range aggregations of a metric expression, left to right."""
    match expr:
        case ast.RangeAggregation():
            yield expr
        case ast.VectorAggregation() | ast.LabelReplace():
            yield from range_aggregations(expr.expr)
        case ast.BinaryOperation():
            yield from range_aggregations(expr.left)
            yield from range_aggregations(expr.right)
        case _:
            return


def log_queries(expr: ast.Expr) -> Iterator[ast.LogQuery]:
    """The log queries in an expression."""
    if isinstance(expr, ast.LogQuery):
        yield expr
    else:
        for found in range_aggregations(expr):
            yield found.log_range.query
