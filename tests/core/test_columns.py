"""Is a label over another what each row says, and does it hold no more than its texts?"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.columns import LabelColumn, Spans

TEXTS = st.lists(
    st.tuples(st.none() | st.binary(max_size=4), st.none() | st.binary(max_size=4)), max_size=20
)


@given(TEXTS, st.booleans())
def test_over(rows: list[tuple[bytes | None, bytes | None]], shared: bool) -> None:
    both = Spans.of([upper for upper, _ in rows] + [under for _, under in rows])
    places = np.arange(len(rows))
    upper, under = both.take(places), both.take(places + len(rows))
    if not shared:
        under = under.packed()
    found = LabelColumn(spans=upper).over(LabelColumn(spans=under))
    expected = [a if a is not None else b for a, b in rows]
    assert found.spans.to_list() == expected


def test_over_leaves_the_rest_of_the_buffers() -> None:
    lines = Spans.of([b"x" * 1_000_000, b"y" * 1_000_000])
    upper = Spans(lines.data, lines.start, np.array([3, -1], np.int32))
    under = Spans(lines.data.copy(), lines.start, np.array([2, 2], np.int32))
    found = LabelColumn(spans=upper).over(LabelColumn(spans=under)).spans
    assert found.to_list() == [b"xxx", b"yy"]
    assert len(found.data) == 5
