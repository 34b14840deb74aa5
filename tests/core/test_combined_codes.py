"""Do rows have the same number exactly when all their codes are equal?"""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core import combined_codes
from narfi.core.combined_codes import combine, count_through

COUNTS = st.lists(st.sampled_from([0, 1, 2, 3, 70_000, 2**31 - 1]), max_size=5)


@given(COUNTS, st.integers(0, 9), st.data())
def test_combinations_are_numbered(counts: list[int], rows: int, data: st.DataObject) -> None:
    """Also where codes make more combinations than a table, or 64 bits, have places."""
    columns = [
        data.draw(
            st.lists(
                st.sampled_from([-1, *{0, count // 2, count - 1}] if count else [-1]),
                min_size=rows,
                max_size=rows,
            )
        )
        for count in counts
    ]
    coded = [
        (np.array(codes, np.int32), count) for codes, count in zip(columns, counts, strict=True)
    ]
    found = combine(coded, rows)
    wanted: list[tuple[int, ...]] = list(zip(*columns, strict=True)) or [()] * rows
    assert _same_places(found.numbers.tolist()) == _same_places(wanted)
    assert [wanted[row] for row in found.first.tolist()] == list(
        dict.fromkeys(wanted[row] for row in np.argsort(found.numbers, kind="stable").tolist())
    )
    assert found.first.tolist() == [
        found.numbers.tolist().index(number) for number in range(len(found.first))
    ]


@given(st.lists(st.integers(0, 40)), st.booleans())
def test_numbers_that_occur_are_counted_through(numbers: list[int], sorting: bool) -> None:
    size = 41 if not sorting else combined_codes.LOOKUP_LIMIT * 4 + 4 * len(numbers)
    found = count_through(np.array(numbers, np.int64), size)
    occurring = sorted(set(numbers))
    assert found.numbers.tolist() == [occurring.index(number) for number in numbers]
    assert found.first.tolist() == [numbers.index(number) for number in occurring]


def _same_places(values: Sequence[object]) -> list[int]:
    """For each value the first place that has it."""
    return [values.index(value) for value in values]
