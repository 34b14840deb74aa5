"""Which found rows are of the answer for sure, while others are still looked for?

Leaf tasks are done in the order of the best row that each may hold, so a row is settled when every
task that is left can only hold rows that stand behind it. Settled rows leave in runs, so that a few
do not cost as much as many. Invariant: all runs together are the first `limit` rows of all tasks.
"""

import numpy as np

from narfi.core.columns import I64, Mask
from querier.budget import Account
from querier.logs.candidates import CANDIDATE_BYTES, Candidates, merge, no_candidates


class Settling:
    """The rows found so far that have not left; used by one thread at a time."""

    def __init__(self, limit: int, at_least: int, account: Account, *, backward: bool) -> None:
        """`at_least`: rows of a run, but for the last one."""
        self.left, self._at_least = limit, max(at_least, 1)
        self._backward, self._account = backward, account
        self._parts: list[Candidates] = []
        self._size = 0

    def add(self, found: Candidates) -> None:
        """Rows of a task."""
        if not len(found):
            return
        self._parts.append(found)
        self._size += len(found)
        self._account.charge(len(found) * CANDIDATE_BYTES)
        if self._size > 2 * self.left + self._at_least:
            self._set(merge(self._parts, self.left, backward=self._backward))

    def take(self, edge: int | None) -> Candidates:
        """The next run, in the order of the answer; none while too few are settled.

        `edge`: the time of the best row that a task which is left may hold; None: none is left.
        """
        if not self._size or not self.left:
            return no_candidates()
        if edge is not None:
            settled = sum(int(np.count_nonzero(self._is_settled(p.ts, edge))) for p in self._parts)
            if settled < min(self._at_least, self.left):
                return no_candidates()
        best = merge(self._parts, self.left, backward=self._backward)
        sure = len(best) if edge is None else int(np.count_nonzero(self._is_settled(best.ts, edge)))
        self.left -= sure
        self._set(best.take(np.arange(sure, len(best))))
        return best.take(np.arange(sure))

    def _set(self, rows: Candidates) -> None:
        self._account.release((self._size - len(rows)) * CANDIDATE_BYTES)
        self._parts, self._size = [rows], len(rows)

    def _is_settled(self, ts: I64, edge: int) -> Mask:
        return ts > edge if self._backward else ts < edge
