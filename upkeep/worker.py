"""How is one job of upkeep done so that its failure is its own? Beside others, and again later.

A task plans its jobs anew in each round, from the catalog, and does them one after another. A job
that fails is noted in the catalog with the time from which it may be tried again
(`storage/catalog/jobs.py`); the round goes on, and raises the first error at its end. A job of
which a block was replaced or dropped meanwhile is stale: that is no failure, and the next round
plans with what is there then.
Invariant: a merge, or a rewrite of retention, has taken its blocks: no other one of any process is
at one of them. A delete takes its request only: when its swap is refused, it goes on in the next
round.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import structlog
from prometheus_client import Counter, Gauge

from narfi.core.clock import NS_PER_S, Clock
from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from storage.catalog.base import Catalog, CatalogConflictError
from storage.catalog.jobs import NOBODY, Job, Jobs

log = structlog.get_logger(__name__)

HELD_NS = 600 * NS_PER_S
"""How long a worker may not be heard of before others may take its job. While a job runs another
thread renews it (`Worker.renew`), so it may take longer."""
MAX_FAILED = 20
"""Jobs of a round that fail one after another; then the storage is away, not these jobs bad. Those
behind them are tried in the next round, and these only after their pause."""

JOBS_DONE = Counter(
    "narfi_upkeep_jobs_total",
    "Jobs of upkeep that were done, failed, or became stale, by kind.",
    ["kind", "outcome"],
)
JOBS_FAILED = Gauge(
    "narfi_upkeep_jobs_failed", "Jobs of upkeep that failed and wait to be tried again.", ["kind"]
)


class OutOfDateError(AppError):
    """What was planned cannot, or need not, be done as it was: it is to be planned anew."""


class Kind(StrEnum):
    """What a job does."""

    MERGE = "merge"  # blocks become one
    EXPIRE = "expire"  # blocks go, or a block is written again without expired streams
    SIZE = "size"  # the oldest blocks of all go
    DELETE = "delete"  # blocks are written again without what a request asks for
    REMOVE = "remove"  # the objects of a removed block are deleted


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done; equal work has one name, however often it is planned."""

    kind: Kind
    tenant: TenantId
    blocks: tuple[str, ...]  # ids; nobody else may write them anew meanwhile
    name: str = ""  # of what it is done for, such as a request

    def job(self) -> Job:
        """The job that nobody holds yet."""
        text = "\0".join((self.tenant, self.name, *sorted(self.blocks)))
        name = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        return Job(
            job_id=f"{self.kind}-{name}", kind=self.kind, tenant=self.tenant, blocks=self.blocks
        )


class Worker:
    """Does jobs for one process, in one thread; what failed is known to all through the catalog."""

    def __init__(self, jobs: Jobs, catalog: Catalog, clock: Clock, holder: str) -> None:
        self._jobs, self._catalog, self._clock, self.holder = jobs, catalog, clock, holder
        self._under_way: Job | None = None  # replaced whole by the thread that works

    def renew(self) -> int:
        """Hold the job that is under way for longer; for a thread of its own. How many: 0 or 1.

        What somebody else took, since nobody heard of this worker for long, stays with him: the end
        of the job finds out.
        """
        job = self._under_way
        return int(job is not None and self._jobs.renew(job, HELD_NS))

    def working_at(self, job: Job | None) -> None:
        """Which job is taken, and has to be held until it is done."""
        self._under_way = job

    def begin(self) -> None:
        """Take over from processes before this one, for one who knows that none is alive.

        What failed is tried at once: who restarts a server has often mended something.
        """
        self._jobs.begin(self.holder)

    def failed(self) -> Sequence[Job]:
        """Jobs of all kinds and processes that failed and were not done since, the worst first."""
        failed = [job for job in self._jobs.all() if job.attempts]
        return sorted(failed, key=lambda job: (-job.attempts, job.job_id))

    @contextmanager
    def round(self, kind: Kind) -> Iterator["Round"]:
        """Jobs of one kind; raises the first error of a job when all others are done."""
        found = self._jobs.all()
        this = Round(
            jobs=self._jobs,
            catalog=self._catalog,
            kind=kind,
            worker=self,
            found=found,
            now_ns=self._clock.now_ns(),
        )
        yield this
        this.end()


