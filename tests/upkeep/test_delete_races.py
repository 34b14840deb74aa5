"""Is a delete done or cancelled, and told as it is, when workers and a client race for it?

Threads run one at a time in an order drawn by a seed; each look at, and change of, the catalog is a
place at which another one may go on.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from narfi.core.errors import AppError, InvalidRequestError
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.executors.deleted_rows import DeletedRows
from querier.reading.deletes import DeleteRequestNotFoundError, DeleteRequests
from storage.catalog.base import CatalogConflictError
from storage.catalog.delete_log import PROCESSED, RECEIVED, DeleteLog, DeleteRequest
from tests.schedules import Schedule, drawn
from tests.storage.form import ORDINARY
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import worker_of
from upkeep.deletes import Deletes

SEEDS = range(25)


class PausingLog(DeleteLog):
    """A log of which every call is a seam of a schedule."""

    def __init__(self, stored: Stored, schedule: Schedule) -> None:
        super().__init__(stored.catalog)
        self._schedule = schedule

    def made_before(self, time_ns: int) -> Sequence[DeleteRequest]:
        """Read, and let others go on."""
        found = super().made_before(time_ns)
        self._schedule.pause()
        return found

    def request(self, tenant: TenantId, request_id: str) -> DeleteRequest | None:
        """Read, and let others go on."""
        found = super().request(tenant, request_id)
        self._schedule.pause()
        return found

    def change(self, old: DeleteRequest, new: DeleteRequest) -> bool:
        """Let others go on, then change."""
        self._schedule.pause()
        return super().change(old, new)

    def remove(self, request: DeleteRequest, *, begun: bool) -> bool:
        """Let others go on, then remove."""
        self._schedule.pause()
        return super().remove(request, begun=begun)


def deletes_of(stored: Stored, schedule: Schedule) -> Deletes:
    """One process's deletes; while it flushes others go on."""
    log = PausingLog(stored, schedule)
    return Deletes(
        log=log,
        catalog=stored.catalog,
        store=stored.store,
        clock=stored.clock,
        flush=schedule.pause,
        worker=worker_of(stored.catalog, stored.store),
        find=DeletedRows().find,
        cancel_period_ns=0,
    )


def requests_of(stored: Stored, schedule: Schedule) -> DeleteRequests:
    """What a client asks."""
    return DeleteRequests(PausingLog(stored, schedule), stored.clock, lambda _: Limits())


def filled(folder: Path, blocks: int) -> Stored:
    """Blocks with a good line and a doomed one, and a request."""
    stored = Stored(folder)
    for number in range(blocks):
        at = NOW - number * DAY
        stored.add([("a", at, b"good", {}), ("a", at + 1, b"secret", {})])
    return stored


def left(stored: Stored) -> tuple[int, int]:
    """(good lines, doomed lines) that are visible."""
    lines = [line for _, _, line, _ in stored.entries()]
    return lines.count(b"good"), lines.count(b"secret")


@pytest.mark.parametrize("force", [False, True])
def test_a_request_is_done_or_cancelled(tmp_path: Path, force: bool) -> None:
    outcomes: set[str] = set()
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        stored, schedule = filled(folder, 2), Schedule(drawn(seed))
        deletes = deletes_of(stored, schedule)
        requests = requests_of(stored, schedule)
        made = requests.create(TENANT, '{app="a"} |= "secret"', 0, NOW + DAY)
        told: list[str] = []

        def cancel(
            requests: DeleteRequests = requests, made: DeleteRequest = made, told: list[str] = told
        ) -> None:
            try:
                requests.cancel(TENANT, made.request_id, force=force)
                told.append("cancelled")
            except InvalidRequestError:
                told.append("too late")

        schedule.start("worker", partial(work, deletes))
        schedule.start("client", cancel)
        schedule.run()
        outcomes.update(told)
        good, doomed = left(stored)
        status = [request.status for request in DeleteLog(stored.catalog).requests(TENANT)]
        assert good == 2
        if told == ["cancelled"]:
            assert status == []
            assert doomed == 2 or force, f"seed {seed}: a request that was cancelled deleted"
        else:
            assert (status, doomed) == ([PROCESSED], 0), f"seed {seed}"
        stored.close()
    assert outcomes == {"cancelled", "too late"}


def work(deletes: Deletes) -> None:
    """Whatever is due, until another worker is faster with a block."""
    with suppress(CatalogConflictError):
        deletes.execute()


def test_two_workers_do_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        folder.mkdir()
        stored, schedule = filled(folder, 3), Schedule(drawn(seed))
        replace = stored.catalog.replace

        def swap(*blocks: Any, schedule: Schedule = schedule, replace: Any = replace) -> None:
            schedule.pause()
            replace(*blocks)

        monkeypatch.setattr(stored.catalog, "replace", swap)
        workers = [deletes_of(stored, schedule) for _ in range(2)]
        requests_of(stored, schedule).create(TENANT, '{app="a"} |= "secret"', 0, NOW + DAY)

        for number, deletes in enumerate(workers):
            schedule.start(f"worker {number}", partial(work, deletes))
        schedule.run()
        workers[0].execute()
        (request,) = DeleteLog(stored.catalog).requests(TENANT)
        assert (request.status, left(stored)) == (PROCESSED, (3, 0)), f"seed {seed}"
        assert request.deleted_rows <= 3, "a receipt never promises more than was done"
        stored.close()


def test_one_request_that_fails_stops_no_other(tmp_path: Path) -> None:
    stored = filled(tmp_path, 2)
    damaged = stored.rows()[0]
    schedule = Schedule(drawn(0))
    deletes = deletes_of(stored, schedule)
    requests_of(stored, schedule).create(TENANT, '{app="a"} |= "secret"', 0, NOW + DAY)
    other = stored.add([("a", NOW - 50 * DAY, b"secret", {})])
    stored.clock.advance(1)
    requests_of(stored, schedule).create(TENANT, '{app="a"} |= "secret"', 0, NOW - 40 * DAY)
    next(stored.folder.rglob(f"{damaged.block_id}/{ORDINARY.opening}")).write_bytes(b"?")
    with pytest.raises(AppError):
        deletes.execute()
    done = {r.status for r in DeleteLog(stored.catalog).requests(TENANT)}
    assert PROCESSED in done
    assert len(done) == 2
    assert other.block_id not in {row.block_id for row in stored.rows()}
    stored.close()


def test_a_request_that_nobody_made_cannot_be_cancelled(tmp_path: Path) -> None:
    stored = filled(tmp_path, 1)
    deletes = requests_of(stored, Schedule(drawn(0)))
    made = deletes.create(TENANT, '{app="a"}', 0, NOW)
    assert made.status == RECEIVED
    with pytest.raises(DeleteRequestNotFoundError):
        deletes.cancel(TENANT, "00000000", force=True)
    stored.close()
