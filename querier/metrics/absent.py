"""What does `absent_over_time` answer? One series, where no other has a value (logql.md §10.3)."""

import numpy as np

from logql.ast import LogRange
from narfi.core.matchers import MatchOp
from querier.budget import Account
from querier.metrics.matrix import CELL_BYTES, Matrix
from querier.result import LabelPairs


def absent_labels(log_range: LogRange) -> LabelPairs:
    """The labels of `absent_over_time`: equality matchers of names that occur once."""
    matchers = log_range.query.selector.matchers
    names = [m.name for m in matchers]
    pairs = [
        (m.name, m.value)
        for m in matchers
        if m.op is MatchOp.EQ and names.count(m.name) == 1 and m.value
    ]
    return tuple(sorted(pairs))


def absent_over_time(log_range: LogRange, found: Matrix, account: Account) -> Matrix:
    """One series that is 1 wherever no series has a value."""
    account.charge(found.steps * CELL_BYTES)
    account.release(found.nbytes)
    missing = np.logical_not(np.any(found.present, axis=0))[np.newaxis, :]
    return Matrix((absent_labels(log_range),), np.ones((1, found.steps)), missing).nonempty(account)
