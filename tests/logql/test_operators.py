"""Are operations between literals what IEEE 754 says, whatever stands on their sides?"""

import math

import pytest

from logql import ast
from logql.operators import fold
from logql.parser import parse

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("op", "a", "b", "expected"),
    [
        ("+", 1, 2, 3),
        ("-", INF, INF, NAN),
        ("*", INF, 0, NAN),
        ("/", 1, 0, NAN),
        ("/", -1, INF, -0.0),
        ("%", -7, 3, -1),
        ("%", 7, 0, NAN),
        ("%", INF, 3, NAN),
        ("%", 5, INF, 5),
        ("^", 2, 0.5, math.sqrt(2)),
        ("^", -8, 0.5, NAN),
        ("^", 2, 5000, INF),
        ("^", 2, 5000.5, INF),
        ("^", -2, 5001, -INF),
        ("^", -2, 5000, INF),
        ("^", 0.0, -1, INF),
        ("^", -0.0, -1, -INF),
        ("^", -0.0, -0.5, INF),
        ("^", NAN, 0, 1),
        ("==", 1, 1, 1),
        ("!=", NAN, NAN, 1),
        ("<", 2, 1, 0),
        (">=", 2, 1, 1),
    ],
)
def test_fold(op: str, a: float, b: float, expected: float) -> None:
    found = fold(op, float(a), float(b))
    assert str(found) == str(float(expected))


def test_a_query_of_numbers_that_overflow() -> None:
    """It was an unexpected error once."""
    assert isinstance(found := parse("2 ^ 5000 % 3"), ast.Literal)
    assert math.isnan(found.value)
    assert parse("(0 - 2) ^ 5001") == ast.Literal(-INF)
