"""What is a decoded push, whatever its encoding was? Arrays over one buffer, no object an entry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narfi.core.columns import I32, I64, Spans
from narfi.core.errors import InvalidRequestError


class PushFormatError(InvalidRequestError):
    """The body is not a push in the declared encoding."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Structured metadata of a push: pair k belongs to entry `row[k]`; rows ascend."""

    row: I32
    name: Spans
    value: Spans

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedPush:
    """Streams by number with their label text, and the entries of all streams in body order."""

    labels: tuple[bytes, ...]
    stream: I32  # per entry, ascending
    ts: I64  # ns since the epoch
    lines: Spans
    pairs: Pairs

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: NDArray[np.int64]) -> "DecodedPush":
        """The given entries (ascending); streams keep their numbers."""
        place = np.full(len(self), -1, np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        kept = np.flatnonzero(place[self.pairs.row] >= 0)
        pairs = Pairs(
            place[self.pairs.row[kept]],
            self.pairs.name.take(kept),
            self.pairs.value.take(kept),
        )
        return DecodedPush(
            labels=self.labels,
            stream=self.stream[rows],
            ts=self.ts[rows],
            lines=self.lines.take(rows),
            pairs=pairs,
        )
