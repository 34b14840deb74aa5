"""Are the tables told as queries see them, and found out again only where something changed?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from narfi.core.limits import Limits
from querier.reading.deletes import DeleteRequests
from querier.sql.opening import Asked, StoredLogs
from querier.sql.session import SqlSession
from querier.sql.table_lists import Table, TableLists
from querier.sql.views import EVER, Period
from storage.block.layout import STREAMS, block_prefix
from storage.catalog.delete_log import DeleteLog
from tests.storage.batches import Entry
from tests.storage.form import Form
from tests.storage.stored import DAY, NOW, TENANT, Stored

pytest.importorskip("duckdb")

LINES = 90
PERIODS = (
    EVER,
    Period(NOW + 7, NOW + 31),
    Period(NOW - DAY + 40, NOW + 31),
    Period(NOW - DAY, NOW + LINES),
    Period(NOW - DAY, NOW + LINES - 1),
    Period(NOW - DAY + 1, NOW + LINES),
    Period(5, 6),
)


def entries(first: int) -> list[Entry]:
    """Two shapes, and lines that are like no others."""
    texts = (b'{"status": %d, "k": "v%d"}', b"status=%d k=v%d", b"word " * 3 + b"%d of %d")
    return [
        ("ab"[k % 2], first + k, texts[k % 3] % (200 + k % 5, k * 7919), {}) for k in range(LINES)
    ]


@pytest.fixture
def stored(tmp_path: Path, form: Form) -> Stored:
    """Two blocks of a format, a day between them."""
    found = Stored(tmp_path)
    found.add(entries(NOW - DAY))
    found.add(entries(NOW))
    return found


class Asking:
    """Lists, and how often DuckDB was asked for one."""

    def __init__(self, stored: Stored) -> None:
        self._stored, self._lists, self.sessions = stored, TableLists(), 0

    @contextmanager
    def _watched(self, _: SqlSession) -> Iterator[None]:
        self.sessions += 1
        yield

    def logs(self, period: Period) -> StoredLogs:
        return StoredLogs(self._stored.folder, Asked(tenant=TENANT, period=period))

    def of(self, period: Period) -> tuple[Table, ...]:
        return self._lists.of(self.logs(period), self._watched)


def check_counts(asking: Asking, period: Period) -> None:
    """Each table has the rows that a query counts."""
    for table in asking.of(period):
        _, rows = asking.logs(period).run(f"select count(*) from {table.name}", as_json=False)
        assert str(table.rows) == next(rows)[0], (table.name, period)


def test_rows_are_those_that_queries_count(stored: Stored) -> None:
    asking = Asking(stored)
    for period in PERIODS:
        check_counts(asking, period)
    assert {table.name: table.rows for table in asking.of(EVER)}["logs"] == 2 * LINES
    requests = DeleteRequests(DeleteLog(stored.catalog), stored.clock, lambda _: Limits())
    requests.create(TENANT, '{app="a"} |= "status"', NOW + 20, NOW + 50)
    for period in PERIODS:
        check_counts(asking, period)
    assert {table.name: table.rows for table in asking.of(EVER)}["logs"] < 2 * LINES


def test_it_is_found_out_once_for_a_state(stored: Stored) -> None:
    asking = Asking(stored)
    asking.of(EVER)
    asking.of(Period(NOW - 2 * DAY, NOW + DAY))
    assert asking.sessions == 1, "the same blocks as a whole"
    asking.of(Period(NOW + 7, NOW + 31))
    asking.of(Period(NOW + 7, NOW + 31))
    assert asking.sessions == 2, "a block on the edge of the range"
    stored.add(entries(NOW + DAY))
    asking.of(EVER)
    assert asking.sessions == 3, "another block"
    requests = DeleteRequests(DeleteLog(stored.catalog), stored.clock, lambda _: Limits())
    requests.create(TENANT, '{app="a"}', 0, NOW + 2 * DAY)
    asking.of(EVER)
    assert asking.sessions == 4, "a delete request"


def test_a_list_without_a_block_is_not_remembered(stored: Stored) -> None:
    bad = stored.rows()[0]
    prefix = block_prefix(bad.tenant, bad.min_ts, bad.block_id)
    path = stored.folder / "objects" / prefix / STREAMS
    content = path.read_bytes()
    path.write_bytes(content[:-40])
    asking = Asking(stored)
    assert asking.of(EVER)[0].rows == LINES
    path.write_bytes(content)
    assert asking.of(EVER)[0].rows == 2 * LINES
