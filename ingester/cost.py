"""What does a push cost? One figure for rates, heads, room and memory.

Loki counts line and metadata bytes, and so do rates; but an entry without a byte is held too, with
its place in six arrays, and so is a stream without an entry to speak of. So `cost` adds a price for
each row and stream; and a rate counts an entry as if it had `MIN_ENTRY_BYTES` at least.
"""

import numpy as np

from narfi.core.columns import I64
from narfi.core.wire.push import DecodedPush
from storage.batch import LogBatch
from storage.metadata import Metadata

ROW_BYTES = 64
"""Stream, time, row number, place and length of the line take 32 bytes; sorting doubles that."""
STREAM_BYTES = 256
"""A stream of a push: its place in tables and, the first time, its labels."""
MIN_ENTRY_BYTES = 16
"""An entry's time and lengths take about that in a body, however short its line is."""


def entry_bytes(push: DecodedPush) -> I64:
    """Line and metadata bytes of each entry, as Loki counts them."""
    sizes: I64 = push.lines.length.astype(np.int64)
    if len(push.pairs):
        weights = (push.pairs.name.length + push.pairs.value.length).astype(np.float64)
        sizes += np.bincount(push.pairs.row, weights, len(push)).astype(np.int64)
    return sizes


def rated_bytes(push: DecodedPush) -> I64:
    """What each entry counts against a rate."""
    return np.maximum(entry_bytes(push), MIN_ENTRY_BYTES)


def cost_of_push(push: DecodedPush) -> int:
    """What the push will cost, in bytes of memory, before it is a batch."""
    size = push.lines.nbytes() + push.pairs.name.nbytes() + push.pairs.value.nbytes()
    return size + _prices(len(push), len(push.labels))


def cost_of(batch: LogBatch) -> int:
    """What the batch costs while it is unflushed, in bytes of memory."""
    assert batch.lines is not None
    size = batch.lines.nbytes() + (batch.metadata or Metadata()).nbytes()
    return size + _prices(len(batch), len(batch.table))


def _prices(rows: int, streams: int) -> int:
    return ROW_BYTES * rows + STREAM_BYTES * streams