class Round:
    """One pass of a task over its jobs."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        catalog: Catalog,
        kind: Kind,
        worker: Worker,
        found: Sequence[Job],
        now_ns: int,
    ) -> None:
        self._jobs, self._catalog, self._kind, self._worker = jobs, catalog, kind, worker
        self._holder = holder = worker.holder
        held = [j for j in found if j.holder not in (NOBODY, holder) and j.expires_ns > now_ns]
        self._known = {job.job_id: job for job in found if job.kind == kind}
        self._waiting = {j.job_id for j in self._known.values() if j.not_before_ns > now_ns}
        self._planned: set[str] = set()
        self._failed = {job.job_id for job in self._known.values() if job.attempts}
        self._held = {job.job_id for job in held}
        self._errors: list[Exception] = []
        self._failed_in_a_row = 0
        self.done = 0  # jobs
        self.busy = frozenset(
            block
            for job in (*held, *(self._known[name] for name in self._waiting))
            for block in job.blocks
        )
        """Blocks of jobs that others are at, or that failed and are not to be tried yet."""

    @property
    def gives_up(self) -> bool:
        """So many jobs failed one after another that the others are left for the next round."""
        return self._failed_in_a_row >= MAX_FAILED

    def due(self) -> list[Work]:
        """Work that failed before and may be tried again, as far as its blocks are there."""
        due = [
            job
            for name, job in self._known.items()
            if job.attempts and name not in self._waiting and name not in self._held
        ]
        visible = self._visible({block for job in due for block in job.blocks})
        return [
            Work(self._kind, job.tenant, job.blocks)
            for job in due
            if job.blocks and visible.issuperset(job.blocks)
        ]

    def may_try(self, work: Work) -> bool:
        """Whether the work did not fail, or is due again: for what is costly to prepare."""
        job_id = work.job().job_id
        self._planned.add(job_id)
        return job_id not in self._waiting

    def give_up(self, work: Work) -> None:
        """Forget that work failed: it will not be tried again."""
        job = work.job()
        self._jobs.withdraw([job.job_id])
        self._known.pop(job.job_id, None)
        self._failed.discard(job.job_id)

    def do(self, work: Work, act: Callable[[], int]) -> int:
        """Take a job and do it; what `act` returned, or 0. Errors are kept for the end.

        0 too when somebody else is at it or at one of its blocks, or when it failed and is not due.
        """
        return self._try(work, act, takes=True)

    def attempt(self, work: Work, act: Callable[[], int]) -> int:
        """As `do`, for what needs no taking: it writes no block, and may be done twice."""
        return self._try(work, act, takes=False)

    def _try(self, work: Work, act: Callable[[], int], *, takes: bool) -> int:
        assert work.kind == self._kind, "a round is of one kind"
        job = work.job()
        self._planned.add(job.job_id)
        if self.gives_up or job.job_id in self._waiting:
            return 0
        job = self._known.get(job.job_id, job)
        taken: Job | None = None
        try:
            if takes:
                taken = self._jobs.take(job, self._holder, HELD_NS)
                if taken is None:
                    return 0
                self._worker.working_at(taken)
            done = act()
        except Exception as error:  # noqa: BLE001 - whatever it is, other jobs are still done
            if not self._is_stale(work, error):
                self._fail(taken or job, error)
                return 0
            log.info("a job of upkeep is out of date", job=job.job_id, tenant=job.tenant)
            self._settle(job, taken, "stale")
            return 0
        finally:
            self._worker.working_at(None)
        self._settle(job, taken, "done")
        self.done += 1
        return done

    def _is_stale(self, work: Work, error: Exception) -> bool:
        """Whether it has to be planned anew: somebody else replaced or dropped a block of it."""
        if isinstance(error, OutOfDateError):
            return True
        if not isinstance(error, CatalogConflictError):
            return False
        try:
            return not work.blocks or not self._visible(work.blocks).issuperset(work.blocks)
        except AppError:
            return False

    def _settle(self, job: Job, taken: Job | None, outcome: str) -> None:
        """There is nothing to be done any more, and no row says so."""
        JOBS_DONE.labels(self._kind, outcome).inc()
        self._failed_in_a_row = 0
        self._failed.discard(job.job_id)
        try:
            if taken is not None:
                self._jobs.finish(taken)
            elif job.job_id in self._known:
                self._jobs.withdraw([job.job_id])
        except AppError as fault:  # the row is seen once more, and forgotten then
            log.warning("the end of a job was not noted", job=job.job_id, error=fault.message)

    def _fail(self, job: Job, error: Exception) -> None:
        told = error.message if isinstance(error, AppError) else repr(error)
        log.error(
            "a job of upkeep failed",
            kind=job.kind,
            job=job.job_id,
            tenant=job.tenant,
            blocks=len(job.blocks),
            attempts=job.attempts + 1,
            error=told,
        )
        JOBS_DONE.labels(self._kind, "failed").inc()
        self._failed_in_a_row += 1
        self._failed.add(job.job_id)
        self._errors.append(error)
        try:
            self._jobs.fail(job, told)
        except AppError as fault:  # then it is tried in the next round already
            log.warning("a failed job was not noted", job=job.job_id, error=fault.message)

    def end(self) -> None:
        """Forget what is not to be done any more, and raise the first error of a job."""
        if not self.gives_up:
            self._forget_dead()
        JOBS_FAILED.labels(self._kind).set(len(self._failed))
        if self._errors:
            raise self._errors[0]

    def _forget_dead(self) -> None:
        """Rows of jobs that were not planned and cannot be: their blocks went."""
        old = [
            job
            for name, job in self._known.items()
            if name not in self._planned and name not in self._held
        ]
        blocks = {block for job in old for block in job.blocks}
        there = self._catalog.known(sorted(blocks)) if blocks else set()
        if self._kind is not Kind.REMOVE:
            there = self._visible(there)
        dead = [job.job_id for job in old if not job.blocks or not there.issuperset(job.blocks)]
        if dead:
            self._jobs.withdraw(dead)
            self._failed.difference_update(dead)

    def _visible(self, blocks: Sequence[str] | set[str]) -> set[str]:
        return {row.block_id for row in self._catalog.visible(sorted(blocks))}
