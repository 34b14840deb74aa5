"""Does one process at a time have a journal, and is every other one fenced? On both engines."""

import threading
import time

import pytest

from storage.catalog.base import Watermark
from storage.catalog.leases import JournalRow, JournalState, Leases
from storage.journal.base import FencedError
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, intent, row

LONG, OVER = 60_000, 0


@pytest.fixture
def leases(opened: Opener) -> Leases:
    """Of an empty database."""
    return Leases(opened().database)


def taken(leases: Leases, holder: str = "other") -> JournalRow:
    """The lease that ran out."""
    found = leases.take(holder, "address", LONG)
    assert found is not None
    return found


def test_a_journal_is_live_until_its_lease_runs_out(leases: Leases) -> None:
    fence = leases.begin("j", "me", "127.0.0.1:9", LONG)
    (found,) = leases.open()
    assert found == JournalRow(
        journal_id="j",
        holder="me",
        address="127.0.0.1:9",
        epoch=1,
        state=JournalState.LIVE,
        forgotten=0,
        expired=False,
    )
    assert found.fence == fence
    assert leases.take("other", "a", LONG) is None
    assert leases.renew(fence, 1, 7)
    time.sleep(0.05)
    (found,) = leases.open()
    assert (found.expired, found.forgotten) == (True, 7)
    assert leases.renew(fence, LONG, 8), "late, and nobody has taken it"
    assert leases.take("other", "a", LONG) is None


def test_who_takes_over_fences_the_writer(leases: Leases) -> None:
    fence = leases.begin("j", "me", "a", OVER)
    adopted = taken(leases)
    assert (adopted.epoch, adopted.holder, adopted.state) == (2, "other", JournalState.ADOPTING)
    assert not leases.renew(fence, LONG, 0)
    assert not leases.release(fence)
    assert not leases.retire(fence)
    assert leases.renew(adopted.fence, OVER, 3)
    third = taken(leases, "third")
    assert (third.epoch, third.forgotten) == (3, 3)
    assert not leases.retire(adopted.fence)
    assert leases.retire(third.fence)
    assert leases.open() == []
    assert leases.take("fourth", "a", LONG) is None


def test_a_journal_that_was_let_go_can_be_taken_at_once(leases: Leases) -> None:
    fence = leases.begin("j", "me", "a", LONG)
    assert leases.release(fence)
    (found,) = leases.open()
    assert (found.state, found.expired) == (JournalState.ORPHANED, True)
    assert taken(leases).epoch == 2


def test_nobody_takes_over_the_journal_that_it_writes(leases: Leases) -> None:
    leases.begin("j", "me", "a", OVER)
    assert leases.take("me", "a", LONG, but="j") is None
    assert leases.take("other", "a", LONG, but="k") is not None


def test_a_retired_journal_is_kept_for_a_while(leases: Leases) -> None:
    fence = leases.begin("j", "me", "a", LONG)
    leases.drop("j")
    assert leases.retire(fence)
    assert not leases.renew(fence, LONG, 0)
    assert leases.retired(LONG) == []
    assert [one.journal_id for one in leases.retired(0)] == ["j"]
    leases.drop("j")
    assert leases.retired(0) == []
    assert leases.get("j") is None


def test_two_who_want_one_lease(opened: Opener) -> None:
    """Each lease goes to one of many."""
    first = Leases(opened().database)
    for number in range(5):
        first.begin(f"j{number}", "me", "a", OVER)
    got: list[str] = []

    def take(leases: Leases, holder: str) -> None:
        while (found := leases.take(holder, "a", LONG)) is not None:
            got.append(found.journal_id)

    threads = [
        threading.Thread(target=take, args=(Leases(opened().database), f"holder {k}"))
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for found in first.open():  # one that was skipped while somebody had its row
        if found.state is JournalState.LIVE:
            got.append(taken(first).journal_id)
    assert sorted(got) == [f"j{number}" for number in range(5)]


def test_publish_is_fenced(opened: Opener) -> None:
    catalog = opened()
    leases = Leases(catalog.database)
    fence = leases.begin("j", "me", "a", OVER)
    mark = Watermark("j", TENANT, 5)
    catalog.intend(intent(row("a", 0, 9)))
    catalog.publish([row("a", 0, 9)], [mark], fence)
    adopted = taken(leases)
    catalog.intend(intent(row("b", 0, 9)))
    with pytest.raises(FencedError, match="taken over"):
        catalog.publish([row("b", 0, 9)], [Watermark("j", TENANT, 9)], fence)
    assert [block.block_id for block in catalog.blocks(TENANT, 0, 100)] == ["a"]
    assert catalog.watermarks("j") == {TENANT: 5}
    catalog.publish([row("b", 0, 9)], [Watermark("j", TENANT, 9)], adopted.fence)
    assert catalog.watermarks("j") == {TENANT: 9}
