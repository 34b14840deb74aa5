"""Does a count fall into every window that holds its sample, and into no other?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.kernels.windows import add_counts, count_runs, sum_runs
from tests.reference.budget import examples

SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-30, 80), st.integers(-3, 9)), max_size=30
)


@settings(max_examples=examples(400))
@given(
    SAMPLES,
    st.integers(-5, 20),
    st.integers(1, 9),
    st.integers(1, 25),
    st.integers(1, 8),
    st.booleans(),
)
def test_counts(
    samples: list[tuple[int, int, int]], base: int, step: int, span: int, steps: int, ordered: bool
) -> None:
    if ordered:
        samples = sorted(samples, key=lambda sample: sample[1])
    series, ts, weight = (np.array(column) for column in zip(*samples or [(0, 99, 0)], strict=True))
    diff = np.zeros((3, steps + 1), np.int64)
    add_counts(
        series.astype(np.int32), ts.astype(np.int64), weight.astype(np.int64),
        base, step, span, diff,
    )  # fmt: skip
    wanted = [
        [
            sum(
                w
                for s, t, w in samples
                if s == row and base + k * step - span < t <= base + k * step
            )
            for k in range(steps)
        ]
        for row in range(3)
    ]
    assert np.cumsum(diff, axis=1)[:, :steps].tolist() == wanted


@settings(max_examples=examples(400))
@given(
    st.lists(st.lists(st.integers(-30, 80), max_size=30), min_size=1, max_size=4),
    st.integers(-5, 20),
    st.integers(1, 9),
    st.integers(1, 25),
    st.integers(1, 8),
    st.sampled_from([1, 10**9, 86_400 * 10**9]),
)
def test_runs_of_ascending_times(
    runs: list[list[int]], base: int, step: int, span: int, steps: int, unit: int
) -> None:
    """Long ones are bisected, of short ones each row is looked at; in nanoseconds and in days."""
    times = [sorted(run) for run in runs]
    ts = np.array([t for run in times for t in run], np.int64) * unit
    high = np.cumsum([len(run) for run in times])
    low = high - [len(run) for run in times]
    series = np.arange(len(runs), dtype=np.int32) // 2  # a series may have several runs
    before = np.arange(len(ts) + 1, dtype=np.int64) ** 2
    place = (base * unit, step * unit, span * unit)
    counts, sums = (np.zeros((2, steps + 1), np.int64) for _ in range(2))
    inside = count_runs(series, low, high, ts, *place, counts)
    sum_runs(series, low, high, ts, before, *place, sums)
    rows = [
        (number // 2, at, at * at, (at + 1) ** 2)
        for number, (first, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
        for at in range(first, end)
    ]
    windows = [((base + k * step - span) * unit, (base + k * step) * unit) for k in range(steps)]
    assert inside == sum(windows[0][0] < ts[at] <= windows[-1][1] for _, at, _, _ in rows)
    for diff, weigh in ((counts, False), (sums, True)):
        assert np.cumsum(diff, axis=1)[:, :steps].tolist() == [
            [
                sum(
                    after - under if weigh else 1
                    for owner, at, under, after in rows
                    if owner == mine and opens < ts[at] <= ends
                )
                for opens, ends in windows
            ]
            for mine in range(2)
        ]
