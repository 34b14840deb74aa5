"""Are places in runs found as a look at each row finds them?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.kernels.sorting import first_behind

RUNS = st.lists(st.lists(st.integers(-5, 5), max_size=6).map(sorted), max_size=5)


@given(RUNS, st.integers(-7, 7))
def test_the_first_row_behind_the_edge(runs: list[list[int]], edge: int) -> None:
    ts = np.array([t for run in runs for t in run], np.int64)
    ends = np.cumsum([len(run) for run in runs], dtype=np.int64)
    low = np.concatenate([[0], ends])[:-1].astype(np.int64) if runs else ends
    out = np.empty(len(runs), np.int64)
    first_behind(ts, low, ends, edge, out)
    expected = [
        int(first) + sum(t < edge for t in run) for first, run in zip(low, runs, strict=True)
    ]
    assert out.tolist() == expected
