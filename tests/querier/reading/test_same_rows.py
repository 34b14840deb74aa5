"""Are exactly those rows found that sources have in common, however small the slices are?"""

from collections.abc import Iterator, Sequence
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from querier.reading import same_rows
from querier.reading.same_rows import Pair, common_rows
from storage.batch import LogBatch
from storage.memory_source import MemorySource
from storage.scan import Columns, ReadStats, RowGroup, ScanRequest
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of, entries_of

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

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """As it is."""
        assert request.columns == Columns(lines=False, metadata=False)
        found = super().read(row_group, request)
        self.times_read += len(found)
        return found

    def fetch(self, rows: np.ndarray, columns: Columns, stats: ReadStats | None = None) -> LogBatch:
        """As it is."""
        if columns.lines:
            self.most_lines = max(self.most_lines, len(rows))
        return super().fetch(rows, columns, stats)


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


@given(SOURCES, SHARED, st.data(), st.sampled_from([1, 2, 5, 1000]), st.sampled_from([1, 3, 1000]))
def test_it_finds_what_a_look_at_each_entry_finds(
    parts: list[list[Entry]], shared: list[Entry], data: st.DataObject, rows: int, lines: int
) -> None:
    """For any of the pairs, and slices of a row and more."""
    sources = sources_of([[*part, *shared[number % 2 :]] for number, part in enumerate(parts)])
    every = pairs_among(len(sources))
    asked = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    with patch.object(same_rows, "MOST_ROWS", rows), patch.object(same_rows, "MOST_LINES", lines):
        found = common_rows(sources, asked)
    assert {pair: found_rows.tolist() for pair, found_rows in found.items()} == {
        pair: slow_twin(sources, pair) for pair in asked
    }


@pytest.fixture
def small() -> Iterator[None]:
    """Slices of a hundred rows."""
    with patch.object(same_rows, "MOST_ROWS", 100), patch.object(same_rows, "MOST_LINES", 50):
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

    def watched(parts: Sequence[same_rows._Rows]) -> same_rows._Rows:
        sizes.append(sum(len(part.ts) for part in parts))
        return joined(parts)

    monkeypatch.setattr(same_rows, "_joined", watched)
    sources = sources_of([run(0, 10_000) for _ in range(10)])
    found = common_rows(sources, pairs_among(10))
    assert {len(rows) for rows in found.values()} == {10_000}
    assert max(sizes) <= 200
    assert all(source.times_read == 10_000 for source in sources)
    assert all(source.most_lines <= 60 for source in sources)


@pytest.mark.usefixtures("small")
def test_a_burst_that_nobody_foresaw_is_divided_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the table, rows lie evenly; in truth nearly all of them are in one short time."""
    sizes: list[int] = []
    joined = same_rows._joined

    def watched(parts: Sequence[same_rows._Rows]) -> same_rows._Rows:
        sizes.append(sum(len(part.ts) for part in parts))
        return joined(parts)

    monkeypatch.setattr(same_rows, "_joined", watched)
    burst = [*run(0, 2000), ("a", 10**12, b"late", {})]
    sources = sources_of([burst, burst])
    assert len(common_rows(sources, [(0, 1)])[0, 1]) == 2001
    assert max(sizes) <= 200


def test_what_no_pair_needs_is_not_read() -> None:
    """Blocks that were compared before, and a head that meets the end of each."""
    blocks = sources_of([run(0, 1000), run(0, 1000)])
    head = Counted([*run(990, 20), ("b", 5, b"x", {})], "head")
    found = common_rows([*blocks, head], [(0, 2), (1, 2)])
    assert [rows.tolist() for rows in found.values()] == [list(range(10))] * 2
    assert [block.times_read for block in blocks] == [10, 10]


def test_neighbours_are_read_where_they_meet() -> None:
    """A chain of sources: each has the last entry of the one before."""
    sources = sources_of([run(k * 100, 101) for k in range(20)])
    found = common_rows(sources, [(k, k + 1) for k in range(19)])
    assert all(rows.tolist() == [0] for rows in found.values())
    assert max(source.times_read for source in sources) == 2
