"""Who does which piece of upkeep? A row per job, claimed for a time by one worker.

A claim has an epoch that grows with each one: a worker that was away too long cannot finish, fail
or renew a job that somebody else has claimed since. A failed job comes back after its back-off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from storage.catalog.base import CatalogConflictError
from storage.catalog.database import Database
from storage.catalog.life import insert_unless_there
from storage.catalog.tables import JOBS

NOBODY = ""
FIRST_BACKOFF_NS = 30 * 10**9
LAST_BACKOFF_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of upkeep."""

    job_id: str  # names the work: the same work is never there twice
    kind: str  # compaction, delete, …
    tenant: TenantId
    payload: str  # JSON, of the kind
    attempts: int = 0  # that failed
    epoch: int = 0
    error: str = ""  # of the last attempt


class Jobs:
    """The jobs of all processes; thread-safe."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add(self, job: Job) -> bool:
        """Offer a job; false when it is there already."""
        values = _values(job) | {"not_before_ns": 0, "holder": NOBODY, "expires_ns": 0}
        return self._database.write(lambda c: insert_unless_there(c, JOBS, values))

    def claim(self, kind: str, holder: str, for_ns: int) -> Job | None:
        """The job of the kind that waits longest, for a time; None when there is none."""
        now = self._clock.now_ns()
        free = (
            sa.select(JOBS.c.job_id)
            .where(JOBS.c.kind == kind)
            .where(JOBS.c.not_before_ns <= now)
            .where((JOBS.c.holder == NOBODY) | (JOBS.c.expires_ns <= now))
            .order_by(JOBS.c.not_before_ns, JOBS.c.job_id)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has one writer at a time and leaves it out
            .scalar_subquery()
        )
        statement = (
            sa.update(JOBS)
            .where(JOBS.c.job_id == free)
            .values(holder=holder, epoch=JOBS.c.epoch + 1, expires_ns=now + for_ns)
            .returning(JOBS)
        )
        row = self._database.write(lambda connection: connection.execute(statement).first())
        return None if row is None else _job(row)

    def renew(self, job: Job, for_ns: int) -> None:
        """Hold a job longer; `CatalogConflictError` when it is not held any more."""
        self._change(job, {"expires_ns": self._clock.now_ns() + for_ns})

    def finish(self, job: Job) -> None:
        """The job is done; `CatalogConflictError` when it is not held any more."""
        statement = sa.delete(JOBS).where(_held(job))
        if not self._database.write(lambda c: c.execute(statement).rowcount):
            raise _lost(job)

    def fail(self, job: Job, error: str) -> None:
        """Give the job back, to be tried after a pause that doubles with each attempt."""
        pause = min(FIRST_BACKOFF_NS << min(job.attempts, 20), LAST_BACKOFF_NS)
        self._change(
            job,
            {
                "holder": NOBODY,
                "expires_ns": 0,
                "attempts": job.attempts + 1,
                "not_before_ns": self._clock.now_ns() + pause,
                "error": error,
            },
        )

    def all(self) -> Sequence[Job]:
        """Every job, in order of id."""
        with self._database.reading() as connection:
            return [
                _job(row) for row in connection.execute(sa.select(JOBS).order_by(JOBS.c.job_id))
            ]

    def _change(self, job: Job, values: dict[str, Any]) -> None:
        statement = sa.update(JOBS).where(_held(job)).values(values)
        if not self._database.write(lambda c: c.execute(statement).rowcount):
            raise _lost(job)


def _held(job: Job) -> sa.ColumnElement[bool]:
    return (JOBS.c.job_id == job.job_id) & (JOBS.c.epoch == job.epoch) & (JOBS.c.holder != NOBODY)


def _lost(job: Job) -> CatalogConflictError:
    return CatalogConflictError(f"job {job.job_id} is not held any more")


def _values(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in Job.__slots__}


def _job(row: Any) -> Job:
    values = {name: getattr(row, name) for name in Job.__slots__}
    return Job(**{**values, "tenant": TenantId(row.tenant)})
