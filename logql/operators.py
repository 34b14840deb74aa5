"""How are binary operations put together? Precedence, folding of literals, and type checks."""

import math

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
    """The value of an operation between literals; comparisons give 1 or 0."""
    match op:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b if b else math.nan
        case "%":
            return math.fmod(a, b) if b else math.nan
        case "^":
            return _power(a, b)
    results = {
        "==": a == b,
        "!=": a != b,
        "<": a < b,
        "<=": a <= b,
        ">": a > b,
        ">=": a >= b,
    }
    return float(results[op])


def _power(a: float, b: float) -> float:
    try:
        result = a**b
    except OverflowError:
        return math.inf
    except ZeroDivisionError:
        return math.inf
    return math.nan if isinstance(result, complex) else result
