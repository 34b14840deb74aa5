"""Vector aggregations by hand-made matrices (reference/logql.md §11)."""

import math

import pytest

from logql.ast import Grouping, Literal, VectorAggregation
from querier.budget import Account
from querier.metrics.matrix import empty_matrix
from querier.metrics.vector_aggregation import aggregate
from tests.querier.metrics.matrices import matrix, rows_of

DATA = matrix(
    {
        "app=a,pod=1": [1, 2, None],
        "app=a,pod=2": [3, None, None],
        "app=b,pod=1": [10, 20, 30],
    }
)


def node(
    op: str, parameter: int | None = None, grouping: Grouping | None = None
) -> VectorAggregation:
    return VectorAggregation(op=op, expr=Literal(0), parameter=parameter, grouping=grouping)


BY_APP = Grouping(("app",), without=False)


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("sum", {"app=a": [4, 2, None], "app=b": [10, 20, 30]}),
        ("avg", {"app=a": [2, 2, None], "app=b": [10, 20, 30]}),
        ("min", {"app=a": [1, 2, None], "app=b": [10, 20, 30]}),
        ("max", {"app=a": [3, 2, None], "app=b": [10, 20, 30]}),
        ("count", {"app=a": [2, 1, None], "app=b": [1, 1, 1]}),
        ("stdvar", {"app=a": [1, 0, None], "app=b": [0, 0, 0]}),
        ("stddev", {"app=a": [1, 0, None], "app=b": [0, 0, 0]}),
    ],
)
def test_grouped_by_app(op: str, expected: dict[str, list[float | None]]) -> None:
    assert rows_of(aggregate(node(op, grouping=BY_APP), DATA, Account())) == expected


def test_without_removes_the_listed_labels() -> None:
    found = aggregate(node("sum", grouping=Grouping(("pod",), without=True)), DATA, Account())
    assert rows_of(found) == {"app=a": [4, 2, None], "app=b": [10, 20, 30]}


def test_no_grouping_gives_one_series_without_labels() -> None:
    assert rows_of(aggregate(node("sum"), DATA, Account())) == {"": [14, 22, 30]}


def test_by_a_label_that_nobody_has_is_one_series() -> None:
    found = aggregate(node("sum", grouping=Grouping(("zone",), without=False)), DATA, Account())
    assert rows_of(found) == {"": [14, 22, 30]}


def test_nothing_in_nothing_out() -> None:
    assert len(aggregate(node("sum"), empty_matrix(3), Account())) == 0


def test_extremes_prefer_numbers_to_nan() -> None:
    data = matrix({"pod=1": [math.nan, math.nan], "pod=2": [1, math.nan]})
    found = rows_of(aggregate(node("max"), data, Account()))[""]
    assert found[0] == 1
    assert found[1] is not None
    assert math.isnan(found[1])


def test_topk_keeps_labels_and_chooses_per_step() -> None:
    data = matrix({"pod=1": [1, 9], "pod=2": [5, 2], "pod=3": [3, math.nan]})
    found = aggregate(node("topk", 1), data, Account())
    assert rows_of(found) == {"pod=1": [None, 9], "pod=2": [5, None]}


def test_bottomk_takes_nan_last() -> None:
    data = matrix({"pod=1": [math.nan], "pod=2": [5], "pod=3": [7]})
    assert rows_of(aggregate(node("bottomk", 2), data, Account())) == {"pod=2": [5], "pod=3": [7]}


def test_topk_per_group() -> None:
    found = aggregate(node("topk", 1, BY_APP), DATA, Account())
    assert rows_of(found) == {
        "app=a,pod=1": [None, 2, None],
        "app=a,pod=2": [3, None, None],
        "app=b,pod=1": [10, 20, 30],
    }


def test_sort_orders_by_value() -> None:
    data = matrix({"pod=1": [2], "pod=2": [3], "pod=3": [1]})
    assert list(rows_of(aggregate(node("sort"), data, Account()))) == ["pod=3", "pod=1", "pod=2"]
    assert list(rows_of(aggregate(node("sort_desc"), data, Account()))) == [
        "pod=2",
        "pod=1",
        "pod=3",
    ]
