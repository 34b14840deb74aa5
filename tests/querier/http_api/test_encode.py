"""Are the points of a series printed as each would be by itself?"""

import json
import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.units import format_sample
from querier.http_api import encode
from querier.http_api.encode import answer_parts, encode_answer
from querier.result import Answer, MatrixResult, QueryStats, Series

NAN = np.array([0x7FF8000000000001], np.int64).view(np.float64)[0]
VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 2.5, math.nan, float(NAN), math.inf, -math.inf, 1e300, 1e-7]),
    st.floats(),
    st.integers(0, 9).map(float),
)


@given(st.lists(VALUES, max_size=3 * encode.FEW_VALUES), st.integers(-(10**15), 10**15))
def test_points_of_a_series(values: list[float], start_ms: int) -> None:
    times = start_ms + np.arange(len(values)) * 500
    series = Series((("a", "b"),), times, np.array(values, np.float64))
    answer = encode_answer(Answer(MatrixResult((series, series)), QueryStats()))
    wanted = [
        [time / 1000, format_sample(value)]
        for time, value in zip(times.tolist(), values, strict=True)
    ]
    for found in json.loads(answer)["data"]["result"]:
        assert found == {"metric": {"a": "b"}, "values": wanted}


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 20))
def test_runs_of_series_are_printed_as_one_by_one(sizes: list[int], points: int) -> None:
    """By somebody else, if they have many points."""
    series = [
        Series((("n", str(n)),), np.arange(size), np.full(size, n * 0.5))
        for n, size in enumerate(sizes)
    ]
    answer, runs = Answer(MatrixResult(tuple(series)), QueryStats()), list[int]()

    def apply(
        function: Callable[[tuple[Series, ...]], bytes], arguments: Iterable[tuple[Series, ...]]
    ) -> Iterator[bytes]:
        for argument in arguments:
            runs.append(sum(len(one.times_ms) for one in argument))
            yield function(argument)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(encode, "RUN_POINTS", points)
        patched.setattr(encode, "MANY_POINTS", 50)
        found = b"".join(answer_parts(answer, (), apply))
    assert found == encode_answer(answer)
    assert json.loads(found)["data"]["result"] == [
        {"metric": {"n": str(n)}, "values": [[t / 1000, f"{n * 0.5:g}"] for t in range(size)]}
        for n, size in enumerate(sizes)
    ]
    assert bool(runs) == (sum(sizes) >= 50)
    assert all(run < points + max(sizes) for run in runs)


def test_times_have_as_many_decimals_as_they_need() -> None:
    times = np.array([0, 1, 10, 100, 1000, 1700000000123, -500])
    series = Series((), times, np.ones(len(times)))
    answer = encode_answer(Answer(MatrixResult((series,)), QueryStats()))
    wanted = b'[0,"1"],[0.001,"1"],[0.01,"1"],[0.1,"1"],[1,"1"],[1700000000.123,"1"],[-0.5,"1"]'
    assert wanted in answer


def test_a_slice_of_a_matrix_is_printed() -> None:
    """Values that do not lie side by side."""
    values = np.arange(400.0).reshape(100, 4)[:, 1]
    series = Series((), np.arange(100) * 1000, values)
    answer = encode_answer(Answer(MatrixResult((series,)), QueryStats()))
    (found,) = json.loads(answer)["data"]["result"]
    assert [float(value) for _, value in found["values"]] == values.tolist()
