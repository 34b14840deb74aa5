"""Which arguments does a function take? Arity, unwrap and grouping (reference/logql.md §2.4)."""

from logql import ast
from logql.errors import LogQLValidationError
from narfi.core.units import format_go_float

WITH_UNWRAP = frozenset(
    f"{name}_over_time"
    for name in [
        "avg",
        "sum",
        "max",
        "min",
        "stddev",
        "stdvar",
        "quantile",
        "absent",
        "first",
        "last",
    ]
) | {"rate", "rate_counter"}
WITHOUT_UNWRAP = frozenset(
    ("bytes_over_time", "bytes_rate", "count_over_time", "rate", "absent_over_time")
)
GROUPED = frozenset(
    f"{name}_over_time"
    for name in ["avg", "stddev", "stdvar", "quantile", "max", "min", "first", "last"]
)
PARAMETER_VECTOR = ("topk", "bottomk", "approx_topk")
SORTS = ("sort", "sort_desc")


def check_range(expr: ast.RangeAggregation) -> None:
    """Refuse a range aggregation with the wrong arguments."""
    op = expr.op
    if expr.parameter is not None and op != "quantile_over_time":
        value = format_go_float(expr.parameter)
        raise LogQLValidationError(f"parameter {value} not supported for operation {op}")
    if op == "quantile_over_time" and expr.parameter is None:
        raise LogQLValidationError(f"parameter required for operation {op}")
    if expr.grouping is not None and op not in GROUPED:
        raise LogQLValidationError(f"grouping not allowed for {op} aggregation")
    if expr.log_range.unwrap is not None:
        if op not in WITH_UNWRAP:
            raise LogQLValidationError(f"invalid aggregation {op} with unwrap")
    elif op not in WITHOUT_UNWRAP:
        raise LogQLValidationError(f"invalid aggregation {op} without unwrap")


def check_vector(
    op: str, inner: ast.Expr, parameter: str | None, grouping: ast.Grouping | None
) -> ast.VectorAggregation:
    """The node of a vector aggregation; refuses wrong arguments. `parameter` is text."""
    assert not isinstance(inner, ast.LogQuery), "the builder refuses these"
    value = None
    if op in PARAMETER_VECTOR:
        value = _count(op, parameter)
        if op == "approx_topk" and grouping is not None:
            raise LogQLValidationError("grouping not allowed for approx_topk aggregation")
    elif parameter is not None:
        raise LogQLValidationError(f"unsupported parameter for operation {op}({parameter},")
    if op in SORTS and grouping is not None:
        raise LogQLValidationError("sort and sort_desc doesn't allow grouping by ")
    if grouping is not None and not grouping.labels and not grouping.without:
        grouping = None
    return ast.VectorAggregation(op, inner, value, grouping)


def _count(op: str, parameter: str | None) -> int:
    if parameter is None:
        raise LogQLValidationError(f"parameter required for operation {op}")
    digits = parameter.replace("_", "")
    if not digits.isdecimal() or int(digits) > 2**63 - 1:
        raise LogQLValidationError(f"invalid parameter {op}({parameter},")
    if int(digits) <= 0:
        message = f"invalid parameter (must be greater than 0) {op}({parameter}"
        raise LogQLValidationError(message)
    return int(digits)
