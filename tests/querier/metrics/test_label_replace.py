"""A pattern may take long for each label set: between two of them the deadline is looked at."""

import numpy as np
import pytest

from logql.ast import LabelReplace
from logql.parser import parse
from querier.budget import Account, QueryTimeoutError
from querier.metrics.label_replace import label_replace
from querier.metrics.matrix import Matrix


class LateAccount(Account):
    """The time is over at a look."""

    looks = 0

    def check(self) -> None:
        """Raise at the third one."""
        self.looks += 1
        if self.looks == 3:
            raise QueryTimeoutError("too late")


def test_the_deadline_is_looked_at_for_each_label_set() -> None:
    expr = parse('label_replace(rate({app="a"}[1m]), "b", "$1", "a", "(.*)")')
    assert isinstance(expr, LabelReplace)
    labels = tuple((("a", str(n)),) for n in range(5))
    matrix = Matrix(labels, np.ones((5, 1)), np.ones((5, 1), np.bool_))
    found = label_replace(expr, matrix, Account())
    assert found.labels == tuple((("a", str(n)), ("b", str(n))) for n in range(5))
    account = LateAccount()
    with pytest.raises(QueryTimeoutError):
        label_replace(expr, matrix, account)
    assert account.looks == 3
