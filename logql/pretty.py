"""How is a long query laid out over lines? By the rules of `format_query` (http-api §4.10).

What fits in 100 bytes stays canonical; otherwise each part goes on lines of its own, two
spaces deeper for each level.
"""

from itertools import groupby

from logql import ast
from logql.format import (
    format_expr,
    format_filter,
    format_grouping,
    format_operator,
    format_query,
    format_selector,
    format_stage,
    format_unwrap,
)
from logql.operators import precedence
from narfi.core.clock import NS_PER_MS
from narfi.core.labels import quote
from narfi.core.units import format_go_duration, format_go_float, format_prometheus_duration

MAX_BYTES = 100
DECOLORIZE = format_stage(ast.Decolorize())
_INDENT = "  "


def pretty(expr: ast.Expr) -> str:
    """The laid out text of an expression."""
    return _pretty(expr, 0)


def _fits(canonical: str) -> bool:
    """Whether a text stays on its line."""
    return len(canonical.encode("utf-8", "surrogatepass")) <= MAX_BYTES


def _at(level: int) -> str:
    return _INDENT * level


def _pretty(expr: ast.Expr, level: int) -> str:
    canonical = format_expr(expr)
    if _fits(canonical):
        return _at(level) + canonical
    match expr:
        case ast.LogQuery():
            return _query(expr, level)
        case ast.RangeAggregation():
            return _range_aggregation(expr, level)
        case ast.VectorAggregation():
            return _vector_aggregation(expr, level)
        case ast.BinaryOperation():
            left = _operand(expr, expr.left, level + 1)
            right = _operand(expr, expr.right, level + 1)
            return f"{left}\n{_at(level)}{format_operator(expr, ', ')}\n{right}"
        case ast.LabelReplace():
            texts = (expr.destination, expr.replacement, expr.source, expr.regex)
            parts = [_pretty(expr.expr, level + 1), *(_at(level + 1) + quote(t) for t in texts)]
            return f"{_at(level)}label_replace(\n" + ",\n".join(parts) + f"\n{_at(level)})"
        case _:
            return _at(level) + canonical


def _operand(expr: ast.BinaryOperation, operand: ast.MetricExpr, level: int) -> str:
    """An operand, in parentheses where the text would be read as another tree without them.

    The recorded server never writes them, and so changes the meaning of `a - (b - c)`.
    """
    text = _pretty(operand, level)
    short = _fits(format_expr(operand))  # canonical text has its parentheses
    if short or not isinstance(operand, ast.BinaryOperation):
        return text
    inner, outer = precedence(operand.op), precedence(expr.op)
    on_its_side = operand is expr.left if expr.op != "^" else operand is expr.right
    if inner > outer or (inner == outer and on_its_side):
        return text
    return f"{_at(level)}(\n{_pretty(operand, level + 1)}\n{_at(level)})"


def _query(query: ast.LogQuery, level: int) -> str:
    """The selector, then a line per stage."""
    out = [_at(level) + format_selector(query.selector)]
    for is_filter, group in groupby(query.stages, lambda s: isinstance(s, ast.LineFilter)):
        stages = [format_stage(stage) for stage in group]
        for stage in _filter_lines(stages) if is_filter else stages:
            # the recorded server does not indent one of them
            depth = level if stage == DECOLORIZE else level + 1
            out.append(_at(depth) + stage)
    return "\n".join(out)


def _filter_lines(filters: list[str]) -> list[str]:
    """Neighbouring line filters: the first ones share a line while it is short."""
    fitting = 1
    while fitting < len(filters) and _fits(" ".join(filters[: fitting + 1])):
        fitting += 1
    return [" ".join(filters[:fitting]), *filters[fitting:]]


def _log_range(log_range: ast.LogRange, level: int) -> str:
    query, canonical = log_range.query, format_query(log_range.query)
    out = _at(level) + canonical if _fits(canonical) else _query(query, level)
    unwrap = log_range.unwrap
    if unwrap is not None:
        bare = ast.Unwrap(unwrap.label, unwrap.conversion)
        out += f"\n{_at(level + 1)}{format_unwrap(bare)}"
        for found in unwrap.post_filters:
            out += f"\n{_at(level + 1)}| {format_filter(found)}"
    out += f" [{format_prometheus_duration(log_range.range_ns)}]"
    if log_range.offset_ns:
        out += f" offset {_offset(log_range.offset_ns)}"
    return out


def _offset(offset_ns: int) -> str:
    """Prometheus' form, unless that would lose a part or has no such value."""
    if offset_ns % NS_PER_MS or offset_ns < 0:
        return format_go_duration(offset_ns)
    return format_prometheus_duration(offset_ns)


def _range_aggregation(expr: ast.RangeAggregation, level: int) -> str:
    out = f"{_at(level)}{expr.op}(\n"
    if expr.parameter is not None:
        out += f"{_at(level + 1)}{format_go_float(expr.parameter)},\n"
    out += f"{_log_range(expr.log_range, level + 1)}\n{_at(level)})"
    return out if expr.grouping is None else f"{out} {format_grouping(expr.grouping, ', ')}"


def _vector_aggregation(expr: ast.VectorAggregation, level: int) -> str:
    out = f"{_at(level)}{expr.op}"
    if expr.grouping is not None:
        out += f" {format_grouping(expr.grouping, ', ')}"
    out += "(\n"
    if expr.parameter is not None:
        out += f"{_at(level + 1)}{expr.parameter},\n"
    return f"{out}{_pretty(expr.expr, level + 1)}\n{_at(level)})"
