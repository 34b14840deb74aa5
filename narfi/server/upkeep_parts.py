"""Who looks after stored blocks in this process? Upkeep, its jobs, and what runs beside it.

Constructed here, started by `wiring.py`. A process without the role compactor leaves blocks alone
but for those that it writes itself.
"""

import threading
from collections.abc import Callable

from ingester.head import Heads
from ingester.service import PushService
from narfi.core.clock import Clock
from narfi.core.settings import Settings
from narfi.core.trim import Trim
from narfi.server.executors import IDLE_S, ServerExecutor, far_merges, idle_tasks
from narfi.server.places import min_free_of, space_of
from narfi.server.retention import RetentionPolicies
from querier.reading.hiding import FindRows
from querier.running import Running as RunningQueries
from storage.catalog.delete_log import DeleteLog
from storage.catalog.jobs import Jobs
from storage.catalog.sql import SqlCatalog
from storage.store import BlockStore, StoreServices
from storage.vault.data_dir import DataDir
from upkeep.compaction import Compaction
from upkeep.deletes import Deletes
from upkeep.disk import DiskGuard
from upkeep.garbage import GarbageCollector
from upkeep.merge_policy import rules_within
from upkeep.metrics import measure
from upkeep.reserve import Reserve
from upkeep.retention import Retention
from upkeep.schedule import Task, Upkeep
from upkeep.size import shrink
from upkeep.worker import Worker

DISK_CHECK_S = 1.0
"""Between two looks at the free space: what a fast writer writes meanwhile is far less than
`compactor.min_free_disk`."""
LOOK_AGAIN_S = 30.0
"""Between two looks at damaged blocks: how long one that was repaired may stay left out."""
LEASE_S = 60.0
"""Between two times at which the catalog hears that blocks are being written and a job is done."""
TRIM_S = 0.25
"""Between two looks whether the process has grown, or requests freed much."""
ARENAS_S = 1.0
"""Between two looks whether a part has begun."""
NICENESS = 5
"""Of the thread that merges blocks and the like: whoever waits for an answer goes first, but on a
machine that is full at all times it still has a quarter of a core, so that merges keep up."""


def deletes(
    settings: Settings,
    delete_log: DeleteLog,
    find: FindRows,
    services: StoreServices,
    store: BlockStore,
    worker: Worker,
    flush: Callable[[], None],
) -> Deletes:
    """Who executes delete requests; `flush` puts what every head holds into blocks first."""
    return Deletes(
        log=delete_log,
        catalog=services.catalog,
        store=store,
        clock=services.clock,
        flush=flush,
        worker=worker,
        find=find,
        cancel_period_ns=settings.compactor.delete_request_cancel_period,
        receipts_kept_ns=settings.compactor.delete_receipts_kept,
    )


def worker(catalog: SqlCatalog, clock: Clock, store: BlockStore, *, alone: bool) -> Worker:
    """Who does jobs; `alone`: no other process does any in this catalog."""
    found = Worker(Jobs(catalog.database, clock), catalog, clock, store.owner)
    if alone:
        found.begin()
    return found


def upkeep(
    settings: Settings,
    data: DataDir,
    services: StoreServices,
    store: BlockStore,
    deletes: Deletes,
    garbage: GarbageCollector,
    worker: Worker,
    pushes: PushService,
    policies: RetentionPolicies,
) -> Upkeep:
    """The tasks of the process's roles in the order in which they run."""
    catalog, clock, compactor = services.catalog, services.clock, settings.compactor
    stopping = threading.Event()
    retention = Retention(
        catalog=catalog, store=store, clock=clock, worker=worker, policy_of=policies
    )
    is_compactor = "compactor" in settings.roles
    far = far_merges(settings, data, stopping.is_set) if is_compactor else None
    compaction = Compaction(
        catalog=catalog,
        store=store,
        clock=clock,
        worker=worker,
        rules=rules_within(compactor.max_merge_memory),
        far=far,
        room=lambda: _room(settings, data),
        stopping=stopping.is_set,
    )
    own = (Task("idle tenants", pushes.sweep),)
    if not is_compactor:
        return Upkeep("upkeep", own, compactor.interval / 1e9, stopping)
    tasks = (
        Task("deletes", deletes.execute),
        Task("retention", retention.run),
        Task("size", lambda: shrink(catalog, worker, compactor.max_total_bytes)),
        Task("compaction", compaction.run),
        Task("garbage", garbage.collect),
        Task("totals", lambda: measure(catalog)),
        *own,
    )
    if far is None:
        return Upkeep("upkeep", tasks, compactor.interval / 1e9, stopping, niceness=NICENESS)
    idle = Task("idle cluster", lambda: far.end_idle(IDLE_S))
    return Upkeep(
        "upkeep",
        (*tasks, idle),
        compactor.interval / 1e9,
        stopping,
        close=far.close,
        niceness=NICENESS,
    )


def disk_guard(settings: Settings, data: DataDir, services: StoreServices) -> Upkeep:
    """In a thread of its own: a full disk does not wait for a compaction."""
    reserve, min_free = Reserve(data.root / "reserve"), min_free_of(settings, data)
    guard = DiskGuard(services, lambda: space_of(settings), min_free, reserve)
    return Upkeep("disk guard", (Task("disk", guard.run),), DISK_CHECK_S)


def second_look(store: BlockStore) -> Upkeep:
    """In a thread of its own: a block that was repaired does not wait for a compaction."""
    task = Task("second look", store.quarantine.look_again)
    return Upkeep("second look", (task,), LOOK_AGAIN_S)


def leases(store: BlockStore, worker: Worker) -> Upkeep:
    """In a thread of its own: what takes long is renewed meanwhile."""
    return Upkeep(
        "leases", (Task("renew blocks", store.prolong), Task("renew jobs", worker.renew)), LEASE_S
    )


def _room(settings: Settings, data: DataDir) -> int:
    """Bytes that upkeep may write before the disk of the blocks counts as nearly full."""
    if data.is_far:
        return 2**63
    space = space_of(settings)
    return space.free - min_free_of(settings, data)(space.total)


def trim(running: RunningQueries, executor: ServerExecutor) -> Upkeep:
    """In a thread of its own."""
    trim = Trim(freed=lambda: running.freed_bytes)
    return Upkeep("memory", (Task("trim", trim.run), *idle_tasks(executor)), TRIM_S)


def idle_arenas(heads: Heads) -> Upkeep:
    """In a thread of its own, each second."""
    return Upkeep("arenas", (Task("arenas", heads.give_back_idle),), ARENAS_S)


def garbage(
    settings: Settings, services: StoreServices, worker: Worker, *, alone: bool
) -> GarbageCollector:
    """Who deletes what nobody needs; `alone`: what others began to write will not be finished."""
    found = GarbageCollector(services, settings.compactor.orphan_grace, worker)
    if alone:
        found.begin()
    return found
