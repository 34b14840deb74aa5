"""How are binary operations put together? Precedence, folding of literals, and type checks."""

import math

from logql import ast
from logql.errors import LogQLValidationError

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


def binary(
    op: str,
    left: ast.Expr,
    right: ast.Expr,
    return_bool: bool,
    matching: ast.VectorMatching | None,
) -> ast.MetricExpr:
    """The node, folded when both sides are literals; refuses log queries and literals in sets."""
    for side, expr in (("left", left), ("right", right)):
        if isinstance(expr, ast.LogQuery):
            kind = "*syntax.PipelineExpr" if expr.stages else "*syntax.MatchersExpr"
            message = f"unexpected type for {side} leg of binary operation ({op}): {kind}"
            raise LogQLValidationError(message)
    assert not isinstance(left, ast.LogQuery)
    assert not isinstance(right, ast.LogQuery)
    if op in SET_OPERATORS:
        for side, expr in (("left", left), ("right", right)):
            if isinstance(expr, ast.Literal):
                message = (
                    f"unexpected literal for {side} leg of logical/set binary operation ({op}): "
                    f"{expr.value:f}"
                )
                raise LogQLValidationError(message)
    if isinstance(left, ast.Literal) and isinstance(right, ast.Literal):
        return ast.Literal(fold(op, left.value, right.value))
    return ast.BinaryOperation(op, left, right, return_bool, matching)


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
