"""Binary operations by hand-made matrices (reference/logql.md §12)."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logql.ast import BinaryOperation, Literal, VectorMatching
from logql.operators import fold
from narfi.core.errors import InternalError
from querier.budget import Account
from querier.metrics.binary import compute, set_operation, vector_operation, with_scalar
from tests.querier.metrics.matrices import matrix, rows_of

ZERO = Literal(0)
EDGES = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, 5001.0, math.inf, -math.inf, math.nan]
)


def node(
    op: str, matching: VectorMatching | None = None, *, return_bool: bool = False
) -> BinaryOperation:
    return BinaryOperation(op=op, left=ZERO, right=ZERO, return_bool=return_bool, matching=matching)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("+", 9),
        ("-", 5),
        ("*", 14),
        ("/", 3.5),
        ("%", 1),
        ("^", 49),
        (">", 1),
        ("<=", 0),
    ],
)
def test_arithmetic(op: str, expected: float) -> None:
    assert float(compute(op, 7.0, 2.0)) == expected


@pytest.mark.parametrize("op", ["/", "%"])
def test_division_by_zero_is_nan(op: str) -> None:
    assert math.isnan(float(compute(op, 1.0, 0.0)))


def test_modulo_has_the_sign_of_the_dividend() -> None:
    assert float(compute("%", -7.0, 3.0)) == -1


def test_comparison_with_scalar_filters_and_keeps_the_value() -> None:
    data = matrix({"a=1": [1, 5], "a=2": [0, 0]})
    assert rows_of(with_scalar(">", data, 3, scalar_left=False, return_bool=False)) == {
        "a=1": [None, 5]
    }
    assert rows_of(with_scalar("<", data, 3, scalar_left=True, return_bool=False)) == {
        "a=1": [None, 5]
    }
    assert rows_of(with_scalar(">", data, 3, scalar_left=False, return_bool=True)) == {
        "a=1": [0, 1],
        "a=2": [0, 0],
    }


LEFT = matrix({"app=a,pod=1": [6, 6], "app=b,pod=1": [8, None]})
RIGHT = matrix({"app=a,pod=1": [2, 3], "app=c,pod=1": [1, 1]})


def test_one_to_one_by_all_labels() -> None:
    assert rows_of(vector_operation(node("/"), LEFT, RIGHT, Account())) == {"app=a,pod=1": [3, 2]}


def test_on_keeps_only_the_on_labels() -> None:
    matching = VectorMatching(on=True, labels=("app",))
    assert rows_of(vector_operation(node("/", matching), LEFT, RIGHT, Account())) == {
        "app=a": [3, 2]
    }


def test_ignoring_drops_the_ignored_labels() -> None:
    right = matrix({"app=a,pod=9": [2, 3]})
    matching = VectorMatching(on=False, labels=("pod",))
    assert rows_of(vector_operation(node("/", matching), LEFT, right, Account())) == {
        "app=a": [3, 2]
    }


def test_comparison_between_vectors_keeps_the_left_value() -> None:
    assert rows_of(vector_operation(node(">"), LEFT, RIGHT, Account())) == {"app=a,pod=1": [6, 6]}
    assert rows_of(vector_operation(node("<"), LEFT, RIGHT, Account())) == {}
    assert rows_of(vector_operation(node("<", return_bool=True), LEFT, RIGHT, Account())) == {
        "app=a,pod=1": [0, 0]
    }


MANY = matrix({"app=a,pod=1": [1], "app=a,pod=2": [3]})
ONE = matrix({"app=a,zone=z": [4]})


def test_group_left_copies_included_labels() -> None:
    matching = VectorMatching(True, ("app",), "left", ("zone",))
    assert rows_of(vector_operation(node("/", matching), MANY, ONE, Account())) == {
        "app=a,pod=1,zone=z": [0.25],
        "app=a,pod=2,zone=z": [0.75],
    }


def test_group_right_is_the_mirror() -> None:
    matching = VectorMatching(True, ("app",), "right", ())
    assert rows_of(vector_operation(node("-", matching), ONE, MANY, Account())) == {
        "app=a,pod=1": [3],
        "app=a,pod=2": [1],
    }


@pytest.mark.parametrize(
    ("matching", "left", "right", "text"),
    [
        (
            VectorMatching(True, ("app",)),
            MANY,
            ONE,
            "multiple matches for labels: many-to-one",
        ),
        (
            VectorMatching(True, ("app",)),
            ONE,
            MANY,
            "found duplicate series on the right hand-side",
        ),
        (
            VectorMatching(True, ("app",), "right"),
            MANY,
            MANY,
            "found duplicate series on the left hand-side",
        ),
    ],
)
def test_ambiguous_matches_are_refused(
    matching: VectorMatching, left: object, right: object, text: str
) -> None:
    with pytest.raises(InternalError, match=text):
        vector_operation(node("+", matching), left, right, Account())  # type: ignore[arg-type]


def test_set_operations_work_step_by_step() -> None:
    left = matrix({"a=1": [1, 1, None], "a=2": [2, 2, 2]})
    right = matrix({"a=1": [9, None, 9], "a=3": [7, 7, 7]})
    assert rows_of(set_operation(node("and"), left, right, Account())) == {"a=1": [1, None, None]}
    assert rows_of(set_operation(node("unless"), left, right, Account())) == {
        "a=1": [None, 1, None],
        "a=2": [2, 2, 2],
    }
    assert rows_of(set_operation(node("or"), left, right, Account())) == {
        "a=1": [1, 1, 9],
        "a=2": [2, 2, 2],
        "a=3": [7, 7, 7],
    }


def test_or_on_nothing_is_the_default_trick() -> None:
    left = matrix({"a=1": [None, 5]})
    right = matrix({"": [0, 0]})
    matching = VectorMatching(on=True, labels=())
    assert rows_of(set_operation(node("or", matching), left, right, Account())) == {
        "a=1": [None, 5],
        "": [0, None],
    }


@given(
    st.sampled_from(["+", "-", "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">="]),
    st.lists(st.tuples(EDGES | st.floats(), EDGES | st.floats()), min_size=1, max_size=8),
)
def test_cells_are_computed_as_literals_are(op: str, pairs: list[tuple[float, float]]) -> None:
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    expected = [fold(op, a, b) for a, b in pairs]
    np.testing.assert_allclose(compute(op, left, right), expected, rtol=1e-12, atol=1e-300)
