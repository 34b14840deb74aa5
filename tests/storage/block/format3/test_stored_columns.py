"""Where has a column values? The bits of runs are those of an Arrow array with values there."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.block.format3.stored_columns import bits_of_runs, joined_runs, valid_bits, values_in

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


@given(RUNS, st.integers(0, 9), st.integers(0, 3), st.sampled_from(["number", "word", "text"]))
def test_values_in_runs_are_those_that_are_not_null(
    runs: list[tuple[int, int]], behind: int, cut: int, kind: str
) -> None:
    values, first = list[int | str | None](), list[int]()
    for gap, count in runs:
        values += [None] * gap
        first.append(len(values))
        values += range(len(values), len(values) + count)
    values += [None] * behind
    if kind != "number":
        values = [None if value is None else f"w{value % 3}" for value in values]
    array = pa.array([None] * cut + values, pa.int64() if kind == "number" else pa.large_string())
    if kind == "word":
        array = array.dictionary_encode()
    array = array.slice(cut)
    counts = np.array([count for _, count in runs], np.int64)
    low, high = joined_runs(np.array(first, np.int64), counts)
    assert all(a < b for a, b in zip(low.tolist(), high.tolist(), strict=True)), "none is empty"
    assert all(b < a for a, b in zip(low[1:].tolist(), high.tolist(), strict=False)), "none touch"
    found = values_in(array, low, high)
    assert found is not None
    assert found.to_pylist() == [value for value in values if value is not None]
    for place, value in enumerate(values):
        other = list(values)
        other[place] = "x" if value is None and kind != "number" else 1 if value is None else None
        wrong = pa.array(other, pa.int64() if kind == "number" else pa.large_string())
        assert values_in(wrong, low, high) is None


def test_of_a_wide_array_no_more_stays_than_the_values() -> None:
    array = pa.array([None] * 100_000 + list(range(100)))
    found = values_in(array, np.array([100_000]), np.array([100_100]))
    assert found is not None
    assert sum(buffer.size for buffer in found.buffers() if buffer is not None) < 2_000


@pytest.mark.parametrize("moved", [1, 7, 8])
def test_values_elsewhere_have_other_bits(moved: int) -> None:
    array = pa.array([None] * moved + [1] * 20 + [None] * (40 - moved))
    expected = bits_of_runs(np.array([0]), np.array([20]), 60)
    assert not np.array_equal(valid_bits(array), expected)


def test_bits_behind_the_end_mean_nothing() -> None:
    validity = pa.py_buffer(bytes([0b11110101]))
    array = pa.Array.from_buffers(pa.int8(), 3, [validity, pa.py_buffer(bytes(8))])
    assert valid_bits(array).tolist() == [0b101]
