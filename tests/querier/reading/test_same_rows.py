"""Are exactly those rows found that sources have in common, however small the slices are?"""

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import I64
from narfi.core.limits import Limits
from querier.budget import Account, Budget, QueryCancelledError, QueryMemoryError
from querier.reading import same_lines, same_rows
from querier.reading.duplicates import DuplicateIndex
from querier.reading.same_lines import SourceRows
from querier.reading.same_rows import Pair, common_rows
from storage.batch import LogBatch
from storage.memory_source import MemorySource
from storage.scan import Columns, ReadStats, RowGroup, ScanRequest
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of, entries_of
from tests.storage.blocks import block_of

ENTRY = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 20),
    st.sampled_from([b"x", b"y", b""]),
    st.sampled_from([{}, {"k": "1"}, {"k": "2", "l": "x"}]),
)
SOURCES = st.lists(st.lists(ENTRY, min_size=1, max_size=15), min_size=2, max_size=5)
SHARED = st.lists(ENTRY, max_size=6)


class Counted(MemorySource):
    """Counts the rows that are read at once, and the times a row's timestamp is read."""

    def __init__(self, entries: Sequence[Entry], name: str) -> None:
        super().__init__(merge_batches([batch_of(entries)]), name, name)
        self.times_read = 0
        self.most_lines = 0
        self.most_bytes = 0

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """As it is."""
        assert request.columns == Columns(lines=False, metadata=False)
        found = super().read(row_group, request)
        self.times_read += len(found)
        return found

    def fetch(
        self,
        rows: I64,
        columns: Columns,
        stats: ReadStats | None = None,
        charge: Callable[[int], None] | None = None,
    ) -> LogBatch:
        """As it is."""
        found = super().fetch(rows, columns, stats, charge)
        if columns.lines and found.lines is not None:
            self.most_lines = max(self.most_lines, len(rows))
            self.most_bytes = max(self.most_bytes, found.lines.nbytes())
        return found


class Asked(MemorySource):
    """Counts how often it is read."""

    def __init__(self, entries: Sequence[Entry], name: str) -> None:
        super().__init__(merge_batches([batch_of(entries)]), name, name)
        self.asked = 0

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """As it is."""
        self.asked += 1
        return super().read(row_group, request)


def slow_twin(sources: Sequence[MemorySource], pair: Pair) -> list[int]:
    """Entry by entry."""
    there = [entries_of(source.fetch(source.batch.rows, Columns())) for source in sources]
    earlier = [repr(entry) for entry in there[pair[0]]]
    return [row for row, entry in enumerate(there[pair[1]]) if repr(entry) in earlier]


def pairs_among(count: int) -> list[Pair]:
    """All of them."""
    return [(one, other) for other in range(count) for one in range(other)]


def sources_of(parts: Sequence[Sequence[Entry]]) -> list[Counted]:
    """Sorted runs without duplicates."""
    return [Counted(part, f"s{number}") for number, part in enumerate(parts)]


@given(
    SOURCES,
    SHARED,
    st.data(),
    st.sampled_from([1, 2, 5, 1000]),
    st.sampled_from([1, 3, 1000]),
    st.sampled_from([1, 50, 1 << 20]),
)
def test_it_finds_what_a_look_at_each_entry_finds(
    parts: list[list[Entry]],
    shared: list[Entry],
    data: st.DataObject,
    rows: int,
    lines: int,
    size: int,
) -> None:
    """For any of the pairs, slices of a row and more, and lines of a byte at once and more."""
    sources = sources_of([[*part, *shared[number % 2 :]] for number, part in enumerate(parts)])
    every = pairs_among(len(sources))
    asked = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    with (
        patch.object(same_rows, "MOST_ROWS", rows),
        patch.object(same_lines, "MOST_LINES", lines),
        patch.object(same_lines, "MOST_BYTES", size),
    ):
        found = dict(common_rows(sources, asked, Account()))
    assert {pair: found_rows.tolist() for pair, found_rows in found.items()} == {
        pair: slow_twin(sources, pair) for pair in asked
    }


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), max_size=30),
    st.sampled_from([1, 10**9, 1 << 58, 1 << 60]),
)
def test_rows_are_in_order_of_stream_and_time(places: list[tuple[int, int]], unit: int) -> None:
    """However far their times are apart; equal ones as they came."""
    stream, ts = (np.array([place[k] for place in places], np.int64) for k in (0, 1))
    none = np.zeros(len(places), np.int64)
    rows = SourceRows(stream=stream, ts=ts * unit, source=none, row=none, ordinal=none)
    assert same_lines._by_stream_and_time(rows).tolist() == np.lexsort((ts, stream)).tolist()


