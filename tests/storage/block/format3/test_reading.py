"""Where has a column values? The bits of runs are those of an Arrow array with values there."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.block.format3.reading import bits_of_runs, valid_bits

RUNS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8)
"""How many places are left out, and how many follow that have values."""


@given(RUNS, st.integers(0, 9), st.integers(0, 3), st.booleans())
@example([(3, 8)], 5, 0, False)
@example([(0, 8)], 8, 0, True)
def test_bits_of_runs_are_those_of_an_array(
    runs: list[tuple[int, int]], behind: int, cut: int, words: bool
) -> None:
    present, first = list[bool](), list[int]()
    for gap, count in runs:
        present += [False] * gap
        first.append(len(present))
        present += [True] * count
    present += [False] * behind
    values = ["x" if there else None for there in present]
    array = pa.array([None] * cut + values, pa.string())
    if words:
        array = array.dictionary_encode()
    if cut:
        array = array.slice(cut)
    counts = np.array([count for _, count in runs], np.int64)
    found = bits_of_runs(np.array(first, np.int64), counts, len(present))
    assert np.unpackbits(found, bitorder="little")[: len(present)].tolist() == present
    if array.null_count:
        assert valid_bits(array).tolist() == found.tolist()


@pytest.mark.parametrize("moved", [1, 7, 8])
def test_values_elsewhere_have_other_bits(moved: int) -> None:
    array = pa.array([None] * moved + [1] * 20 + [None] * (40 - moved))
    expected = bits_of_runs(np.array([0]), np.array([20]), 60)
    assert not np.array_equal(valid_bits(array), expected)


def test_bits_behind_the_end_mean_nothing() -> None:
    validity = pa.py_buffer(bytes([0b11110101]))
    array = pa.Array.from_buffers(pa.int8(), 3, [validity, pa.py_buffer(bytes(8))])
    assert valid_bits(array).tolist() == [0b101]
