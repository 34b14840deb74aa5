"""What did an ingester acknowledge that does not answer? Read from its journal itself.

The records behind the tenant's watermark, decoded as a replay would: what of them is in a block
meanwhile is there twice, and a reader removes duplicates anyway.
Invariant: the watermark is asked for before the journal is read, and blocks are listed after it, so
an entry is in what is read here or in a block that the reader sees, or in both.
"""

from dataclasses import dataclass

from ingester.records import decode_record_body
from ingester.streams import StreamResolver
from narfi.core.limits import LimitsOf
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.cache import ByteCache
from storage.catalog.base import Catalog
from storage.catalog.leases import JournalState, Leases
from storage.journal.base import StoredRecord
from storage.journal.numbered import number_of
from storage.journal.numbers import Commit, JournalNumbers

CACHE_BYTES = 64 << 20
"""Of bodies of commits: who is gone is asked about again and again until somebody adopts it."""


@dataclass(frozen=True, slots=True)
class Frames:
    """What is behind a watermark, in the order of arrival; and what of it cannot be read."""

    batches: tuple[LogBatch, ...] = ()
    bytes: int = 0  # of the records as they were stored
    damaged: tuple[str, ...] = ()


class JournalFrames:
    """Reads journals that others write or wrote; thread-safe."""

    def __init__(
        self, leases: Leases, catalog: Catalog, numbers: JournalNumbers, limits_of: LimitsOf
    ) -> None:
        self._leases, self._catalog = leases, catalog
        self._numbers, self._limits_of = numbers, limits_of
        self._commits: ByteCache[Commit] = ByteCache(CACHE_BYTES)

    def behind(self, journal_id: str, tenant: TenantId) -> Frames:
        """The tenant's records that may be in no block.

        Raises `ObjectError` and `CatalogError` when that cannot be said.
        """
        row = self._leases.get(journal_id)
        if row is None or row.state is JournalState.RETIRED:
            return Frames()  # all of it is in blocks
        watermark = self._catalog.watermarks(journal_id).get(tenant, 0)
        number = max(row.forgotten + 1, number_of(watermark))
        records: list[StoredRecord] = []
        damaged: list[str] = []
        while True:
            for commit in self._read(journal_id, number):
                number = commit.number + 1
                records += [r for r in commit.records if r.tenant == tenant]
                damaged += [] if commit.damage is None else [commit.damage]
            again = self._leases.get(journal_id)
            if again is None or again.state is JournalState.RETIRED or again.forgotten < number:
                break
            number = again.forgotten + 1  # they were deleted meanwhile, being in blocks
        mine = [record for record in records if record.position > watermark]
        limits, resolver = self._limits_of(tenant), StreamResolver()
        return Frames(
            tuple(decode_record_body(record, limits, resolver) for record in mine),
            sum(len(record.body) for record in mine),
            tuple(damaged),
        )

    def _read(self, journal_id: str, number: int) -> list[Commit]:
        """From this number to the end; what was read before is remembered: it never changes."""
        found: list[Commit] = []
        while (known := self._commits.get((journal_id, number))) is not None:
            found.append(known)
            number += 1
        for commit in self._numbers.read(journal_id, number):
            size = sum(len(record.body) for record in commit.records)
            if commit.damage is None:
                self._commits.put((journal_id, commit.number), commit, size)
            found.append(commit)
        return found