@pytest.fixture
def small() -> Iterator[None]:
    """Slices of a hundred rows."""
    with patch.object(same_rows, "MOST_ROWS", 100), patch.object(same_lines, "MOST_LINES", 50):
        yield


def run(first: int, count: int) -> list[Entry]:
    """Entries of one stream, one a nanosecond."""
    return [("a", ts, b"line %d" % ts, {}) for ts in range(first, first + count)]


@pytest.mark.usefixtures("small")
def test_rows_in_memory_are_bounded_by_slices_and_each_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten sources that hold the same ten thousand entries: 45 pairs."""
    sizes: list[int] = []
    joined = same_rows._joined

    def watched(parts: Sequence[SourceRows]) -> SourceRows:
        sizes.append(sum(len(part.ts) for part in parts))
        return joined(parts)

    monkeypatch.setattr(same_rows, "_joined", watched)
    sources = sources_of([run(0, 10_000) for _ in range(10)])
    found = dict(common_rows(sources, pairs_among(10), Account()))
    assert {len(rows) for rows in found.values()} == {10_000}
    assert max(sizes) <= 200
    assert all(source.times_read == 10_000 for source in sources)
    assert all(source.most_lines <= 60 for source in sources)


@pytest.mark.usefixtures("small")
def test_a_burst_that_nobody_foresaw_is_divided_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the table, rows lie evenly; in truth nearly all of them are in one short time."""
    sizes: list[int] = []
    joined = same_rows._joined

    def watched(parts: Sequence[SourceRows]) -> SourceRows:
        sizes.append(sum(len(part.ts) for part in parts))
        return joined(parts)

    monkeypatch.setattr(same_rows, "_joined", watched)
    burst = [*run(0, 2000), ("a", 10**12, b"late", {})]
    sources = sources_of([burst, burst])
    assert len(dict(common_rows(sources, [(0, 1)], Account()))[0, 1]) == 2001
    assert max(sizes) <= 200


def test_what_no_pair_needs_is_not_read() -> None:
    """Blocks that were compared before, and a head that meets the end of each."""
    blocks = sources_of([run(0, 1000), run(0, 1000)])
    head = Counted([*run(990, 20), ("b", 5, b"x", {})], "head")
    found = dict(common_rows([*blocks, head], [(0, 2), (1, 2)], Account()))
    assert [rows.tolist() for rows in found.values()] == [list(range(10))] * 2
    assert [block.times_read for block in blocks] == [10, 10]


def test_neighbours_are_read_where_they_meet() -> None:
    """A chain of sources: each has the last entry of the one before."""
    sources = sources_of([run(k * 100, 101) for k in range(20)])
    found = dict(common_rows(sources, [(k, k + 1) for k in range(19)], Account()))
    assert all(rows.tolist() == [0] for rows in found.values())
    assert max(source.times_read for source in sources) == 2


def test_sources_that_have_nothing_in_common_are_not_read_in_each_others_slices() -> None:
    """Of each of many tenants two that meet: a row group is asked for as often as of one alone."""
    alone, among = (
        [
            Asked([(f"s{k}", ts, b"line", {}) for ts in range(count)], f"{k}-{copy}")
            for k in range(tenants)
            for copy in range(2)
        ]
        for tenants, count in ((1, 1000), (20, 1000))
    )
    with patch.object(same_rows, "MOST_ROWS", 4000):
        for sources in (alone, among):
            pairs = [(k, k + 1) for k in range(0, len(sources), 2)]
            found = dict(common_rows(sources, pairs, Account()))
            assert {len(rows) for rows in found.values()} == {1000}
    assert {source.asked for source in among} == {source.asked for source in alone} == {1}


