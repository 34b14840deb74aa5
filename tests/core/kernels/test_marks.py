"""The bit map against a set of places."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.kernels.marks import mark


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(6, 12))
def test_each_hash_sets_the_bit_of_its_place(hashes: list[int], bits: int) -> None:
    marks = np.zeros(1 << (bits - 6), np.uint64)
    mark(np.array(hashes, np.uint64), bits, marks)
    mark(np.array(hashes[:10], np.uint64), bits, marks)
    found = {place for place in range(1 << bits) if int(marks[place // 64]) >> (place % 64) & 1}
    assert found == {value >> (64 - bits) for value in hashes}
