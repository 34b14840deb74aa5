"""Are entries in columns those that were put in, in whatever parts and order?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import Spans
from querier.logs.entries import NO_EXTRAS, Entries, EntryColumns, Extras, Places
from querier.result import LogEntry

EXTRAS: list[Extras] = [NO_EXTRAS, ((("m", "1"),), ()), ((), (("p", "2"), ("q", "")))]
ROWS = st.lists(
    st.tuples(st.integers(-(2**62), 2**62), st.sampled_from([0, 1, 2]), st.binary(max_size=9)),
    max_size=5,
)


@given(st.lists(ROWS, max_size=4), st.randoms(use_true_random=False))
def test_entries_are_cut_out_of_their_columns(
    parts: list[list[tuple[int, int, bytes]]], random: object
) -> None:
    columns = [
        EntryColumns(
            number=np.arange(len(rows)),
            ts=np.array([ts for ts, _, _ in rows], np.int64),
            labels=np.zeros(len(rows), np.int32),
            extras=np.array([extra for _, extra, _ in rows], np.int32),
            lines=Spans.of([line for _, _, line in rows]),
        )
        for rows in parts
    ]
    wanted = [LogEntry(ts, line, *EXTRAS[extra]) for rows in parts for ts, extra, line in rows]
    order = np.arange(len(wanted))
    random.shuffle(order)  # type: ignore[attr-defined]
    found = Entries(Places(columns, EXTRAS), order)
    shuffled = [wanted[place] for place in order.tolist()]
    assert len(found) == len(wanted)
    assert list(found) == shuffled
    assert found == tuple(shuffled)
    assert [found[at] for at in range(-len(wanted), len(wanted))] == shuffled * 2
    assert found[1:3] == tuple(shuffled[1:3])
