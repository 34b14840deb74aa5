"""What does a leaf task of index statistics find? Streams, entries and line bytes of one source.

`SumStreams` takes them from the stream table, where all selected streams lie within the range;
`SumEntries` reads the rows of a source that the range cuts. Partials are merged in any order.
"""

from dataclasses import dataclass

import numpy as np

from narfi.core.columns import Mask
from querier.executors.leaf import Leaf
from querier.reading.kept_sizes import kept_sizes
from storage.stream_labels import U64


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsPartial:
    """Sums over entries, and which streams have some."""

    streams: U64  # fingerprints, each once
    entries: int
    bytes: int
    charged: int  # to the budget of the leaf; whoever takes the partial releases it


@dataclass(frozen=True, slots=True)
class SumStreams:
    """Sums of the selected streams of a source as a whole."""

    def run(self, leaf: Leaf) -> StatsPartial:
        """From the table; lengths of excluded lines are read unless they are known."""
        chosen = leaf.view.streams
        with leaf.budget.account() as account:
            rows, line_bytes = kept_sizes(leaf.view, chosen, account, leaf.sizes)
        return _partial(
            leaf, chosen & (rows > 0), int(rows[chosen].sum()), int(line_bytes[chosen].sum())
        )


@dataclass(frozen=True, slots=True)
class SumEntries:
    """Sums of the rows of a leaf."""

    def run(self, leaf: Leaf) -> StatsPartial:
        """By their lines, which are put together only where they are stored whole."""
        there = np.zeros(len(leaf.view.streams), np.bool_)
        entries = size = 0
        for batch in leaf.batches():
            leaf.budget.check()
            assert batch.lines is not None
            entries, size = entries + len(batch), size + batch.lines.nbytes()
            there[batch.stream] = True
        return _partial(leaf, there, entries, size)


def _partial(leaf: Leaf, streams: Mask, entries: int, size: int) -> StatsPartial:
    account = leaf.budget.account()
    account.charge(int(np.count_nonzero(streams)) * 8)
    return StatsPartial(
        streams=leaf.view.source.table.fingerprints_of(streams),
        entries=entries,
        bytes=size,
        charged=account.used,
    )
