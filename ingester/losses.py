"""What does the server say when acknowledged entries are missing? Log, metric, and a lasting row.

A journal tells of missing records (`storage/journal/replay.py`); the catalog's watermarks tell of
more: records behind the journal's end that were in blocks once, or a journal whose folder is gone.
Each loss is told once and kept in the catalog, so that answers over the time it can touch can warn.
"""

from collections.abc import Iterator, Mapping

import structlog

from narfi.core.clock import NS_PER_S, Clock
from narfi.core.tenant import TenantId
from storage.catalog.base import Catalog, Loss
from storage.journal.base import Damage, Journal

log = structlog.get_logger(__name__)

EARLIER_NS = 3600 * NS_PER_S
"""Entries are seldom received later than this after they were written."""
LATER_NS = 600 * NS_PER_S
"""Times of entries may lie so far in the future (`creation_grace_period`)."""

BEHIND_END = "the catalog knows records behind the journal's end"
OTHER_JOURNAL = "the journal is new, and the one before it is gone"


def tell_loss(catalog: Catalog, clock: Clock, journal_id: str, damage: Damage) -> None:
    """Say that records of this journal are missing, unless it was said before."""
    now = clock.now_ns()
    before = damage.before_ns if damage.before_ns is not None else now
    after = damage.after_ns if damage.after_ns is not None else _newest_cut(catalog)
    loss = Loss(
        journal_id=journal_id,
        first_position=damage.first,
        last_position=damage.last,
        from_ns=min(after, before) - EARLIER_NS,
        to_ns=before + LATER_NS,
        reason=damage.reason,
        told_ns=now,
    )
    if catalog.note_loss(loss):
        log.error(
            "acknowledged entries are missing",
            reason=damage.reason,
            journal=journal_id,
            first_record=damage.first,
            last_record=damage.last,
            from_ns=loss.from_ns,
            to_ns=loss.to_ns,
        )


def _newest_cut(catalog: Catalog) -> int:
    """When the newest block of all was made: what came before it is in blocks, mostly."""
    return catalog.newest_created() or 0


def beyond_the_journal(
    catalog: Catalog, journal: Journal, watermarks: Mapping[TenantId, int], after_ns: int | None
) -> Iterator[tuple[str, Damage]]:
    """What only the catalog knows to be missing: (journal id, damage)."""
    newest, most = journal.last_position(), max(watermarks.values(), default=0)
    if most > newest:
        yield journal.journal_id, _damage(newest + 1, most, after_ns, BEHIND_END)
    if newest == 0 and not watermarks:
        for other in catalog.journals():
            position = max(catalog.watermarks(other).values()) + 1
            yield other, _damage(position, position, None, OTHER_JOURNAL)


def _damage(first: int, last: int, after_ns: int | None, reason: str) -> Damage:
    return Damage(first=first, last=last, after_ns=after_ns, before_ns=None, reason=reason)
