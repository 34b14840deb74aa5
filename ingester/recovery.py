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
from storage.batch import LogBatch
from storage.catalog.base import Catalog
from storage.journal.base import Journal, StoredRecord


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
    progress: Callable[[int], None],
) -> Recovered:
    """Replay into the heads, before the first push and before the first flush.

    `progress` is told the number of records now and then. New positions begin above every record
    and every watermark of this journal, so that none is taken for one that is in a block already.
    """
    tell, began = partial(tell_loss, catalog, clock), time.perf_counter()
    watermarks = catalog.watermarks(journal.journal_id)
    resolver = StreamResolver()
    records = entries = 0
    received_ns: int | None = None
    for record in journal.replay(partial(tell, journal.journal_id)):
        received_ns = record.received_ns
        if record.position <= watermarks.get(record.tenant, 0):
            ledger.replayed(record.position, None)
            continue
        batch = decode_record_body(record, limits_of(record.tenant), resolver)
        ledger.replayed(record.position, _put(heads, record, batch))
        records += 1
        entries += len(batch)
        if records % 64 == 0:
            progress(records)
    for journal_id, damage in beyond_the_journal(catalog, journal, watermarks, received_ns):
        tell(journal_id, damage)
    journal.skip_to(max(watermarks.values(), default=0))
    ledger.recovered()
    REPLAYED_RECORDS.set(records)
    REPLAY_SECONDS.set(time.perf_counter() - began)
    return Recovered(records, entries)


def _put(heads: Heads, record: StoredRecord, batch: LogBatch) -> Put:
    return lambda position: heads.take(record.tenant, batch, position).cut_id
