"""Do partials, merged in any grouping and any order, give the cells of one whole run?

Samples are scattered over leaves; each leaf hands over samples or cells of the steps that it can
reach, and numbers series in an order of its own; then partials are merged two by two.
"""

import math
import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from querier.budget import Account
from querier.metrics import windows
from querier.metrics.grid import ONE, Grid
from querier.metrics.partials import Folded, Held, Samples, arrival_of
from querier.metrics.samples import NEED_EVERY_SAMPLE
from querier.metrics.windows import Accumulator, accumulator_for, is_bucketed
from tests.reference.budget import examples
from tests.reference.windows import value_of, window

COUNTED = ("count_over_time", "rate")
ROUNDED = ("stdvar_over_time", "stddev_over_time")
"""Not equal to the bit even for whole numbers: they add what was divided."""
FUNCTIONS = [
    *COUNTED,
    "bytes_over_time",
    "sum_over_time",
    "avg_over_time",
    *ROUNDED,
    "min_over_time",
    "max_over_time",
    "first_over_time",
    "last_over_time",
    "quantile_over_time",
    "rate_counter",
]
NAMES = "abc"


@dataclass(frozen=True)
class Sample:
    """A sample and the leaf that finds it."""

    series: int
    ts: int
    value: float
    leaf: int


@dataclass(frozen=True)
class Partial:
    """Series by name, as label sets name them."""

    names: tuple[str, ...]
    held: Held


def samples(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[Sample]]:
    return st.lists(
        st.builds(Sample, st.integers(0, 2), st.integers(0, 60), values, st.integers(0, 3)),
        max_size=40,
    )


WHOLE = st.integers(-5, 5).map(float)
FLOATS = st.floats(-1e6, 1e6, allow_nan=False, width=32)
GRIDS = st.builds(
    Grid,
    start_ns=st.integers(-10, 70),
    step_ns=st.integers(1, 20),
    steps=st.integers(1, 6),
    span_ns=st.integers(1, 60),
    offset_ns=st.integers(-5, 15),
)


def new(op: str, grid: Grid, whole: Grid) -> Accumulator:
    return accumulator_for(
        op, grid, 0.5, Account(), unwrapped=op not in COUNTED, bucketed=is_bucketed(whole)
    )


def found_by(leaf: list[tuple[int, Sample]], op: str, grid: Grid, *, fold: bool) -> Partial:
    """What a leaf hands over; samples come with their place in the order of arrival."""
    names = tuple(dict.fromkeys(NAMES[s.series] for _, s in leaf))
    values = [int(s.value) if op == "bytes_over_time" else s.value for _, s in leaf]
    as_they_are = Samples(
        series=np.array([names.index(NAMES[s.series]) for _, s in leaf], np.int32),
        ts=np.array([s.ts for _, s in leaf], np.int64),
        values=None if op in COUNTED else np.array(values),
        arrival=arrival_of(0, np.array([place for place, _ in leaf], np.int64)),
    )
    if not fold or op in NEED_EVERY_SAMPLE or not leaf:
        return Partial(names, as_they_are)
    part, first = grid.around(min(s.ts for _, s in leaf), max(s.ts for _, s in leaf))
    cells = new(op, part, grid)
    cells.resize(len(names))
    cells.add(as_they_are.series, as_they_are.ts, as_they_are.weights())
    folded = cells.partial()
    assert isinstance(folded, Folded)
    return Partial(names, replace(folded, first=first))


def merged(parts: list[Partial], op: str, grid: Grid) -> tuple[tuple[str, ...], Accumulator]:
    cells = new(op, grid, grid)
    names: dict[str, int] = {}
    for part in parts:
        numbers = np.array([names.setdefault(n, len(names)) for n in part.names], np.int32)
        cells.resize(len(names))
        sent: Held = pickle.loads(pickle.dumps(part.held))
        cells.merge(sent, numbers)
    return tuple(names), cells


def cells_of(names: tuple[str, ...], cells: Accumulator) -> dict[tuple[str, int], float]:
    values, present = cells.finish()
    return {(names[s], k): float(values[s, k]) for s, k in zip(*np.nonzero(present), strict=True)}


