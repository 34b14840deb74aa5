"""How is a query written canonically? One line, as a recorded server does (http-api §4.10)."""

from typing import assert_never

from logql import ast
from narfi.core.labels import quote
from narfi.core.matchers import Matcher
from narfi.core.units import (
    format_bytes,
    format_fixed,
    format_go_duration,
    format_go_float,
    format_prometheus_duration,
    format_sample,
    parse_float,
)

NO_BYTES = "0kB"
"""Of no bytes at all; `0B` would be read as the beginning of a binary number."""


def format_expr(expr: ast.Expr) -> str:
    """The canonical text of an expression."""
    match expr:
        case ast.LogQuery():
            return format_query(expr)
        case ast.RangeAggregation():
            return _range_aggregation(expr)
        case ast.VectorAggregation():
            return _vector_aggregation(expr)
        case ast.BinaryOperation():
            left, right = format_expr(expr.left), format_expr(expr.right)
            return f"({left} {format_operator(expr)} {right})"
        case ast.Literal():
            return format_go_float(expr.value)
        case ast.VectorLiteral():
            return f"vector({_vector_number(expr.value)})"
        case ast.LabelReplace():
            texts = (expr.destination, expr.replacement, expr.source, expr.regex)
            return f"label_replace({','.join([format_expr(expr.expr), *map(quote, texts)])})"
        case _:
            assert_never(expr)


def _vector_number(value: float) -> str:
    """Six digits behind the point, or as many as the value needs to be read again."""
    fixed = format_fixed(value)
    return fixed if parse_float(fixed) == value else format_sample(value)


def format_operator(expr: ast.BinaryOperation, separator: str = ",") -> str:
    """The operator with its modifiers; a blank stays behind labels without a group, as recorded."""
    out = expr.op + (" bool" if expr.return_bool else "")
    matching = expr.matching
    if matching is None:
        return out
    word = "on" if matching.on else "ignoring"
    out += f" {word} ({separator.join(matching.labels)}) "
    if matching.group is not None:
        out += f"group_{matching.group}"
        if matching.include:
            out += f" ({separator.join(matching.include)})"
    return out


def format_query(query: ast.LogQuery) -> str:
    """A selector with its stages."""
    return " ".join([format_selector(query.selector), *map(format_stage, query.stages)])


def format_selector(selector: ast.Selector) -> str:
    """`{a="b", c=~"d"}`."""
    return "{" + ", ".join(format_matcher(m) for m in selector.matchers) + "}"


def format_matcher(matcher: Matcher) -> str:
    """`a="b"`."""
    return f"{matcher.name}{matcher.op.value}{quote(matcher.value)}"


def format_stage(stage: ast.Stage) -> str:
    """One stage with its pipe."""
    match stage:
        case ast.LineFilter():
            operands = " or ".join(_line_operand(found) for found in stage.operands)
            return f"{stage.op.value} {operands}"
        case ast.JsonParser():
            return _words("| json", _extractions(stage.extractions))
        case ast.LogfmtParser():
            flags = "--strict" if stage.strict else ""
            empty = "--keep-empty" if stage.keep_empty else ""
            return _words("| logfmt", flags, empty, _extractions(stage.extractions))
        case ast.RegexpParser():
            return f"| regexp {quote(stage.pattern)}"
        case ast.PatternParser():
            return f"| pattern {quote(stage.pattern)}"
        case ast.Unpack():
            return "| unpack"
        case ast.LabelFilterStage():
            return f"| {format_filter(stage.filter)}"
        case ast.LineFormat():
            return f"| line_format {quote(stage.template)}"
        case ast.LabelFormat():
            return f"| label_format {','.join(_format_item(item) for item in stage.items)}"
        case ast.Decolorize():
            return "| decolorize"
        case ast.Drop():
            return f"| drop {','.join(_named(item) for item in stage.items)}"
        case ast.Keep():
            return f"| keep {','.join(_named(item) for item in stage.items)}"
        case _:
            assert_never(stage)


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _line_operand(operand: ast.LineOperand) -> str:
    return f"ip({quote(operand.value)})" if operand.is_ip else quote(operand.value)


def _extractions(items: tuple[ast.Extraction, ...]) -> str:
    return ",".join(f"{item.name}={quote(item.expression)}" for item in items)


def _format_item(item: ast.LabelFormatItem) -> str:
    return f"{item.name}={item.value if item.is_rename else quote(item.value)}"


def _named(item: ast.NamedLabel) -> str:
    return item.name if item.matcher is None else format_matcher(item.matcher)


def format_filter(found: ast.LabelFilter) -> str:
    """A label filter without its pipe."""
    match found:
        case ast.StringLabelFilter():
            return format_matcher(found.matcher)
        case ast.NumberFilter():
            return f"{found.name}{found.op.value}{format_sample(found.value)}"
        case ast.DurationFilter():
            return f"{found.name}{found.op.value}{format_go_duration(found.value_ns)}"
        case ast.BytesFilter():
            size = (
                format_bytes(found.value) if found.value else "0kB"
            )  # `0B` begins a binary number
            return f"{found.name}{found.op.value}{size}"
        case ast.IpFilter():
            return f"{found.name}{'!=' if found.negated else '='}ip({quote(found.pattern)})"
        case ast.AndFilter():
            return f"( {format_filter(found.left)} , {format_filter(found.right)} )"
        case ast.OrFilter():
            return f"( {format_filter(found.left)} or {format_filter(found.right)} )"
        case _:
            assert_never(found)


def format_unwrap(unwrap: ast.Unwrap) -> str:
    """An unwrap with its filters."""
    label = unwrap.label
    if unwrap.conversion is not ast.Conversion.NUMBER:
        label = f"{unwrap.conversion.value}({label})"
    return " ".join([f"| unwrap {label}", *(f"| {format_filter(f)}" for f in unwrap.post_filters)])


def format_grouping(grouping: ast.Grouping, separator: str = ",") -> str:
    """`by (a,b)` or `without (a)`."""
    return f"{'without' if grouping.without else 'by'} ({separator.join(grouping.labels)})"


def _log_range(log_range: ast.LogRange) -> str:
    out = format_query(log_range.query)
    if log_range.unwrap is not None:
        out += f" {format_unwrap(log_range.unwrap)}"
    out += f"[{format_prometheus_duration(log_range.range_ns)}]"
    if log_range.offset_ns:
        out += f" offset {format_go_duration(log_range.offset_ns)}"
    return out


def _range_aggregation(expr: ast.RangeAggregation) -> str:
    parameter = "" if expr.parameter is None else f"{format_sample(expr.parameter)},"
    out = f"{expr.op}({parameter}{_log_range(expr.log_range)})"
    return out if expr.grouping is None else f"{out} {format_grouping(expr.grouping)}"


def _vector_aggregation(expr: ast.VectorAggregation) -> str:
    grouping = "" if expr.grouping is None else f" {format_grouping(expr.grouping)}"
    parameter = "" if expr.parameter is None else f"{expr.parameter},"
    return f"{expr.op}{grouping}({parameter}{format_expr(expr.expr)})"
