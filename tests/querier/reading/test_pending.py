"""Is what is pending known in time, and at a price that no other tenant's requests raise?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from narfi.core.clock import ManualClock
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.reading import pending as module
from querier.reading.deletes import (
    MAX_QUERY_BYTES,
    DeleteRequests,
    Deletion,
    TooManyDeletesError,
    deletion_of,
)
from querier.reading.pending import FRESH_S, PendingDeletes
from storage.catalog.delete_log import PROCESSED, DeleteLog, DeleteRequest
from storage.catalog.sql import SqlCatalog

TENANT, OTHER = TenantId("t"), TenantId("u")
MANY = 200
QUERY = '{app="a"} |= "x"'


@pytest.fixture
def catalog() -> Iterator[SqlCatalog]:
    """An empty one."""
    found = SqlCatalog("sqlite://", ManualClock(1))
    yield found
    found.close()


@pytest.fixture
def log(catalog: SqlCatalog) -> DeleteLog:
    """Of one process."""
    return DeleteLog(catalog)


@pytest.fixture
def seconds() -> list[float]:
    """A clock that stands."""
    return [0.0]


@pytest.fixture
def pending(log: DeleteLog, seconds: list[float]) -> PendingDeletes:
    """Of the same process as `log`."""
    return PendingDeletes(log, lambda: seconds[0])


def requests_of(log: DeleteLog, most: int = 0) -> DeleteRequests:
    """As clients make them."""
    limits = Limits(max_pending_delete_requests=most)
    return DeleteRequests(log, ManualClock(1), lambda _: limits)


def ids(found: Sequence[Deletion]) -> list[str]:
    return [one.request_id for one in found]


class Statements:
    """What a database is asked, and how many rows it gives."""

    def __init__(self, catalog: SqlCatalog) -> None:
        self.asked: list[str] = []
        sa.event.listen(catalog.database.engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        self.asked.append(statement)


def finished(request: DeleteRequest) -> DeleteRequest:
    return replace(request, status=PROCESSED, finished_ns=2)


def test_what_this_process_acknowledged_is_known_at_once(
    log: DeleteLog, pending: PendingDeletes
) -> None:
    requests = requests_of(log)
    assert not pending.of(TENANT)
    made = requests.create(TENANT, '{app="a"}', 0, 1)
    assert ids(pending.of(TENANT)) == [made.request_id]
    assert not pending.of(OTHER)
    requests.cancel(TENANT, made.request_id, force=False)
    assert not pending.of(TENANT)
    made = requests.create(TENANT, '{app="a"}', 0, 1)
    assert log.change(made, finished(made))
    assert not pending.of(TENANT)
    again = requests.create(TENANT, '{app="a"}', 0, 1)
    assert ids(pending.of(TENANT)) == [again.request_id]


def test_another_process_is_heard_within_a_second(
    catalog: SqlCatalog, pending: PendingDeletes, seconds: list[float]
) -> None:
    other = requests_of(DeleteLog(catalog))
    assert not pending.of(TENANT)
    made = other.create(TENANT, QUERY, 0, 1)
    statements = Statements(catalog)
    for _ in range(100):
        assert not pending.of(TENANT)
    assert statements.asked == [], "one statement a second"
    seconds[0] += FRESH_S
    assert ids(pending.of(TENANT)) == [made.request_id]
    other.cancel(TENANT, made.request_id, force=False)
    seconds[0] += FRESH_S
    assert not pending.of(TENANT)


def test_nobody_reads_the_requests_of_another_tenant(
    catalog: SqlCatalog, log: DeleteLog, pending: PendingDeletes, seconds: list[float]
) -> None:
    requests = requests_of(log)
    for _ in range(MANY):
        requests.create(OTHER, QUERY, 0, 1)
    statements = Statements(catalog)
    assert not pending.of(TENANT)
    assert [s for s in statements.asked if "delete_requests" in s] == []
    requests.create(OTHER, QUERY, 0, 1)
    seconds[0] += FRESH_S
    statements.asked.clear()
    assert not pending.of(TENANT)
    assert len(statements.asked) == 1
    assert "delete_changes.version >" in statements.asked[0]


def test_what_is_known_is_neither_read_nor_parsed_again(
    catalog: SqlCatalog,
    log: DeleteLog,
    pending: PendingDeletes,
    seconds: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[str] = []

    def counted(request: DeleteRequest) -> Deletion:
        parsed.append(request.request_id)
        return deletion_of(request)

    monkeypatch.setattr(module, "deletion_of", counted)
    requests = requests_of(log)
    made = [requests.create(TENANT, QUERY, 0, 1) for _ in range(MANY)]
    assert len(pending.of(TENANT)) == len(parsed) == MANY
    requests.create(OTHER, QUERY, 0, 1)  # a change, of somebody else
    progress = replace(made[0], status="10% Complete")
    assert log.change(made[0], progress)  # which means what it meant
    seconds[0] += FRESH_S
    statements = Statements(catalog)
    assert len(pending.of(TENANT)) == MANY
    assert [s for s in statements.asked if "delete_requests" in s] == []
    requests.cancel(TENANT, made[1].request_id, force=False)
    assert len(pending.of(TENANT)) == MANY - 1
    assert len(parsed) == MANY, "a query is read once"


def test_no_more_than_the_tenant_may(log: DeleteLog, pending: PendingDeletes) -> None:
    requests = requests_of(log, 3)
    made = [requests.create(TENANT, QUERY, 0, 1) for _ in range(3)]
    changes = log.changes
    with pytest.raises(TooManyDeletesError, match=r"tenant t has 3 .*max_pending_delete_requests"):
        requests.create(TENANT, QUERY, 0, 1)
    assert log.changes == changes, "what is refused changes nothing"
    assert len(pending.of(TENANT)) == 3
    requests.create(OTHER, QUERY, 0, 1)
    requests.cancel(TENANT, made[0].request_id, force=False)
    requests.create(TENANT, QUERY, 0, 1)
    assert log.change(made[1], finished(made[1]))
    requests.create(TENANT, QUERY, 0, 1)
    with pytest.raises(TooManyDeletesError):
        requests.create(TENANT, QUERY, 0, 1)


def test_a_long_query_is_refused(log: DeleteLog) -> None:
    requests = requests_of(log)
    query = f'{{app="a"}} |= "{"x" * MAX_QUERY_BYTES}"'
    with pytest.raises(Exception, match=f"longer than {MAX_QUERY_BYTES} bytes"):
        requests.create(TENANT, query, 0, 1)
