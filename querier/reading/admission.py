"""May this query run? Loki's limits on queries, in Loki's order and words (http-api §0.4)."""

from collections.abc import Iterator

from logql.ast import (
    BinaryOperation,
    LabelReplace,
    LogQuery,
    MetricExpr,
    RangeAggregation,
    VectorAggregation,
)
from logql.validate import range_aggregations
from narfi.core.clock import NS_PER_MS
from narfi.core.errors import InvalidRequestError
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher
from narfi.core.units import format_go_duration, format_prometheus_duration
from querier.query import QueryOptions


class QueryLimitError(InvalidRequestError):
    """The query asks for more than the tenant may have."""


def check_query(expr: LogQuery | MetricExpr, options: QueryOptions) -> None:
    """Refuse what the limits do not allow, before anything is read."""
    limits = options.limits
    if isinstance(expr, LogQuery):
        if options.instant:
            message = (
                "log queries are not supported as an instant query type, please change your "
                "query to a range query type"
            )
            raise QueryLimitError(message)
        _check_entries(options)
    for matchers in _selectors(expr):
        _check_matchers(matchers, limits)
    if not isinstance(expr, LogQuery):
        _check_ranges(expr, limits)
    _check_lengths(expr, options)


def _check_entries(options: QueryOptions) -> None:
    most = options.limits.max_entries_limit_per_query
    if most and options.limit > most:
        message = (
            "max entries limit per query exceeded, limit > max_entries_limit_per_query "
            f"({options.limit} > {most})"
        )
        raise QueryLimitError(message)


def _check_matchers(matchers: tuple[Matcher, ...], limits: Limits) -> None:
    most = limits.max_streams_matchers_per_query
    if most and len(matchers) > most:
        message = (
            "max streams matchers per query exceeded, matchers-count > limit "
            f"({len(matchers)} > {most})"
        )
        raise QueryLimitError(message)
    present = [m.name for m in matchers]
    missing = [name for name in limits.required_labels if name not in present]
    if missing:
        message = (
            f"stream selector is missing required matchers [{', '.join(missing)}], labels present "
            f"in the query were [{', '.join(present)}]"
        )
        raise QueryLimitError(message)
    fewest = limits.minimum_labels_number
    if len(present) < fewest:
        message = (
            f"stream selector has less label matchers than required: (present: "
            f"[{', '.join(present)}], number_present: {len(present)}, "
            f"required_number_label_matchers: {fewest})"
        )
        raise QueryLimitError(message)


def within_lookback(start_ns: int, limits: Limits, now_ns: int) -> int:
    """The start, not further back than the tenant may look."""
    if limits.max_query_lookback_ns <= 0:
        return start_ns
    return max(start_ns, now_ns - limits.max_query_lookback_ns)


def check_length(start_ns: int, end_ns: int, limits: Limits, reach_ns: int = 0) -> None:
    """Refuse to read a longer stretch of time than the tenant may ask for at once.

    Both times count as the milliseconds in which they lie; the stretch begins `reach_ns` earlier.
    """
    most = limits.max_query_length_ns
    length_ns = (end_ns // NS_PER_MS - start_ns // NS_PER_MS) * NS_PER_MS + reach_ns
    if most and length_ns > most:
        message = (
            "the query time range exceeds the limit (query length: "
            f"{format_go_duration(length_ns)}, limit: {format_prometheus_duration(most)})"
        )
        raise QueryLimitError(message)


def _check_lengths(expr: LogQuery | MetricExpr, options: QueryOptions) -> None:
    """The asked stretch, then what the selectors read: a range reaches back from the first step, an
    offset moves the stretch and makes it no longer."""
    check_length(options.start_ns, options.end_ns, options.limits)
    if not isinstance(expr, LogQuery):
        reach_ns = max((a.log_range.range_ns for a in range_aggregations(expr)), default=0)
        check_length(options.start_ns, options.end_ns, options.limits, reach_ns)


def _check_ranges(expr: MetricExpr, limits: Limits) -> None:
    most = limits.max_query_range_ns
    for aggregation in range_aggregations(expr):
        span = aggregation.log_range.range_ns
        if most and span > most:
            shown, limit = format_prometheus_duration(span), format_prometheus_duration(most)
            raise QueryLimitError(f"[interval] value exceeds limit: [{shown}] > [{limit}]")


def check_series(count: int, most: int) -> None:
    """Refuse a metric answer with more series than `max_query_series`; 0: no limit."""
    if most and count > most:
        message = (
            f"maximum number of series ({most}) reached for a single query; consider reducing "
            "query cardinality by adding more specific stream selectors, reducing the time range, "
            "or aggregating results with functions like sum(), count() or topk()"
        )
        raise QueryLimitError(message)


def _selectors(expr: LogQuery | MetricExpr) -> Iterator[tuple[Matcher, ...]]:
    match expr:
        case LogQuery():
            yield expr.selector.matchers
        case RangeAggregation():
            yield expr.log_range.query.selector.matchers
        case VectorAggregation() | LabelReplace():
            yield from _selectors(expr.expr)
        case BinaryOperation():
            yield from _selectors(expr.left)
            yield from _selectors(expr.right)
        case _:
            return
