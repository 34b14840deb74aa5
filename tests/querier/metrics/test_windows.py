"""Window accumulators equal the slow twin, however the samples are split."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narfi.core.limits import Limits
from querier.budget import Account, Budget, QueryMemoryError, QueryTimeoutError
from querier.metrics import kept_samples, windows
from querier.metrics.grid import ONE, Grid
from querier.metrics.windows import accumulator_for
from tests.reference.budget import examples
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

ALLOWANCE = 32 << 20
"""Bytes of temporaries of a run (`CELLS_AT_ONCE`)."""

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
    accumulator = accumulator_for(op, grid, 0.5, Account(), unwrapped=not counted)
    accumulator.resize(3)
    for part in (samples[:cut], samples[cut:]):
        series = np.array([s for s, _, _ in part], np.int32)
        ts = np.array([t for _, t, _ in part], np.int64)
        values = np.array([v for _, _, v in part], np.float64)
        accumulator.add(series, ts, ONE if counted else values)
    values, present = accumulator.finish()
    return np.where(present, values, np.inf)


@pytest.fixture(params=["few windows", "sliding"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to compute: window by window, and sliding; and runs of a few samples."""
    if request.param == "sliding":
        monkeypatch.setattr(windows, "FEW_WINDOWS", 0)
        monkeypatch.setattr(kept_samples, "FEW_WINDOWS", 0)
        monkeypatch.setattr(kept_samples, "SAMPLES_AT_ONCE", 3)
        monkeypatch.setattr(kept_samples, "MOVES_AT_ONCE", 3)


@pytest.mark.parametrize("op", FUNCTIONS)
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the same for all examples
)
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
    grid = Grid(start_ns=start, step_ns=step, steps=6, span_ns=span, offset_ns=offset)
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
    grid = Grid(start_ns=100, step_ns=10, steps=2, span_ns=10)
    got = cells("count_over_time", [(0, 90, 0.0), (0, 91, 0.0), (0, 100, 0.0)], grid, 1)
    assert got[0].tolist() == [2.0, math.inf]


def test_quantile_outside_of_zero_and_one_is_infinite() -> None:
    grid = Grid(start_ns=10, step_ns=1, steps=1, span_ns=10)
    for q, expected in ((-0.1, -math.inf), (1.1, math.inf)):
        accumulator = accumulator_for("quantile_over_time", grid, q, Account(), unwrapped=True)
        accumulator.resize(1)
        accumulator.add(np.zeros(1, np.int32), np.array([5]), np.array([2.0]))
        assert accumulator.finish()[0][0, 0] == expected


def test_extremes_ignore_nan_when_there_is_a_number() -> None:
    grid = Grid(start_ns=10, step_ns=1, steps=1, span_ns=10)
    accumulator = accumulator_for("max_over_time", grid, None, Account(), unwrapped=True)
    accumulator.resize(1)
    accumulator.add(np.zeros(2, np.int32), np.array([5, 6]), np.array([1.0, math.nan]))
    assert accumulator.finish()[0][0, 0] == 1.0


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    samples=st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from([1.0, 2.0, 2.0, -1.0, math.nan, math.inf])),
        max_size=30,
    ),
    q=st.sampled_from([0.0, 0.25, 0.5, 0.99, 1.0]),
    step=st.integers(1, 3),
    span=st.integers(1, 40),
)
def test_quantiles_of_equal_values_and_of_what_is_no_number(
    samples: list[tuple[int, float]], q: float, step: int, span: int
) -> None:
    grid = Grid(start_ns=0, step_ns=step, steps=20, span_ns=span)
    accumulator = accumulator_for("quantile_over_time", grid, q, Account(), unwrapped=True)
    accumulator.resize(1)
    ts, values = zip(*samples, strict=True) if samples else ((), ())
    series = np.zeros(len(ts), np.int32)
    accumulator.add(series, np.array(ts, np.int64), np.array(values, np.float64))
    got, present = accumulator.finish()
    for k in range(grid.steps):
        inside = [v for t, v in samples if k * step - span < t <= k * step]
        assert present[0, k] == bool(inside)
        if inside:
            ordered = sorted(inside, key=lambda v: (not math.isnan(v), v))
            rank = q * (len(ordered) - 1)
            low, weight = math.floor(rank), rank - math.floor(rank)
            high = min(low + 1, len(ordered) - 1)
            with np.errstate(invalid="ignore"):
                expected = ordered[low] * (1 - weight) + ordered[high] * weight
            assert got[0, k] == pytest.approx(expected, nan_ok=True)


def many_samples(op: str, account: Account, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """100,000 samples a second apart in windows of a day at each second."""
    size = 100_000
    grid = Grid(start_ns=0, step_ns=1, steps=steps, span_ns=86_400)
    accumulator = accumulator_for(op, grid, 0.5, account, unwrapped=True)
    accumulator.resize(1)
    ts = np.arange(size, dtype=np.int64) - size + steps
    accumulator.add(np.zeros(size, np.int32), ts, np.sin(np.arange(size)))
    return accumulator.finish()


@pytest.mark.parametrize("op", [op for op in FUNCTIONS if op not in ("count_over_time", "rate")])
def test_windows_that_overlap_cost_samples_and_not_their_square(op: str) -> None:
    """Window by window it is 10,000 times 86,400 samples: more than ten seconds of CPU."""
    began = time.process_time()
    values, present = many_samples(op, Account(), 10_000)
    assert present.all()
    assert np.isfinite(values).all()
    assert time.process_time() - began < 2


@pytest.mark.parametrize("op", FUNCTIONS)
def test_long_work_looks_at_the_deadline(op: str) -> None:
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=1))
    accumulator = accumulator_for(
        op,
        Grid(start_ns=0, step_ns=1, steps=10, span_ns=5),
        0.5,
        budget.account(),
        unwrapped=op != "count_over_time",
    )
    accumulator.resize(2)
    accumulator.add(np.zeros(3, np.int32), np.arange(3), np.zeros(3))
    with pytest.raises(QueryTimeoutError):
        accumulator.finish()


@pytest.mark.parametrize("op", FUNCTIONS)
def test_everything_is_charged_before_it_is_taken(op: str) -> None:
    """What is charged at most is no less than what numpy holds at most."""
    budget = Budget()
    budget.begin(Limits())
    tracemalloc.start()
    try:
        accumulator = accumulator_for(
            op,
            Grid(start_ns=0, step_ns=1, steps=500, span_ns=700),
            0.5,
            budget.account(),
            unwrapped=op != "count_over_time",
        )
        for part in range(20):
            accumulator.resize(100 * (part + 1))
            series = np.arange(100 * part, 100 * part + 100, dtype=np.int32).repeat(50)
            accumulator.add(series, np.arange(5000) % 500, np.ones(5000))
        accumulator.finish()
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < budget.peak + ALLOWANCE


def test_too_many_series_are_refused_while_they_grow() -> None:
    budget = Budget()
    budget.begin(Limits(max_query_memory=1 << 20))
    accumulator = accumulator_for(
        "sum_over_time",
        Grid(start_ns=0, step_ns=1, steps=1000, span_ns=5),
        None,
        budget.account(),
        unwrapped=True,
    )
    accumulator.resize(20)
    with pytest.raises(QueryMemoryError, match=r"limit: 1.0 MiB, set by max_query_memory"):
        accumulator.resize(70)


def test_data_range_holds_the_first_and_last_window() -> None:
    assert Grid(start_ns=100, step_ns=10, steps=3, span_ns=20, offset_ns=5).data_range() == (
        76,
        116,
    )