def test_a_pair_is_known_when_the_time_of_its_sources_is_over() -> None:
    """A budget that ends in the middle of a chain has left what came before it."""
    sources = sources_of([run(k * 100, 101) for k in range(20)])
    index, budget = DuplicateIndex(), Budget()
    pairs = [(k, k + 1) for k in range(19)]
    read = sources[10].read

    def late(row_group: RowGroup, request: ScanRequest) -> LogBatch:
        budget.cancel()
        return read(row_group, request)

    with patch.object(sources[10], "read", late), pytest.raises(QueryCancelledError):
        index.rows(sources, pairs, Account(budget))
    before = [source.times_read for source in sources]
    found = index.rows(sources, pairs, Account())
    assert all(rows.tolist() == [0] for rows in found.values())
    again = [source.times_read - was for source, was in zip(sources, before, strict=True)]
    assert again[:8] == [0] * 8


WIDE = 256 * 1024
"""Bytes of a line that is as long as one may be."""


def wide(count: int, size: int = WIDE) -> list[Entry]:
    """Long lines of one stream, one a nanosecond."""
    return [("a", ts, b"%08d" % ts + b"w" * (size - 8), {}) for ts in range(count)]


def bounded(most: int) -> Budget:
    """Of so many bytes."""
    budget = Budget()
    budget.begin(Limits(max_query_memory=most))
    return budget


def test_wide_lines_are_fetched_a_bounded_number_of_bytes_at_once() -> None:
    """A gigabyte, were all lines that two sources share there at once, and then three times."""
    entries = wide(600)
    sources = sources_of([entries, entries])
    budget = bounded(5 * same_lines.MOST_BYTES)
    found = dict(common_rows(sources, [(0, 1)], Account(budget)))
    assert found[0, 1].tolist() == list(range(600))
    assert all(source.most_bytes <= same_lines.MOST_BYTES for source in sources)
    assert budget.peak > same_lines.MOST_BYTES / 2
    assert budget.used == 0


def test_a_few_wide_lines_among_many_short_ones_are_not_all_at_once() -> None:
    """The average says nothing of them."""
    entries = [*wide(300), *(("a", 10**6 + ts, b"short", {}) for ts in range(20_000))]
    sources = sources_of([entries, entries])
    budget = bounded(5 * same_lines.MOST_BYTES)
    assert len(dict(common_rows(sources, [(0, 1)], Account(budget)))[0, 1]) == 20_300
    assert budget.used == 0


def test_wide_metadata_counts_too() -> None:
    """Lines are empty."""
    entries: list[Entry] = [
        ("a", ts, b"", {"k": f"{ts:08d}" + "m" * 60_000}) for ts in range(2_000)
    ]
    sources = sources_of([entries, entries])
    budget = bounded(5 * same_lines.MOST_BYTES)
    assert len(dict(common_rows(sources, [(0, 1)], Account(budget)))[0, 1]) == 2_000
    assert budget.peak > same_lines.MOST_BYTES / 2


def test_rows_of_one_time_are_refused_when_they_do_not_fit() -> None:
    """They are not divided, so the budget says how many may be."""
    entries: list[Entry] = [("a", 1, b"%08d" % number + b"w" * WIDE, {}) for number in range(200)]
    sources = sources_of([entries, entries])
    budget = bounded(same_lines.MOST_BYTES)
    with pytest.raises(QueryMemoryError, match="max_query_memory"):
        list(common_rows(sources, [(0, 1)], Account(budget)))
    assert budget.used == 0
    assert budget.peak <= same_lines.MOST_BYTES


def test_what_is_charged_is_what_is_taken() -> None:
    """The peak of memory while wide lines of blocks are compared, against the budget's."""
    entries = wide(400, 64 * 1024)
    blocks = [block_of(merge_batches([batch_of(entries)]), 1 << 20, name) for name in "ab"]
    list(common_rows(blocks, [(0, 1)], Account()))  # whatever is imported and compiled
    budget = bounded(1 << 40)
    tracemalloc.start()
    try:
        found = dict(common_rows(blocks, [(0, 1)], Account(budget)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found[0, 1]) == 400
    assert peak < budget.peak + (8 << 20)
    assert budget.peak < 2 * peak
