"""Do row groups hold every selected row once, whether or not the selection is remembered?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import I64, Mask
from storage.block.identity import Layout
from storage.block.reader import BlockSource
from storage.block.selection import Selection, key_of
from storage.scan import Columns, Pieces, RowGroup, ScanRequest
from storage.sorting import merge_batches
from tests.storage.batches import batch_of
from tests.storage.blocks import LAYOUTS, block_of, small_groups

LINES = st.one_of(
    st.builds(lambda n: b"took %d ms" % n, st.integers(0, 99)),
    st.builds(lambda n: b'{"n":"%d x"}' % n, st.integers(0, 99)),
    st.binary(max_size=3),
)
ENTRIES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 50), LINES), min_size=1)


def read(source: BlockSource, groups: list[RowGroup], request: ScanRequest) -> list[int]:
    """The rows of row groups, as many times as they come."""
    return sorted(row for one in groups for row in source.read(one, request).rows.tolist())


def selected(source: BlockSource, request: ScanRequest) -> list[int]:
    """Row by row, from the order of a block: by stream, then by time."""
    table, times = source.table, source.times().tolist()
    found = []
    for ordinal in range(len(table)):
        first = int(table.first_row[ordinal])
        for row in range(first, first + int(table.rows[ordinal])):
            is_inside = request.start_ns <= times[row] < request.end_ns
            if request.streams[ordinal] and is_inside:
                found.append(row)
    return found


@given(
    ENTRIES,
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.tuples(st.integers(-1, 52), st.integers(-1, 52)),
    st.sampled_from(LAYOUTS),
    st.sampled_from([None, 2]),
)
def test_every_selected_row_once_however_often_it_is_asked(
    entries: list[tuple[str, int, bytes]],
    wanted: list[bool],
    times: tuple[int, int],
    layout: Layout,
    rows: int | None,
) -> None:
    with small_groups(rows):
        run = merge_batches([batch_of([(*entry, {}) for entry in entries])])
        source = block_of(run, 2, layout=layout)
    streams = np.array(wanted[: len(source.table)], np.bool_)
    whole = ScanRequest(streams=streams, start_ns=-1, end_ns=99, columns=Columns())
    cut = ScanRequest(streams=streams, start_ns=times[0], end_ns=times[1], columns=Columns())
    others = ScanRequest(streams=~streams, start_ns=-1, end_ns=99, columns=Columns())
    for request in (whole, cut, others, whole, cut):
        assert read(source, list(source.row_groups(request)), request) == selected(source, request)


@given(ENTRIES, st.lists(st.booleans(), min_size=4, max_size=4))
def test_needles_prune_no_more_and_no_less_behind_a_remembered_selection(
    entries: list[tuple[str, int, bytes]], wanted: list[bool]
) -> None:
    run = merge_batches([batch_of([(*entry, {}) for entry in entries])])
    fresh, source = block_of(run, 2), block_of(run, 2)
    streams = np.array(wanted[: len(source.table)], np.bool_)
    plain = ScanRequest(streams=streams, start_ns=-1, end_ns=99, columns=Columns())
    source.row_groups(plain)
    for needles in ((b"took",), (b"x", b"n"), (b"7",)):
        asked = [
            ScanRequest(streams=streams, start_ns=-1, end_ns=99, columns=Columns(), needles=needles)
            for _ in range(2)
        ]
        first = list(source.row_groups(asked[0]))
        second = list(fresh.row_groups(asked[1]))
        assert read(source, first, asked[0]) == read(fresh, second, asked[1])
        assert asked[0].stats == asked[1].stats
    assert read(source, list(source.row_groups(plain)), plain) == selected(source, plain)


def test_only_whole_selections_of_few_streams_are_remembered() -> None:
    source = block_of(merge_batches([batch_of([("a", n, b"x", {}) for n in range(9)])]), 2)
    streams = np.ones(1, np.bool_)
    whole = ScanRequest(streams=streams, start_ns=0, end_ns=9, columns=Columns())
    assert key_of("b", source.table, whole) is not None
    for low, high in ((1, 9), (0, 8)):
        cut = ScanRequest(streams=streams, start_ns=low, end_ns=high, columns=Columns())
        assert key_of("b", source.table, cut) is None
    assert source.row_groups(whole) is source.row_groups(whole)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=4), max_size=5))
def test_what_is_kept_of_a_selection_holds_all_that_is_marked(marks: list[list[bool]]) -> None:
    kept: Mask = np.array([mark for some in marks for mark in some], np.bool_)
    places: I64 = np.arange(len(kept), dtype=np.int64)
    bounds = np.append(0, np.cumsum([len(some) for some in marks], dtype=np.int64))
    all_of_it = Selection(
        np.arange(len(marks)), bounds, Pieces(places.astype(np.int32), places, places + 1)
    )
    found = all_of_it.only(kept)
    left = [set(range(*bounds[k : k + 2].tolist())) for k in range(len(marks)) if any(marks[k])]
    assert found.units.tolist() == [k for k, some in enumerate(marks) if any(some)]
    for number, pieces in enumerate(left):
        mine = set(found.pieces.low[slice(*found.bounds[number : number + 2].tolist())].tolist())
        assert {place for place in pieces if kept[place]} <= mine <= pieces
    assert found.rows().tolist() == np.diff(found.bounds).tolist()
