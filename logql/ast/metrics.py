"""What is computed from lines? Range and vector aggregations and their combinations."""

from dataclasses import dataclass
from enum import Enum

from logql.ast.base import Span, span_field
from logql.ast.stages import LabelFilter, LogQuery


class Conversion(Enum):
    """How an unwrapped label becomes a number."""

    NUMBER = ""
    BYTES = "bytes"
    DURATION = "duration"
    DURATION_SECONDS = "duration_seconds"


@dataclass(frozen=True, slots=True)
class Unwrap:
    """`| unwrap conv(label) | filter …`."""

    label: str
    conversion: Conversion = Conversion.NUMBER
    post_filters: tuple[LabelFilter, ...] = ()
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (…)` or `without (…)`."""

    labels: tuple[str, ...]
    without: bool
    span: Span = span_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRange:
    """A log query with its window: `range_ns` long, ending `offset_ns` before the step."""

    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None
    span: Span = span_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeAggregation:
    """`op([parameter,] range) [grouping]`; `op` is the lower-case function name."""

    op: str
    log_range: LogRange
    parameter: float | None = None
    grouping: Grouping | None = None
    span: Span = span_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorAggregation:
    """`op [grouping] ([parameter,] expr)`; `op` is the lower-case function name."""

    op: str
    expr: "MetricExpr"
    parameter: int | None = None
    grouping: Grouping | None = None
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class VectorMatching:
    """`on|ignoring (labels) [group_left|group_right (include)]`; `group` is "left" or "right"."""

    on: bool
    labels: tuple[str, ...]
    group: str | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryOperation:
    """`left op [bool] [matching] right`."""

    op: str
    left: "MetricExpr"
    right: "MetricExpr"
    return_bool: bool = False
    matching: VectorMatching | None = None
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class Literal:
    """A number."""

    value: float
    span: Span = span_field()


@dataclass(frozen=True, slots=True)
class VectorLiteral:
    """`vector(number)`."""

    value: float
    span: Span = span_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReplace:
    """`label_replace(expr, "destination", "replacement", "source", "regex")`."""

    expr: "MetricExpr"
    destination: str
    replacement: str
    source: str
    regex: str
    span: Span = span_field()


MetricExpr = (
    RangeAggregation | VectorAggregation | BinaryOperation | Literal | VectorLiteral | LabelReplace
)

Expr = LogQuery | MetricExpr
