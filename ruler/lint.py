"""What is allowed, and surely not meant? Told when rule files are checked, and never refused.

The most frequent one: a count over no lines is not 0, it is not there, so `== 0` is never true.
"""

from logql import ast
from logql.parser import parse
from narfi.core.errors import AppError
from ruler.group import Rule

_COUNTS = ("count_over_time", "rate", "bytes_over_time", "bytes_rate")
_ABSENCE = "use absent_over_time, or `… or vector(0)` in front of the comparison"


def lint(rule: Rule) -> list[str]:
    """Remarks on a rule that can be used."""
    try:
        expr = parse(rule.expr)
    except AppError as error:
        return [f"every evaluation will fail: {error.message}"]
    if isinstance(expr, ast.LogQuery):
        return ["every evaluation will fail: these are log lines; count them first"]
    if isinstance(expr, ast.Literal) and rule.alert:
        return ["fires always: it is a number, and a number is no condition"]
    return _comparisons(expr)


def _comparisons(expr: ast.MetricExpr) -> list[str]:
    if not isinstance(expr, ast.BinaryOperation):
        return []
    if expr.op in ("and", "or", "unless"):
        return _comparisons(expr.left) + _comparisons(expr.right)
    if expr.return_bool or not isinstance(expr.right, ast.Literal) or not _counts(expr.left):
        return []
    number = expr.right.value
    if (expr.op == "==" and number == 0) or (expr.op == "<" and number == 1):
        return [f"never fires: where there are no lines there is no count either; {_ABSENCE}"]
    if expr.op in ("<", "<="):
        return [f"does not fire where there are no lines at all; {_ABSENCE}"]
    return []


def _counts(expr: ast.MetricExpr) -> bool:
    """Whether the values are counts of lines, which are never 0."""
    if isinstance(expr, ast.VectorAggregation) and expr.op in ("sum", "min", "max", "avg"):
        return _counts(expr.expr)
    return isinstance(expr, ast.RangeAggregation) and expr.op in _COUNTS
