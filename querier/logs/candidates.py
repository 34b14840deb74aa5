"""Which rows may be in a log answer? Where they lie, and what orders them: the partial of a search.

Candidates of many leaf tasks are merged in any grouping and any order: the best of all are the best
of the best of each. Within a stream, entries of one instant keep the order of their arrival.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64
from storage.stream_labels import U64

CANDIDATE_BYTES = 64
"""Of a row that may be in the answer, while all are sorted."""

MOST = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows that may be in the answer."""

    ts: I64
    stream: U64  # fingerprint
    source: I32  # order of the source in the view
    row: I64

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, index: NDArray[np.integer]) -> "Candidates":
        """The given candidates."""
        return Candidates(self.ts[index], self.stream[index], self.source[index], self.row[index])


def no_candidates() -> Candidates:
    """None at all."""
    none = np.zeros(0, np.int64)
    return Candidates(none, none.astype(np.uint64), none.astype(np.int32), none)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """All of them, in no order."""
    return Candidates(
        np.concatenate([part.ts for part in parts]),
        np.concatenate([part.stream for part in parts]),
        np.concatenate([part.source for part in parts]),
        np.concatenate([part.row for part in parts]),
    )


def merge(parts: Sequence[Candidates], wanted: int | None, *, backward: bool) -> Candidates:
    """The first `wanted` (or all) in the order of the answer."""
    both = joined(parts)
    if wanted is not None and len(both) > 4 * wanted:
        both = both.take(_near_edge(both.ts, wanted, backward=backward))
    # within a stream, entries of one instant keep write order (reversed when backward)
    order = np.lexsort((both.row, both.source, both.stream, both.ts))
    if backward:
        order = order[::-1]
    return both.take(order if wanted is None else order[:wanted])


def _near_edge(ts: I64, wanted: int, *, backward: bool) -> NDArray[np.integer]:
    """Rows at or beyond the wanted-th best timestamp (keeps all ties)."""
    if backward:
        edge = np.partition(ts, len(ts) - wanted)[len(ts) - wanted]
        return np.flatnonzero(ts >= edge)
    edge = np.partition(ts, wanted - 1)[wanted - 1]
    return np.flatnonzero(ts <= edge)


def spaced(best: Candidates, interval_ns: int, limit: int, *, backward: bool) -> Candidates:
    """After an entry, skip entries nearer than the interval, over all streams together."""
    kept: list[int] = []
    ahead = -best.ts if backward else best.ts  # ascending
    at = 0
    while at < len(ahead) and len(kept) < limit:
        kept.append(at)
        farther = int(ahead[at]) + interval_ns
        at = max(at + 1, int(np.searchsorted(ahead, farther))) if farther <= MOST else len(ahead)
    return best.take(np.array(kept, np.int64))
