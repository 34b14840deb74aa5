"""What was acknowledged but is in no block? The journal behind the watermarks, put back into heads.

Invariant: a frame at or below its tenant's watermark is in a visible block already and is left out;
so after a crash every acknowledged entry is there exactly once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ingester.flush import Flusher
from ingester.frames import decode_frame_body
from ingester.head import Heads
from ingester.streams import StreamResolver
from narfi.core.limits import LimitsOf
from storage.catalog.base import Catalog
from storage.journal.base import Journal


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a replay brought back."""

    frames: int
    entries: int


def recover(
    journal: Journal,
    catalog: Catalog,
    heads: Heads,
    flusher: Flusher,
    limits_of: LimitsOf,
    progress: Callable[[int], None],
) -> Recovered:
    """Replay into the heads; `progress` is told the number of frames now and then."""
    watermarks = catalog.watermarks(journal.journal_id)
    resolver = StreamResolver()
    frames = entries = 0
    for frame in journal.replay(0):
        if frame.position <= watermarks.get(frame.tenant, 0):
            continue
        batch = decode_frame_body(frame, limits_of(frame.tenant), resolver)
        if heads.take(frame.tenant, batch, frame.position):
            flusher.wake()
        frames += 1
        entries += len(batch)
        if frames % 64 == 0:
            progress(frames)
    return Recovered(frames, entries)
