"""What does a push cost? One figure for rates, heads, room and memory.

Loki counts line and metadata bytes, and so do rates; but an entry without a byte is held too, with
its place in six arrays, and so is a stream without an entry to speak of. So `cost` adds a price for
each row and stream; and a rate counts an entry as if it had `MIN_ENTRY_BYTES` at least.
"""

from dataclasses import dataclass

import numpy as np

from ingester.metadata_names import DETECTED_LEVEL
from narfi.core.columns import I64, U8, Spans
from narfi.core.kernels.push_sums import LINE_BYTES, LONGEST, NEWEST, OLDEST, RATED, sum_push
from narfi.core.wire.push import DecodedPush, Pairs
from storage.batch import LogBatch
from storage.metadata import Metadata

ROW_BYTES = 64
"""Stream, time, row number, place and length of the line take 32 bytes; sorting doubles that."""
STREAM_BYTES = 256
"""A stream of a push: its place in tables and, the first time, its labels."""
MIN_ENTRY_BYTES = 16
"""An entry's time and lengths take about that in a body, however short its line is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the entries of a push amount to."""

    entries: I64  # of each stream of the push
    rated: I64  # what those of each stream count against a rate
    line_bytes: int
    all_rated: int
    oldest_ns: int  # 2**63 - 1 without an entry
    newest_ns: int  # -2**63 without one
    longest_line: int


def sums_of(push: DecodedPush) -> Sums:
    """In one pass over the entries."""
    count = len(push.labels)
    entries, rated = np.zeros(count, np.int64), np.zeros(count, np.int64)
    whole = np.empty(5, np.int64)
    more = metadata_bytes(push.pairs, len(push)) if len(push.pairs) else _NOTHING
    sum_push(push.stream, push.ts, push.lines.length, more, MIN_ENTRY_BYTES, entries, rated, whole)
    found = whole.tolist()
    return Sums(
        entries=entries,
        rated=rated,
        line_bytes=found[LINE_BYTES],
        all_rated=found[RATED],
        oldest_ns=found[OLDEST],
        newest_ns=found[NEWEST],
        longest_line=found[LONGEST],
    )


_NOTHING: I64 = np.zeros(0, np.int64)
MOST_LEVEL_BYTES = 64
"""No level is longer: what is, is data under a level's name, and is counted."""
_LEVEL: U8 = np.frombuffer(DETECTED_LEVEL.encode(), np.uint8)


def entry_bytes(push: DecodedPush) -> I64:
    """Line and metadata bytes of each entry, as Loki counts them."""
    sizes: I64 = push.lines.length.astype(np.int64)
    if len(push.pairs):
        sizes += metadata_bytes(push.pairs, len(push))
    return sizes


def metadata_bytes(pairs: Pairs, rows: int) -> I64:
    """Bytes of names and values of each entry; a level that came with it is free, as one found."""
    sizes = pairs.name.length + pairs.value.length
    levels = _are(pairs.name, _LEVEL)
    sizes[levels[pairs.value.length[levels] <= MOST_LEVEL_BYTES]] = 0
    return np.bincount(pairs.row, sizes.astype(np.float64), rows).astype(np.int64)


def _are(spans: Spans, text: U8) -> I64:
    """Numbers of the spans that hold just this text."""
    found: I64 = np.flatnonzero(spans.length == len(text)).astype(np.int64)
    for place, byte in enumerate(text.tolist()):
        if not len(found):
            break
        found = found[spans.data[spans.start[found] + place] == byte]
    return found


def rated_bytes(push: DecodedPush) -> I64:
    """What each entry counts against a rate."""
    return np.maximum(entry_bytes(push), MIN_ENTRY_BYTES)


def cost_of_push(push: DecodedPush, line_bytes: int) -> int:
    """What the push will cost, in bytes of memory, before it is a batch."""
    size = line_bytes
    if len(push.pairs):
        size += push.pairs.name.nbytes() + push.pairs.value.nbytes()
    return size + _prices(len(push), len(push.labels))


def cost_of(batch: LogBatch, line_bytes: int | None = None) -> int:
    """What the batch costs while it is unflushed, in bytes of memory."""
    assert batch.lines is not None
    size = batch.lines.nbytes() if line_bytes is None else line_bytes
    size += (batch.metadata or Metadata()).nbytes()
    return size + _prices(len(batch), len(batch.table))


def _prices(rows: int, streams: int) -> int:
    return ROW_BYTES * rows + STREAM_BYTES * streams
