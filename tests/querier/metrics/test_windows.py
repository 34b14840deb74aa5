"""Window accumulators equal the slow twin, however the samples are split."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from querier.metrics.windows import ONE, Grid, accumulator_for
from tests.reference.windows import value_of, window

FUNCTIONS = [
    "count_over_time",
    "rate",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "stdvar_over_time",
    "stddev_over_time",
    "first_over_time",
    "last_over_time",
    "quantile_over_time",
    "rate_counter",
]

SAMPLES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 60),
        st.floats(-1e6, 1e6, allow_nan=False, width=32),
    ),
    max_size=40,
)


def cells(op: str, samples: list[tuple[int, int, float]], grid: Grid, cut: int) -> np.ndarray:
    counted = op in ("count_over_time", "rate")
    accumulator = accumulator_for(op, grid, 0.5, unwrapped=not counted)
    accumulator.resize(3)
    for part in (samples[:cut], samples[cut:]):
        series = np.array([s for s, _, _ in part], np.int32)
        ts = np.array([t for _, t, _ in part], np.int64)
        values = np.array([v for _, _, v in part], np.float64)
        accumulator.add(series, ts, ONE if counted else values)
    values, present = accumulator.finish()
    return np.where(present, values, np.inf)


@pytest.mark.parametrize("op", FUNCTIONS)
@settings(max_examples=60, deadline=None)
@given(
    samples=SAMPLES,
    start=st.integers(-10, 70),
    step=st.integers(1, 20),
    span=st.integers(1, 30),
    offset=st.integers(-5, 15),
    cut=st.integers(0, 40),
)
def test_cells_equal_slow_twin(
    op: str,
    samples: list[tuple[int, int, float]],
    start: int,
    step: int,
    span: int,
    offset: int,
    cut: int,
) -> None:
    grid = Grid(start, step, 6, span, offset)
    got = cells(op, samples, grid, cut)
    for series in range(3):
        mine = [(t, v) for s, t, v in samples if s == series]
        for k in range(grid.steps):
            t = start + k * step
            expected = value_of(op, window(mine, t, span, offset), span, t - offset)
            if expected is None:
                assert got[series, k] == math.inf
            else:
                assert got[series, k] == pytest.approx(expected, rel=1e-6, abs=1e-3, nan_ok=True)


def test_window_is_open_on_the_left_and_closed_on_the_right() -> None:
    grid = Grid(100, 10, 2, 10)
    got = cells("count_over_time", [(0, 90, 0.0), (0, 91, 0.0), (0, 100, 0.0)], grid, 1)
    assert got[0].tolist() == [2.0, math.inf]


def test_quantile_outside_of_zero_and_one_is_infinite() -> None:
    grid = Grid(10, 1, 1, 10)
    for q, expected in ((-0.1, -math.inf), (1.1, math.inf)):
        accumulator = accumulator_for("quantile_over_time", grid, q, unwrapped=True)
        accumulator.resize(1)
        accumulator.add(np.zeros(1, np.int32), np.array([5]), np.array([2.0]))
        assert accumulator.finish()[0][0, 0] == expected


def test_extremes_ignore_nan_when_there_is_a_number() -> None:
    grid = Grid(10, 1, 1, 10)
    accumulator = accumulator_for("max_over_time", grid, None, unwrapped=True)
    accumulator.resize(1)
    accumulator.add(np.zeros(2, np.int32), np.array([5, 6]), np.array([1.0, math.nan]))
    assert accumulator.finish()[0][0, 0] == 1.0


def test_data_range_holds_the_first_and_last_window() -> None:
    assert Grid(100, 10, 3, 20, 5).data_range() == (76, 116)
