"""A merged run is sorted, keeps arrival order and drops exact duplicates."""

from hypothesis import given
from hypothesis import strategies as st

from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of, entries_of

ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 5),
        st.sampled_from([b"", b"x", b"y\x00", b"long line " * 9]),
        st.dictionaries(
            st.sampled_from(["level", "trace"]), st.sampled_from(["1", "2"]), max_size=2
        ),
    ),
    max_size=40,
)


def expected(entries: list[Entry]) -> list[Entry]:
    """Stable sort by (stream, ts); the first of equal entries stays."""
    kept: list[Entry] = []
    for entry in sorted(entries, key=lambda e: (e[0], e[1])):
        if entry not in kept:
            kept.append(entry)
    return kept


@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_equals_a_stable_sort_without_repeats(pushes: list[list[Entry]]) -> None:
    run = merge_batches([batch_of(push) for push in pushes if push])
    assert entries_of(run) == expected([entry for push in pushes for entry in push])


@given(ENTRIES)
def test_stream_table_describes_the_rows(entries: list[Entry]) -> None:
    run = merge_batches([batch_of(entries)])
    table = run.table
    assert int(table.rows.sum()) == len(run)
    for ordinal in range(len(table)):
        rows = slice(int(table.first_row[ordinal]), int((table.first_row + table.rows)[ordinal]))
        assert set(run.stream[rows].tolist()) == {ordinal}
        assert table.first_ts[ordinal] == run.ts[rows].min()
        assert table.last_ts[ordinal] == run.ts[rows].max()


def test_a_stream_in_reverse_order_is_sorted() -> None:
    entries: list[Entry] = [("a", 1000 - i, b"%d" % i, {}) for i in range(1000)]
    run = merge_batches([batch_of(entries)])
    assert entries_of(run) == entries[::-1]
