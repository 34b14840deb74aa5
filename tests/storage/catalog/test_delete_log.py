"""Are requests counted, followed, listed and forgotten as they should be? On every engine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from narfi.core.tenant import TenantId
from storage.catalog import delete_log
from storage.catalog.delete_log import (
    NOTHING_SEEN,
    PROCESSED,
    DeleteLog,
    DeleteRequest,
    pending_requests,
)
from storage.catalog.sql import SqlCatalog
from tests.storage.catalog.conftest import Opener

TENANT, OTHER = TenantId("t"), TenantId("u")


def request(number: int, tenant: TenantId = TENANT) -> DeleteRequest:
    """Made at its number."""
    return DeleteRequest(
        tenant=tenant,
        request_id=f"{number:08x}",
        query='{app="a"}',
        start_ns=0,
        end_ns=1,
        created_ns=number,
    )


def finish(log: DeleteLog, one: DeleteRequest, at_ns: int) -> None:
    assert log.change(one, replace(one, status=PROCESSED, finished_ns=at_ns))


def numbers(found: object) -> list[int]:
    return [one.created_ns for one in found]  # type: ignore[attr-defined]


def test_two_processes_keep_to_the_limit_together(opened: Opener) -> None:
    logs = [DeleteLog(opened()) for _ in range(2)]

    def add(log: DeleteLog, first: int) -> int:
        return sum(log.add(request(first + k), 10) for k in range(20))

    with ThreadPoolExecutor(2) as pool:
        added = sum(pool.map(add, logs, (0, 100)))
    assert added == len(logs[0].pending(TENANT)) == 10


def test_the_same_request_is_added_once(opened: Opener) -> None:
    log = DeleteLog(opened())
    assert log.add(request(1), 2)
    assert log.add(request(1), 2), "as after a commit that nobody learnt of"
    assert numbers(log.pending(TENANT)) == [1]


def test_who_changed_is_told_until_it_was_seen(opened: Opener) -> None:
    mine, other = DeleteLog(opened()), DeleteLog(opened())
    assert mine.changed_since(NOTHING_SEEN) == {}
    one, two = request(1), request(2, OTHER)
    mine.add(one)
    seen = other.changed_since(NOTHING_SEEN)
    assert list(seen) == [TENANT]
    mine.add(two)
    changed = other.changed_since(seen[TENANT])
    assert list(changed) == [OTHER]
    newest = changed[OTHER]
    begun = replace(one, status="0% Complete")
    assert mine.change(one, begun)
    assert other.changed_since(newest) == {}, "it hides what it hid"
    finish(mine, begun, 5)
    changed = other.changed_since(newest)
    assert list(changed) == [TENANT]
    assert mine.remove(two, begun=False)
    assert list(other.changed_since(changed[TENANT])) == [OTHER]


def test_what_is_done_is_listed_within_limits_and_forgotten(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delete_log, "MAX_FINISHED", 3)
    log = DeleteLog(opened())
    for number in range(8):
        log.add(request(number))
    for number in range(2, 8):
        finish(log, request(number), 100 + number)
    assert numbers(log.requests(TENANT)) == [0, 1, 5, 6, 7]
    assert numbers(log.pending(TENANT)) == [0, 1]
    found = log.request(TENANT, f"{2:08x}")
    assert found is not None
    assert found.finished_ns == 102
    assert log.forget(102) == 0
    assert log.forget(104) == 2
    assert log.request(TENANT, f"{2:08x}") is None
    assert log.forget(10**6) == 4
    assert numbers(log.requests(TENANT)) == [0, 1], "what is pending stays"
    assert log.requests(OTHER) == []


def test_only_what_is_due_is_read(opened: Opener) -> None:
    log = DeleteLog(opened())
    for number, tenant in enumerate((TENANT, OTHER, TENANT, OTHER)):
        log.add(request(number, tenant))
    finish(log, request(0), 9)
    assert numbers(log.made_before(2)) == [1, 2]


def _asked_by(log: DeleteLog) -> list[Callable[[], object]]:
    return [
        lambda: log.pending(TENANT),
        lambda: log.made_before(5),
        lambda: log.changed_since(5),
        lambda: log.forget(5),
        lambda: log.requests(TENANT),
    ]


@pytest.mark.parametrize("which", range(5))
def test_an_index_finds_them(which: int) -> None:
    """SQLite tells how it goes about a statement: none looks at every request."""
    catalog = SqlCatalog("sqlite://")
    statements: list[tuple[str, object]] = []
    sa.event.listen(
        catalog.database.engine,
        "before_cursor_execute",
        lambda _c, _k, statement, values, *_: statements.append((statement, values)),
    )
    _asked_by(DeleteLog(catalog))[which]()
    asked = list(statements)
    assert asked
    with catalog.database.reading() as connection:
        for statement, values in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
            steps = [row[-1] for row in plan]
            assert steps
            assert not [step for step in steps if step.startswith("SCAN")], (statement, steps)
    catalog.close()


def test_pending_requests_of_all(opened: Opener) -> None:
    catalog = opened()
    log = DeleteLog(catalog)
    for number, tenant in enumerate((TENANT, OTHER)):
        log.add(request(number, tenant))
    with catalog.database.reading() as connection:
        found = delete_log.read_requests(connection, pending_requests(None))
    assert numbers(found) == [0, 1]
