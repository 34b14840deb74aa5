"""Which arguments does a function take? Arity, unwrap and grouping (reference/logql.md §2.4)."""

from logql import ast
from logql.numbers import Number
from narfi.core.units import UnitError, parse_int

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


def range_mistake(expr: ast.RangeAggregation, parameter: Number | None) -> str | None:
    """What is wrong with the arguments of a range aggregation; None when nothing is."""
    op = expr.op
    if parameter is not None:
        if op != "quantile_over_time":
            return f"parameter {parameter.text} not supported for operation {op}"
        if parameter.wrong_value:
            return f"invalid parameter for operation {op}: {parameter.wrong_value}"
    elif op == "quantile_over_time":
        return f"parameter required for operation {op}"
    if expr.grouping is not None and op not in GROUPED:
        return f"grouping not allowed for {op} aggregation"
    if expr.log_range.unwrap is not None:
        return None if op in WITH_UNWRAP else f"invalid aggregation {op} with unwrap"
    return None if op in WITHOUT_UNWRAP else f"invalid aggregation {op} without unwrap"


def vector_mistake(op: str, parameter: str | None, grouping: ast.Grouping | None) -> str | None:
    """What is wrong with the arguments of a vector aggregation; `parameter` as written."""
    if op in PARAMETER_VECTOR:
        if parameter is None:
            return f"parameter required for operation {op}"
        value = vector_parameter(parameter)
        if value is None:
            return f"invalid parameter {op}({parameter},"
        if value <= 0:
            return f"invalid parameter (must be greater than 0) {op}({parameter}"
        if op == "approx_topk" and grouping is not None:
            return "grouping not allowed for approx_topk aggregation"
    elif parameter is not None:
        return f"unsupported parameter for operation {op}({parameter},"
    if op in SORTS and grouping is not None and grouping.labels:
        return "sort and sort_desc doesn't allow grouping by "
    return None


def vector_parameter(text: str | None) -> int | None:
    """A number of series: Go's `strconv.Atoi`; None when it is none."""
    try:
        return None if text is None else parse_int(text)
    except UnitError:
        return None
