"""Are rows of groups counted in the right buckets, however their times are kept?"""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.clock import NS_PER_MS
from querier.explore.group_times import SMALL, GroupTimes
from querier.explore.patterns import bucket_edges
from tests.reference.budget import examples

ENDS = st.sampled_from([-(2**63), -(2**63) + 1, -1, 0, 1, 2**32, 2**63 - 1])
MILLISECONDS = st.integers(-(2**33), 2**33).map(lambda ms: ms * NS_PER_MS)
TIMES = st.one_of(
    st.lists(MILLISECONDS, max_size=30),
    st.lists(st.integers(0, 2**32 + 1).map(lambda ms: ms * NS_PER_MS), max_size=30),
    st.lists(st.integers(-50, 50), max_size=30),
    st.lists(ENDS | st.integers(-(2**63), 2**63 - 1), max_size=30),
)
GRIDS = st.tuples(
    ENDS | MILLISECONDS | st.integers(-60, 60),
    st.sampled_from([1, 7, NS_PER_MS, 3 * NS_PER_MS - 1, 2**40, 2**62]),
    st.integers(1, 9),
)


@settings(max_examples=examples(200))
@given(TIMES, GRIDS, st.sampled_from([3, SMALL, SMALL + 1]), st.data())
def test_counts(
    times: list[int], grid: tuple[int, int, int], groups: int, data: st.DataObject
) -> None:
    start, step, count = grid
    number = [data.draw(st.integers(0, 2)) + (groups - 3) for _ in times]
    found = GroupTimes.of(np.array(number, np.int32), np.array(times, np.int64), groups)
    edges = bucket_edges(start, step, count)
    masks = np.arange(groups, dtype=np.int64) % 2
    counts = np.zeros((2, count), np.int64)
    found.count(edges, masks, counts)
    wanted = np.zeros((2, count), np.int64)
    for time, one in zip(times, number, strict=True):
        ends = pairwise([*edges.tolist(), None])
        place = next(
            (
                k
                for k, (low, high) in enumerate(ends)
                if low <= time and (high is None or time < high)
            ),
            0,
        )
        wanted[one % 2, place] += 1
    assert counts.tolist() == wanted.tolist()


def test_milliseconds_take_little() -> None:
    ts = np.arange(1000, dtype=np.int64) * NS_PER_MS
    number = np.zeros(1000, np.int32)
    assert GroupTimes.of(number, ts, 5).nbytes() == 6000
    assert GroupTimes.of(number, ts + np.arange(1000) % 2, 5).nbytes() == 10_000
