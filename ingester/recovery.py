"""What was acknowledged but is in no block? The journal behind the watermarks, put back into heads.

Invariant: a frame at or below its tenant's watermark is in a visible block already and is left out;
so after a crash every acknowledged entry is there exactly once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ingester.commit import Ledger, Put
from ingester.frames import decode_frame_body
from ingester.head import Heads
from ingester.losses import beyond_the_journal, tell_loss
from ingester.streams import StreamResolver
from narfi.core.clock import Clock
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
    clock: Clock,
    limits_of: LimitsOf,
    progress: Callable[[int], None],
) -> Recovered:
    """Replay into the heads, before the first push and before the first flush.

    `progress` is told the number of frames now and then. New positions begin above every frame and
    every watermark of this journal, so that none is taken for one that is in a block already.
    """
    tell = partial(tell_loss, catalog, clock)
    watermarks = catalog.watermarks(journal.journal_id)
    resolver = StreamResolver()
    frames = entries = 0
    received_ns: int | None = None
    for frame in journal.replay(partial(tell, journal.journal_id)):
        received_ns = frame.received_ns
        if frame.position <= watermarks.get(frame.tenant, 0):
            ledger.replayed(frame.position, None)
            continue
        batch = decode_frame_body(frame, limits_of(frame.tenant), resolver)
        ledger.replayed(frame.position, _put(heads, frame, batch))
        frames += 1
        entries += len(batch)
        if frames % 64 == 0:
            progress(frames)
    for journal_id, damage in beyond_the_journal(catalog, journal, watermarks, received_ns):
        tell(journal_id, damage)
    journal.skip_to(max(watermarks.values(), default=0))
    ledger.recovered()
    return Recovered(frames, entries)


def _put(heads: Heads, frame: Frame, batch: LogBatch) -> Put:
    return lambda position: heads.take(frame.tenant, batch, position).cut_id
