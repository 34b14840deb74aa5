"""Counting from timestamps equals counting rows, over heads and blocks, with duplicates."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.kernels.windows import count_runs
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.budget import Account, Budget, QueryMemoryError
from querier.metrics.grid import Grid
from querier.metrics.series import ALL_LABELS, NO_LABELS, SeriesKey
from querier.metrics.stream_counts import count_streams, is_countable, is_worth_sizing
from querier.reading.duplicates import DuplicateIndex
from querier.reading.view import View, take_view
from querier.result import LabelPairs
from storage.block.shapes.encode import MIN_ROWS
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import Entry
from tests.reference.windows import window
from tests.storage.blocks import block_of

TENANT = TenantId("t")
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.tuples(
        st.fixed_dictionaries({"app": st.sampled_from("ab")}, optional={"pod": st.just("p")}),
        st.just({}),
        st.integers(0, 40),
        st.sampled_from([b"", b"x", b"five5"]),
    ),
    min_size=1,
    max_size=30,
)
GRIDS = st.builds(
    Grid,
    start_ns=st.integers(-10, 50),
    step_ns=st.integers(1, 12),
    steps=st.integers(1, 6),
    span_ns=st.integers(1, 30),
    offset_ns=st.integers(-5, 15),
)
KEYS = st.sampled_from(
    [
        ALL_LABELS,
        NO_LABELS,
        SeriesKey(frozenset(("pod", "nosuch")), without=False),
        SeriesKey(frozenset(("app",)), without=True),
    ]
)


class _Sources:
    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._sources = sources

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """All of them."""
        return self._sources


def view_of(parts: Sequence[list[Entry]]) -> View:
    """The first part as a block, the others as heads; later ones exclude what is there already."""
    runs = [merge_batches([batch_of(part)]) for part in parts]
    block = block_of(runs[0], MIN_ROWS, "cut")
    heads = [MemorySource(run, f"s{k}", f"s{k}") for k, run in enumerate(runs[1:])]
    blocks = _Sources([block])
    return take_view(_Sources(heads), blocks, DuplicateIndex(), TENANT, (-100, 200), ())


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=3), GRIDS, KEYS)
def test_counts_equal_counting_distinct_entries(
    parts: list[list[Entry]], grid: Grid, key: SeriesKey
) -> None:
    found: dict[LabelPairs, np.ndarray] = {}
    sizes: dict[LabelPairs, np.ndarray] = {}
    rows = 0
    for view in view_of(parts).sources:
        assert is_countable(view, key)
        counts = count_streams(view, key, grid, Account(), sized=True)
        assert np.array_equal(counts.diff, count_streams(view, key, grid, Account()).diff)
        rows += counts.rows
        assert counts.sizes is not None
        for cells, into in ((counts.diff, found), (counts.sizes, sizes)):
            diff = np.zeros((len(counts.labels), grid.steps + 1), np.int64)
            diff[:, counts.first : counts.first + cells.shape[1]] = cells
            sums = np.cumsum(diff, axis=1)[:, :-1]
            for labels, row in zip(counts.labels, sums, strict=True):
                into[labels] = into.get(labels, 0) + row
    distinct = {(tuple(sorted(e[0].items())), e[2], e[3]) for part in parts for e in part}
    times: dict[LabelPairs, list[tuple[int, float]]] = {}
    for pairs, ts, line in distinct:
        shown = tuple(p for p in pairs if (p[0] in key.names) != key.without)
        times.setdefault(shown, []).append((ts, float(len(line))))
    low, high = grid.data_range()
    assert rows == sum(low <= ts < high for _, ts, _ in distinct)
    assert found.keys() == times.keys()
    for labels, samples in times.items():
        steps = [grid.start_ns + k * grid.step_ns for k in range(grid.steps)]
        expected = [window(samples, t, grid.span_ns, grid.offset_ns) for t in steps]
        assert found[labels].tolist() == [len(inside) for inside in expected]
        assert sizes[labels].tolist() == [sum(size for _, size in inside) for inside in expected]


def test_sizes_are_read_where_most_rows_are_asked_for_and_then_known() -> None:
    run = merge_batches([batch_of([({"app": a}, {}, t, b"xy") for a in "ab" for t in range(9)])])
    view = take_view(
        _Sources([]), _Sources([block_of(run, MIN_ROWS, "cut")]), DuplicateIndex(), TENANT,
        (0, 99), (),
    ).sources[0]  # fmt: skip
    low, high = np.array([0, 9]), np.array([2, 11])
    assert not is_worth_sizing(view, (low, high))
    assert is_worth_sizing(view, (low, high + 7))
    assert view.source.line_sums(load=False) is None
    sums = view.source.line_sums(load=True)
    assert sums is not None
    assert sums.tolist() == list(range(0, 38, 2))
    assert view.source.line_sums(load=False) is sums
    assert is_worth_sizing(view, (low, high))


@pytest.mark.parametrize(
    ("names", "without", "metadata", "countable"),
    [
        ({"pod"}, False, {}, True),
        ({"pod"}, False, {"level": "info"}, True),
        ({"level"}, False, {"level": "info"}, False),
        ({"app_extracted"}, False, {"app": "shadowed"}, False),
        ({"pod"}, True, {"level": "info"}, False),
        (set(), True, {"level": "info"}, False),
        (set(), True, {}, True),
    ],
)
def test_metadata_that_may_name_a_series_must_be_read(
    names: set[str], without: bool, metadata: dict[str, str], countable: bool
) -> None:
    run = merge_batches([batch_of([({"app": "a"}, metadata, 1, b"x")])])
    heads = _Sources([MemorySource(run, "s", "s")])
    view = take_view(heads, _Sources([]), DuplicateIndex(), TENANT, (0, 9), ())
    key = SeriesKey(frozenset(names), without)
    assert is_countable(view.sources[0], key) is countable


def test_memory_is_refused_before_it_is_taken() -> None:
    run = merge_batches([batch_of([({"app": a}, {}, 1, b"x") for a in "abc"])])
    heads = _Sources([MemorySource(run, "s", "s")])
    view = take_view(heads, _Sources([]), DuplicateIndex(), TENANT, (0, 9), ())
    key, grid = (
        SeriesKey(frozenset(("app",)), without=False),
        Grid(start_ns=0, step_ns=1, steps=10**12, span_ns=1),
    )
    needed = 3 * 3 * 8  # series, the two steps around the entry and one more, int64
    enough, little = Budget(), Budget()
    enough.begin(Limits(max_query_memory=needed))
    count_streams(view.sources[0], key, grid, enough.account())
    little.begin(Limits(max_query_memory=needed - 1))
    with pytest.raises(QueryMemoryError, match="set by max_query_memory"):
        count_streams(view.sources[0], key, grid, little.account())


def test_rows_between_windows_count_as_scanned_only() -> None:
    diff = np.zeros((1, 3), np.int64)
    ts = np.array([1, 10, 15, 20, 21])
    first, end = np.zeros(1, np.int64), np.full(1, 5, np.int64)
    assert count_runs(np.zeros(1, np.int32), first, end, ts, 10, 10, 2, diff) == 3
    assert np.cumsum(diff[0])[:-1].tolist() == [1, 1]
