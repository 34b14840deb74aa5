"""Is a result that would not fit refused before memory is taken?"""

import pytest

from querier.metrics.matrix import CELL_BYTES, TooManyCellsError, check_cells


def test_the_budget_counts_cells() -> None:
    check_cells(10, 10, 100 * CELL_BYTES)
    with pytest.raises(TooManyCellsError, match="10 series at 10 steps"):
        check_cells(10, 10, 100 * CELL_BYTES - 1)
    with pytest.raises(TooManyCellsError):
        check_cells(10**12, 11_000, 1 << 40)