def one_run(given: list[Sample], op: str, grid: Grid) -> dict[tuple[str, int], float]:
    cells = new(op, grid, grid)
    cells.resize(len(NAMES))
    values = np.array([s.value for s in given], np.float64)
    series = np.array([s.series for s in given], np.int32)
    ts = np.array([s.ts for s in given], np.int64)
    cells.add(series, ts, ONE if op in COUNTED else values)
    return cells_of(tuple(NAMES), cells)


def by_hand(given: list[Sample], op: str, grid: Grid) -> dict[tuple[str, int], float]:
    """The twin of tests/reference, step by step."""
    found = {}
    slow = {"bytes_over_time": "sum_over_time"}.get(op, op)
    for series, name in enumerate(NAMES):
        mine = [(s.ts, s.value) for s in given if s.series == series]
        for k in range(grid.steps):
            t = grid.start_ns + k * grid.step_ns
            inside = window(mine, t, grid.span_ns, grid.offset_ns)
            value = value_of(slow, inside, grid.span_ns, t - grid.offset_ns)
            if value is not None:
                found[name, k] = value
    return found


def scattered(data: st.DataObject, given: list[Sample], op: str, grid: Grid) -> list[Partial]:
    """A partial for each leaf, in any order; then some of them merged to one, again and again."""
    leaves = [[(k, s) for k, s in enumerate(given) if s.leaf == leaf] for leaf in range(4)]
    parts = [
        found_by(data.draw(st.permutations(leaf)), op, grid, fold=data.draw(st.booleans()))
        for leaf in leaves
    ]
    parts = data.draw(st.permutations(parts))
    while len(parts) > 1 and data.draw(st.booleans()):
        names, both = merged(parts[:2], op, grid)
        parts = [*parts[2:], Partial(names, both.partial())]
    return parts


@pytest.fixture(params=["few windows", "buckets"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Window by window, and by buckets between their edges."""
    if request.param == "buckets":
        monkeypatch.setattr(windows, "FEW_WINDOWS", 0)


@pytest.mark.parametrize("op", FUNCTIONS)
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the same for all examples
)
@given(given=samples(WHOLE), grid=GRIDS, data=st.data())
def test_whole_numbers_are_equal_to_the_bit(
    op: str, given: list[Sample], grid: Grid, data: st.DataObject
) -> None:
    names, cells = merged(scattered(data, given, op, grid), op, grid)
    found, whole = cells_of(names, cells), one_run(given, op, grid)
    assert found.keys() == whole.keys() == by_hand(given, op, grid).keys()
    for place, value in whole.items():
        if op in ROUNDED:
            assert math.isclose(found[place], value, rel_tol=1e-9, abs_tol=1e-9)
        else:
            assert np.array_equal(found[place], value, equal_nan=True), (place, found, whole)


@pytest.mark.parametrize("op", [op for op in FUNCTIONS if op != "bytes_over_time"])
@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the same for all examples
)
@given(given=samples(FLOATS), grid=GRIDS, data=st.data())
def test_floats_are_those_of_the_twin(
    op: str, given: list[Sample], grid: Grid, data: st.DataObject
) -> None:
    names, cells = merged(scattered(data, given, op, grid), op, grid)
    found, slow = cells_of(names, cells), by_hand(given, op, grid)
    assert found.keys() == slow.keys()
    largest = max((abs(s.value) for s in given), default=0.0)
    for place, value in slow.items():
        near = math.isclose(found[place], value, rel_tol=1e-6, abs_tol=1e-9 * largest**2 + 1e-9)
        assert near or (math.isnan(found[place]) and math.isnan(value)), (place, found, slow)


def test_an_order_of_arrival_that_matters_is_kept() -> None:
    """The last of equal times is the one that came last, wherever it was found and merged."""
    grid = Grid(start_ns=10, step_ns=1, steps=1, span_ns=5)
    late = found_by([(1, Sample(0, 8, 2.0, 0))], "last_over_time", grid, fold=False)
    early = found_by([(0, Sample(0, 8, 1.0, 1))], "last_over_time", grid, fold=False)
    for parts in ([early, late], [late, early]):
        names, cells = merged(parts, "last_over_time", grid)
        assert cells_of(names, cells) == {("a", 0): 2.0}
