"""Does a matrix know what it holds?"""

import numpy as np

from querier.budget import Account
from querier.metrics.matrix import Matrix


def test_series_without_values_go_and_are_not_paid_for() -> None:
    present = np.array([[True, False], [False, False], [False, True]])
    labels = ((("a", "1"),), (("a", "2"),), (("a", "3"),))
    matrix = Matrix(labels, np.arange(6.0).reshape(3, 2), present)
    account = Account()
    account.charge(matrix.nbytes)
    found = matrix.nonempty(account)
    assert found.labels == (labels[0], labels[2])
    assert account.used == found.nbytes == 2 * 2 * 9
    assert found.nonempty(account) is found
