"""Is an entry visible at every moment of a flush, also when the flush fails?"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from ingester.commit import Ledger, commit
from ingester.flush import Flusher, FlushSettings
from ingester.head import Heads
from narfi.core.clock import SystemClock
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.reading.duplicates import DuplicateIndex
from querier.reading.view import take_view
from storage.catalog.base import BlockRow, CatalogError, Fence, Watermark
from storage.catalog.sql import SqlCatalog
from storage.journal.base import Record
from storage.journal.file import FileJournal
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from storage.store import BlockStore, StoreServices
from tests.storage.batches import batch_of, entries_of

TENANT = TenantId("t")


class FailingCatalog(SqlCatalog):
    """Refuses to publish as often as told, at once or after it was done."""

    failures = 0
    lost_answers = 0

    def publish(
        self,
        blocks: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Commit, or fail."""
        if self.failures:
            self.failures -= 1
            raise CatalogError("the test says no")
        super().publish(blocks, watermarks, fence)
        if self.lost_answers:
            self.lost_answers -= 1
            raise CatalogError("committed, and nobody knows")


class WritePath:
    """Head, journal, store and flusher in a folder."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.journal = FileJournal(folder / "journal")
        self.catalog = FailingCatalog(f"sqlite:///{folder}/catalog.db")
        self.objects = LocalObjects(folder / "objects")
        self.store = BlockStore(StoreServices(self.catalog, self.objects, clock), 1 << 20)
        self.heads = Heads(clock=clock, part_bytes=1 << 20, watch=lambda *_: None)
        settings = FlushSettings(10**18)
        self.ledger = Ledger()
        self.ledger.recovered()
        self.journal.when_durable(self.ledger.durable)
        self.flusher = Flusher(
            heads=self.heads,
            store=self.store,
            journal=self.journal,
            ledger=self.ledger,
            clock=clock,
            settings=settings,
        )

    def push(self, line: bytes, ts: int) -> None:
        """A durable, visible entry."""
        batch = batch_of([("a", ts, line, {})])

        def put(position: int) -> str:
            return self.heads.take(TENANT, batch, position).cut_id

        record = Record(tenant=TENANT, received_ns=0, codec=1, decided=b"", body=line)
        commit(self.journal, self.ledger, record, put)

    def lines(self) -> list[bytes]:
        """What a query sees."""
        everything = (Matcher("app", MatchOp.RE, ".+"),)
        found: list[bytes] = []
        with self.store.reading() as blocks:
            view = take_view(self.heads, blocks, DuplicateIndex(), TENANT, (0, 10**9), everything)
            for source in view.sources:
                rows = np.arange(int(source.source.table.rows.sum()))
                batch = source.source.fetch(np.setdiff1d(rows, source.excluded), Columns())
                found += [line for _, _, line, _ in entries_of(batch)]
        return sorted(found)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[WritePath]:
    """Running path."""
    made = WritePath(tmp_path)
    made.flusher.start()
    yield made
    made.flusher.stop()
    made.journal.close()
    made.catalog.close()


def test_after_a_flush_everything_is_in_blocks_and_the_journal_is_empty(path: WritePath) -> None:
    path.push(b"one", 1)
    path.push(b"two", 2)
    path.flusher.flush_all()
    assert path.lines() == [b"one", b"two"]
    assert path.heads.bytes == 0
    assert path.catalog.watermarks(path.journal.journal_id) == {TENANT: 2}


def test_a_flush_that_fails_keeps_everything_visible_and_is_tried_again(path: WritePath) -> None:
    path.push(b"one", 1)
    path.catalog.failures = 1
    path.flusher.flush_all(timeout_s=20)
    assert path.lines() == [b"one"]
    assert len(path.catalog.blocks(TENANT, 0, 10)) == 1
    folders = {key.rsplit("/", 1)[0] for key in path.objects.list("")}
    assert len(folders) == 1, "the block was not written a second time"


def test_a_publish_whose_answer_was_lost_counts_once(path: WritePath) -> None:
    path.push(b"one", 1)
    path.catalog.lost_answers = 1
    path.flusher.flush_all(timeout_s=20)
    assert path.lines() == [b"one"]
    assert len(path.catalog.blocks(TENANT, 0, 10)) == 1


def test_entries_are_seen_exactly_once_while_they_are_flushed(path: WritePath) -> None:
    done = threading.Event()
    wrong: list[list[bytes]] = []
    pushed: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            before = list(pushed)
            found = path.lines()
            if len(found) != len(set(found)) or not set(before) <= set(found):
                wrong.append(found)

    reader = threading.Thread(target=look)
    reader.start()
    for k in range(60):
        line = b"%03d" % k
        path.push(line, k)
        pushed.append(line)
        if k % 7 == 0:
            path.flusher.flush_all()
    done.set()
    reader.join()
    assert wrong == []
    assert path.lines() == pushed
