"""How are binary operations put together? Precedence, folding of literals, and type checks."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from logql import ast
from narfi.core.units import format_fixed

PRECEDENCE = (
    ("or",),
    ("and", "unless"),
    ("==", "!=", "<", "<=", ">", ">="),
    ("+", "-"),
    ("*", "/", "%"),
    ("^",),
)
"""Low to high; `^` is right associative, all others left (reference/logql.md §2.1)."""

SET_OPERATORS = ("or", "and", "unless")

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""Of numbers or arrays of them."""

PLAIN: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
"""Operations that Python does as IEEE 754 says, of numbers or arrays of them."""


def precedence(op: str) -> int:
    """The level of an operator."""
    return next(level for level, ops in enumerate(PRECEDENCE) if op in ops)


def leg_mistake(op: str, left: ast.Expr, right: ast.Expr) -> str | None:
    """Log queries are no operands, and literals none of set operators; None when all is well."""
    sides = (("left", left), ("right", right))
    for side, expr in sides:
        if isinstance(expr, ast.LogQuery):
            kind = "*syntax.PipelineExpr" if expr.stages else "*syntax.MatchersExpr"
            return f"unexpected type for {side} leg of binary operation ({op}): {kind}"
    for side, expr in sides:
        if op in SET_OPERATORS and isinstance(expr, ast.Literal):
            return (
                f"unexpected literal for {side} leg of logical/set binary operation ({op}): "
                f"{format_fixed(expr.value)}"
            )
    return None


def operation(
    op: str,
    left: ast.Expr,
    right: ast.Expr,
    return_bool: bool,
    matching: ast.VectorMatching | None,
) -> ast.MetricExpr:
    """The node of operands without a mistake, folded when both are literals."""
    assert not isinstance(left, ast.LogQuery)
    assert not isinstance(right, ast.LogQuery)
    if isinstance(left, ast.Literal) and isinstance(right, ast.Literal):
        return ast.Literal(fold(op, left.value, right.value))
    return ast.BinaryOperation(
        op=op, left=left, right=right, return_bool=return_bool, matching=matching
    )


def fold(op: str, a: float, b: float) -> float:
    """The value of an operation between literals; comparisons give 1 or 0.

    Nothing is an error: as IEEE 754 and the C library say, but division and modulo by zero give
    NaN (reference/logql.md §12).
    """
    if op in PLAIN:
        return float(PLAIN[op](a, b))
    if op in COMPARISONS:
        return float(COMPARISONS[op](a, b))
    match op:
        case "/":
            return a / b if b else math.nan
        case "%":
            return math.fmod(a, b) if b and not math.isinf(a) else math.nan
        case "^":
            return _power(a, b)
    raise ValueError(f"unknown operation: {op}")


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except (OverflowError, ValueError):  # too large, a power of zero below it, or no real number
        if a < 0 and not b.is_integer():
            return math.nan
        is_odd = b.is_integer() and math.fmod(b, 2) != 0
        return math.copysign(math.inf, a) if is_odd else math.inf
