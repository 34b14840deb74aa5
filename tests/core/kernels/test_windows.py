"""Does a count fall into every window that holds its sample, and into no other?"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.kernels.windows import add_counts
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
