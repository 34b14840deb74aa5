"""Is every entry seen exactly once, wherever it lies and however often it was sent?"""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import I64
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Account, Budget, QueryMemoryError
from querier.reading.duplicates import (
    MET_BYTES,
    REACH_BYTES,
    Chosen,
    DuplicateIndex,
    excluded_rows,
    meeting_pairs,
)
from querier.reading.same_rows import Pair
from querier.reading.view import COUNTED, View, take_view
from storage.memory_source import MemorySource
from storage.scan import Columns, LogSource
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of, entries_of

TENANT = TenantId("t")
EVERYTHING = (Matcher("app", MatchOp.RE, ".+"),)


class Sources:
    """A provider of fixed sources."""

    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._sources = sources

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """All of them."""
        assert tenant == TENANT
        return [s for s in self._sources if s.max_ts >= start_ns and s.min_ts < end_ns]


def source_of(entries: Sequence[Entry], name: str, cut: str | None = None) -> MemorySource:
    """A sorted run without duplicates."""
    return MemorySource(merge_batches([batch_of(entries)]), name, cut or name)


def seen(view: View) -> list[Entry]:
    """All rows of a view."""
    rows: list[Entry] = []
    for source in view.sources:
        batch = source.source.fetch(
            np.setdiff1d(np.arange(_size(source.source)), source.excluded), _ALL
        )
        rows += entries_of(batch)
    return sorted(rows, key=repr)


def _size(source: LogSource) -> int:
    return int(source.table.rows.sum())


_ALL = Columns()
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 5),
        st.sampled_from([b"x", b"y", b""]),
        st.sampled_from([{}, {"k": "1"}, {"k": "2", "l": "x"}]),
    ),
    min_size=1,
    max_size=12,
)


def unique(entries: Sequence[Entry]) -> list[Entry]:
    """Each entry once."""
    return sorted({repr(e): e for e in entries}.values(), key=repr)


@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_entries_of_overlapping_sources_are_seen_once(parts: list[list[Entry]]) -> None:
    blocks = [source_of(part, f"s{k}") for k, part in enumerate(parts[:-1])]
    heads = [source_of(parts[-1], "head")]
    view = take_view(
        Sources(heads), Sources(blocks), DuplicateIndex(), TENANT, (0, 100), EVERYTHING
    )
    assert seen(view) == unique([entry for part in parts for entry in part])


def test_a_part_and_the_block_made_of_it_are_one() -> None:
    entries: list[Entry] = [("a", 1, b"x", {}), ("a", 2, b"y", {})]
    head, block = source_of(entries, "head", "cut"), source_of(entries, "block", "cut")
    view = take_view(
        Sources([head]), Sources([block]), DuplicateIndex(), TENANT, (0, 100), EVERYTHING
    )
    assert [v.source.source_id for v in view.sources] == ["head"]


def test_an_entry_is_never_unseen_while_its_part_becomes_a_block() -> None:
    """Heads are asked before blocks, so a part that is published in between is seen as head."""
    entries: list[Entry] = [("a", 1, b"x", {})]
    head, block = source_of(entries, "head", "cut"), source_of(entries, "block", "cut")
    live: list[LogSource] = [head]
    stored: list[LogSource] = []

    class Flushing(Sources):
        def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
            found = list(live)
            stored.append(block)  # published, then dropped from the heads, right behind our look
            live.clear()
            return found

    view = take_view(Flushing([]), Sources(stored), DuplicateIndex(), TENANT, (0, 100), EVERYTHING)
    assert seen(view) == entries


def test_found_duplicates_are_remembered() -> None:
    entries: list[Entry] = [("a", 1, b"x", {})]
    index = DuplicateIndex(max_bytes=300)
    first, second = source_of(entries, "one"), source_of(entries, "two")
    pair = (0, 1)
    rows = index.rows([first, second], [pair], Account())[pair]
    assert rows.tolist() == [0]
    assert index.rows([first, second], [pair], Account())[pair] is rows
    assert index.rows([second, first], [pair], Account())[pair] is not rows
    assert index.rows([first, second], [pair], Account())[pair] is not rows


TIMES = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=5),
    min_size=1,
    max_size=6,
)


