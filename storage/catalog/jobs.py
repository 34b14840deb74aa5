"""Who does which piece of upkeep, and which pieces failed? A row per job that is held or failed.

What is to be done follows from the catalog at any time, so jobs that nobody works at need no row. A
job is taken for a time by one worker, and its epoch grows each time: a worker that was away too
long cannot finish or fail a job that somebody else has taken since. A failed job may be tried again
after a pause that doubles with each failure, up to `LAST_BACKOFF_NS`.
Invariant: two jobs over one block are never held by two workers at once.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from storage.catalog.base import CatalogConflictError
from storage.catalog.database import Database
from storage.catalog.tables import JOBS

NOBODY = ""
FIRST_BACKOFF_NS = 30 * 10**9
LAST_BACKOFF_NS = 3600 * 10**9
TAKING = 7_410_953_201
"""PostgreSQL's advisory lock: one worker at a time compares blocks with those that are held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of upkeep; the fields after `blocks` are kept by `Jobs`."""

    job_id: str  # names the work: the same work has one row
    kind: str  # merge, delete, …
    tenant: TenantId
    blocks: tuple[str, ...] = ()  # ids; nobody else shall write them anew meanwhile
    attempts: int = 0  # that failed
    epoch: int = 0
    error: str = ""  # of the last attempt
    not_before_ns: int = 0  # when it may be tried again
    holder: str = NOBODY
    expires_ns: int = 0  # until then it is held


class Jobs:
    """The jobs of all processes; thread-safe. A holder does one job at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def take(self, job: Job, holder: str, for_ns: int) -> Job | None:
        """Hold a job for a time; None while it may not be done.

        It is held by another holder, or failed and is not due, or another holder is at one of its
        blocks. What the holder itself took before counts as given up.
        """
        now = self._clock.now_ns()

        def take(connection: sa.Connection) -> Job | None:
            self._one_at_a_time(connection)
            others = (JOBS.c.holder != NOBODY) & (JOBS.c.holder != holder)
            held = others & (JOBS.c.expires_ns > now)
            mine = JOBS.c.job_id == job.job_id
            found = [_job(row) for row in connection.execute(sa.select(JOBS).where(held | mine))]
            known = next((one for one in found if one.job_id == job.job_id), job)
            if known.not_before_ns > now or _is_held(known, holder, now):
                return None
            busy = {block for one in found if one is not known for block in one.blocks}
            if not busy.isdisjoint(job.blocks):
                return None
            taken = replace(known, holder=holder, epoch=known.epoch + 1, expires_ns=now + for_ns)
            _put(connection, taken)
            return taken

        return self._database.write(take)

    def renew(self, job: Job, for_ns: int) -> bool:
        """Hold a job for that long from now; false when it is not held any more."""
        until = self._clock.now_ns() + for_ns
        statement = sa.update(JOBS).where(_held(job)).values(expires_ns=until)
        return self._database.write(lambda c: c.execute(statement).rowcount > 0)

    def finish(self, job: Job) -> None:
        """The job is done; `CatalogConflictError` when somebody else has it by now.

        Where it has no row it was told to be done, here perhaps, by a commit of which nobody heard.
        """
        mine, any_of_it = sa.delete(JOBS).where(_held(job)), JOBS.c.job_id == job.job_id

        def finish(connection: sa.Connection) -> bool:
            if connection.execute(mine).rowcount:
                return True
            return connection.execute(sa.select(JOBS.c.epoch).where(any_of_it)).first() is None

        if not self._database.write(finish):
            raise CatalogConflictError(f"job {job.job_id} is not held any more")

    def fail(self, job: Job, error: str) -> None:
        """Note a failure, of a job that was taken or of one that needs no taking.

        `CatalogConflictError` when somebody else holds it.
        """
        now = self._clock.now_ns()

        def fail(connection: sa.Connection) -> None:
            self._one_at_a_time(connection)
            row = connection.execute(sa.select(JOBS).where(JOBS.c.job_id == job.job_id)).first()
            known = job if row is None else _job(row)
            if known.epoch != job.epoch and known.holder != NOBODY:
                raise CatalogConflictError(f"job {job.job_id} is not held any more")
            pause = min(FIRST_BACKOFF_NS << min(known.attempts, 20), LAST_BACKOFF_NS)
            failed = replace(
                known,
                holder=NOBODY,
                expires_ns=0,
                attempts=known.attempts + 1,
                not_before_ns=now + pause,
                error=error,
            )
            _put(connection, failed)

        self._database.write(fail)

    def withdraw(self, job_ids: Sequence[str]) -> None:
        """Forget jobs that failed or were given up: there is nothing to be done any more."""
        which = JOBS.c.job_id.in_(job_ids)
        self._database.write(lambda connection: connection.execute(sa.delete(JOBS).where(which)))

    def begin(self, holder: str) -> None:
        """Give back what others hold and let all that failed be tried at once.

        For one who knows that no other worker is alive.
        """
        anew = {"holder": NOBODY, "expires_ns": 0, "not_before_ns": 0}
        others = JOBS.c.holder != holder
        self._database.write(lambda c: c.execute(sa.update(JOBS).where(others).values(anew)))

    def all(self) -> Sequence[Job]:
        """Every job that has a row, in order of id."""
        with self._database.reading() as connection:
            return [
                _job(row) for row in connection.execute(sa.select(JOBS).order_by(JOBS.c.job_id))
            ]

    def _one_at_a_time(self, connection: sa.Connection) -> None:
        """SQLite has one writer at a time anyway."""
        if connection.dialect.name != "sqlite":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(TAKING)))


def _is_held(job: Job, by_others_than: str, now_ns: int) -> bool:
    return job.holder not in (NOBODY, by_others_than) and job.expires_ns > now_ns


def _held(job: Job) -> sa.ColumnElement[bool]:
    return (JOBS.c.job_id == job.job_id) & (JOBS.c.epoch == job.epoch) & (JOBS.c.holder != NOBODY)


def _put(connection: sa.Connection, job: Job) -> None:
    """Insert or overwrite the row."""
    values = {name: getattr(job, name) for name in Job.__slots__ if name != "blocks"}
    values["payload"] = json.dumps({"blocks": job.blocks})
    statement = sa.update(JOBS).where(JOBS.c.job_id == job.job_id).values(values)
    if not connection.execute(statement).rowcount:
        connection.execute(sa.insert(JOBS).values(values))


def _job(row: Any) -> Job:
    values = {name: getattr(row, name) for name in Job.__slots__ if name != "blocks"}
    blocks = tuple(json.loads(row.payload)["blocks"])
    return Job(**{**values, "tenant": TenantId(row.tenant), "blocks": blocks})
