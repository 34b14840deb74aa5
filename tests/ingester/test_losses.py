"""Is each loss told once, with the times that it can touch?"""

from pathlib import Path

import pytest

from ingester.losses import (
    BEHIND_END,
    EARLIER_NS,
    LATER_NS,
    OTHER_JOURNAL,
    beyond_the_journal,
    tell_loss,
)
from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.catalog.base import Watermark
from storage.catalog.sql import SqlCatalog
from storage.journal.base import Damage
from storage.journal.file import FileJournal
from tests.storage.stored import Stored

TENANT = TenantId("t")
NOW = 10**18


@pytest.mark.parametrize(
    ("after", "before", "expected"),
    [
        (500, 900, (500 - EARLIER_NS, 900 + LATER_NS)),
        (500, None, (500 - EARLIER_NS, NOW + LATER_NS)),  # until the last stop
        (None, 900, (0 - EARLIER_NS, 900 + LATER_NS)),  # no block: since ever
        (900, 500, (500 - EARLIER_NS, 500 + LATER_NS)),  # the clock was put back
    ],
)
def test_the_times_that_a_loss_can_touch(
    tmp_path: Path, after: int | None, before: int | None, expected: tuple[int, int]
) -> None:
    stored = Stored(tmp_path)
    damage = Damage(first=3, last=5, after_ns=after, before_ns=before, reason="torn")
    for _ in range(2):
        tell_loss(stored.catalog, ManualClock(NOW), "j", damage)
    (loss,) = stored.catalog.losses()
    assert (loss.from_ns, loss.to_ns) == expected
    assert (loss.journal_id, loss.first_position, loss.last_position) == ("j", 3, 5)
    stored.close()


def test_what_only_the_catalog_knows(tmp_path: Path) -> None:
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(NOW))
    journal = FileJournal(tmp_path / "journal")
    mine = journal.journal_id
    assert list(beyond_the_journal(catalog, journal, {}, None)) == []
    ((found, damage),) = beyond_the_journal(catalog, journal, {TENANT: 7}, 12)
    assert (found, damage.first, damage.last, damage.after_ns) == (mine, 1, 7, 12)
    assert damage.reason == BEHIND_END
    catalog.publish([], [Watermark("gone", TENANT, 4)])
    ((found, damage),) = beyond_the_journal(catalog, journal, {}, None)
    assert (found, damage.first, damage.reason) == ("gone", 5, OTHER_JOURNAL)
    journal.close()
    catalog.close()
