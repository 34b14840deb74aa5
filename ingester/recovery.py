"""What was acknowledged but is in no block? The journal behind the watermarks, put back into heads.

Invariant: a frame at or below its tenant's watermark is in a visible block already and is left out;
so after a crash every acknowledged entry is there exactly once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ingester.commit import Ledger, Put
from ingester.frames import decode_frame_body
from ingester.head import Heads
from ingester.streams import StreamResolver
from narfi.core.limits import LimitsOf
from storage.batch import LogBatch
from storage.catalog.base import Catalog
from storage.journal.base import Frame, Journal


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a replay brought back."""

    frames: int
    entries: int


def recover(
    journal: Journal,
    catalog: Catalog,
    ledger: Ledger,
    heads: Heads,
    limits_of: LimitsOf,
    progress: Callable[[int], None],
) -> Recovered:
    """Replay into the heads, before the first push and before the first flush.

    `progress` is told the number of frames now and then. New positions begin above every frame and
    every watermark of this journal, so that none is taken for one that is in a block already.
    """
    watermarks = catalog.watermarks(journal.journal_id)
    journal.skip_to(max(watermarks.values(), default=0))
    resolver = StreamResolver()
    frames = entries = 0
    for frame in journal.replay(0):
        if frame.position <= watermarks.get(frame.tenant, 0):
            ledger.replayed(frame.position, None)
            continue
        batch = decode_frame_body(frame, limits_of(frame.tenant), resolver)
        ledger.replayed(frame.position, _put(heads, frame, batch))
        frames += 1
        entries += len(batch)
        if frames % 64 == 0:
            progress(frames)
    ledger.recovered()
    return Recovered(frames, entries)


def _put(heads: Heads, frame: Frame, batch: LogBatch) -> Put:
    return lambda position: heads.take(frame.tenant, batch, position).cut_id
