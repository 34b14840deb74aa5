"""Does a grammatical query make sense? Selectors that choose something, stages that compile."""

from collections.abc import Iterator

from logql import ast
from logql.errors import LogQLValidationError
from logql.stage_rules import check_stage

EMPTY_SELECTOR = (
    "queries require at least one regexp or equality matcher that does not have an "
    'empty-compatible value. For instance, app=~".*" does not meet this requirement, but '
    'app=~".+" will'
)


def check_expr(expr: ast.Expr) -> None:
    """Every selector chooses something."""
    for query in log_queries(expr):
        check_selector(query.selector)


def check_selector(selector: ast.Selector) -> None:
    """At least one matcher must not accept the empty string."""
    if all(matcher.matches_empty() for matcher in selector.matchers):
        raise LogQLValidationError(EMPTY_SELECTOR)


def check_pipelines(expr: ast.Expr) -> None:
    """Every stage that will run compiles; a `line_format` without effect is not looked at."""
    for query, counts_bytes in _runnable(expr):
        for place, stage in enumerate(query.stages):
            unread = not counts_bytes and not _line_is_read(query.stages[place + 1 :])
            if not (unread and isinstance(stage, ast.LineFormat)):
                check_stage(stage)


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