@given(TIMES, st.sampled_from(["a", "b", ".+"]))
def test_the_sweep_finds_the_pairs_that_meet(parts: list[list[tuple[str, int]]], app: str) -> None:
    """The slow twin compares each pair of sources, stream by stream."""
    sources = [
        source_of([(name, ts, b"x", {}) for name, ts in part], f"s{number}")
        for number, part in enumerate(parts)
    ]
    wanted = (Matcher("app", MatchOp.RE, app),)
    chosen = [Chosen(source, source.table.select(wanted)) for source in sources]
    reach = [
        {
            one.source.table.labels[o]: (one.source.table.first_ts[o], one.source.table.last_ts[o])
            for o in np.flatnonzero(one.streams).tolist()
        }
        for one in chosen
    ]
    expected = [
        (a, b)
        for b in range(len(reach))
        for a in range(b)
        if any(
            name in reach[b] and reach[b][name][0] <= last and first <= reach[b][name][1]
            for name, (first, last) in reach[a].items()
        )
    ]
    account = Account()
    assert meeting_pairs(chosen, account) == sorted(expected)
    assert account.used >= len(expected) * MET_BYTES


def test_to_look_for_pairs_is_charged_and_given_back() -> None:
    """Streams that reach to other sources, while they are compared; nothing of it stays."""
    sources = [
        source_of(
            [(f"{name}", ts, b"x", {}) for name in range(50) for ts in (part, part + 1)], f"{part}"
        )
        for part in range(8)
    ]
    chosen = [Chosen(source, source.table.select(EVERYTHING)) for source in sources]
    account = Account()
    meeting_pairs(chosen, account)
    needed = account.used
    assert needed >= 8 * 50 * REACH_BYTES
    small = Budget()
    small.begin(Limits(max_query_memory=needed // 2))
    with pytest.raises(QueryMemoryError, match="max_query_memory"):
        excluded_rows(chosen, DuplicateIndex(), Account(small))
    budget = Budget()
    rows = excluded_rows(chosen, DuplicateIndex(), Account(budget))
    assert budget.used == sum(one.nbytes for one in rows)


def test_a_chain_of_sources_costs_what_overlaps() -> None:
    """Each source reaches into the next one, and holds its first entry too."""
    sources = [source_of([("a", k, b"x", {}), ("a", k + 1, b"x", {})], f"s{k}") for k in range(400)]
    index = CountingIndex()
    view = take_view(Sources([]), Sources(sources), index, TENANT, (0, 1000), EVERYTHING)
    assert index.asked == 399
    assert len(seen(view)) == 401


class CountingIndex(DuplicateIndex):
    """Counts the pairs that it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def rows(
        self, sources: Sequence[LogSource], pairs: Sequence[Pair], account: Account
    ) -> dict[Pair, I64]:
        """As the index."""
        self.asked += len(pairs)
        return super().rows(sources, pairs, account)


def test_equal_fingerprints_are_not_equal_streams() -> None:
    """Streams whose hashes collide, which can be made to happen, keep their entries."""
    sources = [source_of([(app, 1, b"x", {})], app) for app in ("a", "b")]
    for source in sources:
        object.__setattr__(source.table.labels[0], "_fingerprint", 7)
    view = take_view(Sources([]), Sources(sources), DuplicateIndex(), TENANT, (0, 100), EVERYTHING)
    assert seen(view) == [("a", 1, b"x", {}), ("b", 1, b"x", {})]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.integers(1, 3))
def test_streams_are_counted_once(numbers: list[int], copies: int) -> None:
    sources = []
    for copy in range(copies):
        source = source_of([(str(number), 1, b"x", {}) for number in [0, *numbers]], str(copy))
        sources.append(source)
    view = take_view(Sources([]), Sources(sources), DuplicateIndex(), TENANT, (0, 100), EVERYTHING)
    assert view.count_streams() == len({0, *numbers})


def test_many_streams_are_counted_within_a_percent() -> None:
    count = COUNTED // 2 + 1
    parts: list[list[Entry]] = [
        [(str(number + k * count // 2), 1, b"x", {}) for number in range(count)] for k in (0, 1)
    ]
    sources = [source_of(part, str(number)) for number, part in enumerate(parts)]
    view = take_view(Sources([]), Sources(sources), DuplicateIndex(), TENANT, (0, 100), EVERYTHING)
    assert abs(view.count_streams() - (count + count // 2)) < 0.01 * count
