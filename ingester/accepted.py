"""Which entries of a push are still to be stored? What each judge of a push hands to the next.

Invariant: entries are only left out, never added or put in another order, and streams keep their
numbers even when none of their entries is left.
"""

from dataclasses import dataclass

import numpy as np

from ingester.cost import Sums, sums_of
from ingester.streams import ResolvedStream
from narfi.core.columns import Mask
from narfi.core.wire.push import DecodedPush


@dataclass(frozen=True, slots=True)
class Accepted:
    """The entries that a push may store, with their streams."""

    push: DecodedPush
    streams: tuple[ResolvedStream, ...]
    """By number of the push's streams."""
    whole: bool
    """Nothing was refused or changed: the body may be kept as it came."""
    known_sums: Sums | None = None
    """Of the push, where somebody made them."""

    def sums(self) -> Sums:
        """What the entries amount to."""
        return self.known_sums or sums_of(self.push)

    def without(self, refused: Mask) -> "Accepted":
        """The entries that the mask (bool[entries]) does not mark."""
        if not refused.any():
            return self
        return Accepted(self.push.take(np.flatnonzero(~refused)), self.streams, whole=False)
