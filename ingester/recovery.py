"""What was acknowledged but is in no block? The journal behind the watermarks, put back into heads.

Invariant: a record at or below its tenant's watermark is in a visible block already and is left
out; so after a crash every acknowledged entry is there exactly once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ingester.commit import Ledger, Put
from ingester.head import Heads
from ingester.losses import beyond_the_journal, tell_loss
from ingester.metrics import REPLAY_SECONDS, REPLAYED_RECORDS
from ingester.records import decode_record_body
from ingester.streams import StreamResolver
from narfi.core.clock import Clock
from narfi.core.limits import LimitsOf
from narfi.core.units import shown_bytes
from storage.batch import LogBatch
from storage.catalog.base import Catalog
from storage.journal.base import Journal, StoredRecord

TOLD_EVERY = 64
"""Records, between two times that somebody is told how far it is."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a replay is."""

    records: int  # looked at
    bytes: int
    of_bytes: int  # all; 0: not known

    def __str__(self) -> str:
        if not self.of_bytes:
            return f"{self.records} records"
        share = min(100, 100 * self.bytes // self.of_bytes)
        size = f"{shown_bytes(min(self.bytes, self.of_bytes))} of {shown_bytes(self.of_bytes)}"
        return f"{share}%, {size}, {self.records} records"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a replay brought back."""

    records: int
    entries: int


def recover(
    journal: Journal,
    catalog: Catalog,
    ledger: Ledger,
    heads: Heads,
    clock: Clock,
    limits_of: LimitsOf,
    progress: Callable[[Replayed], None],
) -> Recovered:
    """Replay into the heads, before the first push and before the first flush.

    `progress` is told now and then how far it is. New positions begin above every record
    and every watermark of this journal, so that none is taken for one that is in a block already.
    """
    tell, began = partial(tell_loss, catalog, clock), time.perf_counter()
    watermarks = catalog.watermarks(journal.journal_id)
    resolver = StreamResolver()
    records = entries = seen = size = 0
    all_bytes = journal.stored_bytes()
    received_ns: int | None = None
    for record in journal.replay(partial(tell, journal.journal_id)):
        received_ns = record.received_ns
        seen, size = seen + 1, size + len(record.body)
        if seen % TOLD_EVERY == 0:
            progress(Replayed(seen, size, all_bytes))
        if record.position <= watermarks.get(record.tenant, 0):
            ledger.replayed(record.position, None)
            continue
        batch = decode_record_body(record, limits_of(record.tenant), resolver)
        ledger.replayed(record.position, _put(heads, record, batch))
        records += 1
        entries += len(batch)
    for journal_id, damage in beyond_the_journal(catalog, journal, watermarks, received_ns):
        tell(journal_id, damage)
    journal.skip_to(max(watermarks.values(), default=0))
    ledger.recovered()
    REPLAYED_RECORDS.set(records)
    REPLAY_SECONDS.set(time.perf_counter() - began)
    return Recovered(records, entries)


def _put(heads: Heads, record: StoredRecord, batch: LogBatch) -> Put:
    return lambda position: heads.take(record.tenant, batch, position).cut_id
