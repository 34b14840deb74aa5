"""How do settings become objects? The only place that constructs the parts of a server."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from ingester.commit import Ledger
from ingester.flush import Flusher, FlushSettings
from ingester.head import Heads
from ingester.head_room import HeadRoom
from ingester.metrics import DAMAGED_SEGMENTS, LOST_FRAMES
from ingester.recovery import recover
from ingester.service import PushService
from ingester.streams import StreamResolver
from narfi.core.auth import Tenancy
from narfi.core.clock import Clock, SystemClock
from narfi.core.in_flight import InFlight
from narfi.core.kernels.jit import kernels
from narfi.core.kernels.warming import Warming
from narfi.core.settings import (
    Settings,
    SettingsError,
    TenantLimits,
    limits_of,
)
from narfi.core.threads import started_pool
from narfi.core.trim import Trim
from narfi.server.after_start import settle
from narfi.server.executors import ServerExecutor, executor_of, idle_tasks
from narfi.server.places import Places, min_free_of, open_data_dir, open_places, space_of
from narfi.server.retention import retention_policies
from narfi.server.tokens import Tokens, open_tokens
from querier.budget import Total
from querier.engine import Engine
from querier.executors.deleted_rows import DeletedRows
from querier.executors.fair import FairPool
from querier.executors.leaf import Executor
from querier.http_api.requests import QueryContext
from querier.logs.tail import TailHub
from querier.reading.deletes import DeleteRequests
from querier.reading.hiding import FindRows
from querier.reading.missing import Missing
from querier.reading.partial import Partial
from querier.reading.pending import PendingDeletes
from querier.reading.reading import Hiding
from querier.rules import Rule, rules_without
from querier.running import Running as RunningQueries
from querier.service import QueryService
from ruler.ruler import Ruler, RulerThreads, ruler_threads
from storage.block.identity import Layout
from storage.block.metrics import QUARANTINED_BLOCKS
from storage.block.quarantine import Quarantine
from storage.catalog.delete_log import DeleteLog
from storage.catalog.jobs import Jobs
from storage.catalog.rules import RuleStore
from storage.catalog.sql import SqlCatalog
from storage.journal.file import FileJournal
from storage.known import check_blocks_are_known
from storage.store import BlockStore, StoreServices
from storage.vault.data_dir import DataDir
from upkeep.compaction import Compaction
from upkeep.deletes import Deletes
from upkeep.disk import DiskGuard
from upkeep.garbage import GarbageCollector
from upkeep.merge_policy import rules_within
from upkeep.metrics import LONGEST_READER, PINNED_BLOCKS, measure
from upkeep.reserve import Reserve
from upkeep.retention import Retention
from upkeep.schedule import Task, Upkeep
from upkeep.size import shrink
from upkeep.worker import Worker

log = structlog.get_logger(__name__)

DISK_CHECK_S = 1.0
"""Between two looks at the free space: what a fast writer writes meanwhile is far less than
`compactor.min_free_disk`."""
LOOK_AGAIN_S = 30.0
"""Between two looks at damaged blocks: how long one that was repaired may stay left out."""
LOOK_S = 5.0
"""Between two looks whether far places answer."""
LEASE_S = 60.0
"""Between two times at which the catalog hears that blocks are being written and a job is done."""
TRIM_S = 0.25
"""Between two looks whether the process has grown, or requests freed much."""
ARENAS_S = 1.0
"""Between two looks whether a part has begun."""

Report = Callable[[str], None]
"""Told what the start is doing."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """All parts of one process."""

    settings: Settings
    tenancy: Tenancy
    tokens: Tokens
    journal: FileJournal
    catalog: SqlCatalog
    ledger: Ledger
    heads: Heads
    flusher: Flusher
    pushes: PushService
    queries: QueryContext
    push_pool: ThreadPoolExecutor
    executor: ServerExecutor
    limits: TenantLimits
    clock: Clock
    tails: TailHub
    deletes: DeleteRequests
    upkeep: Upkeep
    disk_guard: Upkeep
    quarantine: Quarantine
    second_look: Upkeep
    leases: Upkeep
    trim: Upkeep
    idle_arenas: Upkeep
    garbage: GarbageCollector
    worker: Worker
    in_flight: InFlight
    ruler: Ruler
    places: Places
    watch: Upkeep
    warming: Warming

    @property
    def keepers(self) -> tuple[Upkeep, ...]:
        """The threads that look after something from time to time."""
        keepers = (
            self.upkeep,
            self.disk_guard,
            self.second_look,
            self.leases,
            self.trim,
            self.idle_arenas,
            *self.tokens.keepers,
        )
        return (*keepers, self.watch) if self.places.reach.parts else keepers

    def start(self, report: Report) -> None:
        """Load kernels, compile those needed first where they are not kept, `recover`; blocks."""
        report("loading kernels")
        self.warming.begin()
        for done, total in self.warming.early():
            if done < total:
                report(f"compiling kernels, first start only ({done} of {total})")
        if self.warming.is_given_up:  # the process was told to stop
            return
        log.info("kernels are loaded", kernels=len(kernels()), compiled=self.warming.compiled)
        self.recover(report)
        settle()

    def recover(self, report: Report) -> None:
        """Replay the journal, then begin to flush; blocks."""
        report("replaying the journal")
        recover(
            self.journal,
            self.catalog,
            self.ledger,
            self.heads,
            self.clock,
            self.limits,
            lambda records: report(f"replaying the journal ({records} records)"),
        )
        self.flusher.start()

    def start_upkeep(self) -> None:
        """Begin to delete, expire, merge and evaluate rules; after the journal was replayed."""
        for keeper in self.keepers:
            keeper.start()
        self.ruler.start()

    def begin_stop(self) -> None:
        """Cancel what need not be finished; returns at once."""
        self.queries.running.stop()
        self.ruler.begin_stop()
        for keeper in self.keepers:
            keeper.ask_to_stop()
        self.warming.give_up()

    def stop(self) -> None:
        """Finish what is under way; everything acknowledged is in the journal or in blocks."""
        self.begin_stop()
        self.warming.close()
        self.push_pool.shutdown()
        self.queries.pool.close()
        self.ruler.stop()
        for keeper in self.keepers:
            keeper.stop()
        self.flusher.stop()
        self.executor.close()
        self.journal.close()
        self.places.close()


def _rules(names: tuple[str, ...]) -> tuple[Rule, ...]:
    try:
        return tuple(Rule(name) for name in names)
    except ValueError as error:
        known = ", ".join(Rule)
        raise SettingsError(f"querier.rules_off: {error}; there are {known}") from error


def _deletes(
    settings: Settings,
    delete_log: DeleteLog,
    find: FindRows,
    services: StoreServices,
    store: BlockStore,
    worker: Worker,
    flusher: Flusher,
) -> Deletes:
    return Deletes(
        log=delete_log,
        catalog=services.catalog,
        store=store,
        clock=services.clock,
        flush=flusher.flush_all,
        worker=worker,
        find=find,
        cancel_period_ns=settings.compactor.delete_request_cancel_period,
        receipts_kept_ns=settings.compactor.delete_receipts_kept,
    )


def _worker(catalog: SqlCatalog, clock: Clock, store: BlockStore) -> Worker:
    """Who does jobs; the journal's lock says that no other process does any in this catalog."""
    worker = Worker(Jobs(catalog.database, clock), catalog, clock, store.owner)
    worker.begin()
    return worker


def _upkeep(
    settings: Settings,
    data: DataDir,
    services: StoreServices,
    store: BlockStore,
    deletes: Deletes,
    garbage: GarbageCollector,
    worker: Worker,
    pushes: PushService,
) -> Upkeep:
    """The tasks in the order in which they run."""
    catalog, clock, compactor = services.catalog, services.clock, settings.compactor
    policies, stopping = retention_policies(settings), threading.Event()
    retention = Retention(
        catalog=catalog, store=store, clock=clock, worker=worker, policy_of=policies
    )
    compaction = Compaction(
        catalog=catalog,
        store=store,
        clock=clock,
        worker=worker,
        rules=rules_within(compactor.max_merge_memory),
        room=lambda: _room(settings, data),
        stopping=stopping.is_set,
    )
    tasks = (
        Task("deletes", deletes.execute),
        Task("retention", retention.run),
        Task("size", lambda: shrink(catalog, worker, compactor.max_total_bytes)),
        Task("compaction", compaction.run),
        Task("garbage", garbage.collect),
        Task("totals", lambda: measure(catalog)),
        Task("idle tenants", pushes.sweep),
    )
    return Upkeep("upkeep", tasks, compactor.interval / 1e9, stopping)


def _ruler(
    settings: Settings,
    threads: RulerThreads,
    service: QueryService,
    catalog: SqlCatalog,
    limits: TenantLimits,
    clock: Clock,
) -> Ruler:
    return Ruler(
        settings=settings.ruler,
        threads=threads,
        service=service,
        store=RuleStore(catalog.database),
        limits_of=limits,
        clock=clock,
        single_tenant=settings.tenancy == "single",
        folder=settings.data_dir / "ruler",
    )


def _disk_guard(settings: Settings, data: DataDir, services: StoreServices) -> Upkeep:
    """In a thread of its own: a full disk does not wait for a compaction."""
    reserve, min_free = Reserve(data.root / "reserve"), min_free_of(settings, data)
    guard = DiskGuard(services, lambda: space_of(settings), min_free, reserve)
    return Upkeep("disk guard", (Task("disk", guard.run),), DISK_CHECK_S)


def _second_look(store: BlockStore) -> Upkeep:
    """In a thread of its own: a block that was repaired does not wait for a compaction."""
    task = Task("second look", store.quarantine.look_again)
    return Upkeep("second look", (task,), LOOK_AGAIN_S)


def _leases(store: BlockStore, worker: Worker) -> Upkeep:
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


def _trim(running: RunningQueries, executor: ServerExecutor) -> Upkeep:
    """In a thread of its own."""
    trim = Trim(freed=lambda: running.freed_bytes)
    return Upkeep("memory", (Task("trim", trim.run), *idle_tasks(executor)), TRIM_S)


def _idle_arenas(heads: Heads) -> Upkeep:
    """In a thread of its own, each second."""
    return Upkeep("arenas", (Task("arenas", heads.give_back_idle),), ARENAS_S)


def _heads(settings: Settings, clock: Clock, tails: TailHub) -> Heads:
    ingester = settings.ingester
    return Heads(
        clock=clock,
        part_bytes=ingester.flush_bytes,
        watch=tails.offer,
        max_bytes=ingester.max_unflushed_bytes,
    )


def _engine(
    settings: Settings,
    heads: Heads,
    store: BlockStore,
    executor: Executor,
    missing: Missing,
    hiding: Hiding,
) -> Engine:
    QUARANTINED_BLOCKS.set_function(store.quarantine.__len__)
    partial = Partial(settings.querier.partial)
    return Engine(heads, store, executor, missing=missing.warnings, partial=partial, hiding=hiding)


def _flusher(
    settings: Settings,
    heads: Heads,
    store: BlockStore,
    journal: FileJournal,
    ledger: Ledger,
    clock: Clock,
) -> Flusher:
    journal.when_durable(ledger.durable)
    return Flusher(
        heads=heads,
        store=store,
        journal=journal,
        ledger=ledger,
        clock=clock,
        settings=FlushSettings(settings.ingester.flush_age),
    )


def _pushes(
    journal: FileJournal,
    ledger: Ledger,
    heads: Heads,
    flusher: Flusher,
    limits: TenantLimits,
    clock: Clock,
) -> PushService:
    return PushService(
        journal=journal,
        ledger=ledger,
        heads=heads,
        flusher=flusher,
        resolver=StreamResolver(),
        clock=clock,
        limits_of=limits,
        head_room=HeadRoom(heads, flusher.is_failing),
    )


def _garbage(settings: Settings, services: StoreServices, worker: Worker) -> GarbageCollector:
    """Told that what earlier processes began to write will not be finished."""
    garbage = GarbageCollector(services, settings.compactor.orphan_grace, worker)
    garbage.begin()
    return garbage


def _show_counters(journal: FileJournal, services: StoreServices) -> None:
    """Metrics that are read from those who count."""
    DAMAGED_SEGMENTS.set_function(lambda: journal.counters.damaged)
    LOST_FRAMES.set_function(lambda: journal.counters.lost)
    PINNED_BLOCKS.set_function(services.pins.count)
    LONGEST_READER.set_function(services.pins.longest_s)


def _queries(
    settings: Settings,
    service: QueryService,
    pool: FairPool,
    memory: Total,
    tenancy: Tenancy,
    clock: Clock,
) -> QueryContext:
    return QueryContext(
        service=service,
        pool=pool,
        tenancy=tenancy,
        clock=clock,
        running=RunningQueries(memory),
        rules=rules_without(_rules(settings.querier.rules_off)),
    )


def build(settings: Settings) -> Server:
    """The parts of a server; opens files but does not start anything."""
    clock = SystemClock()
    memory = Total(settings.querier.max_memory)
    pool = FairPool(settings.querier.query_threads, settings.querier.max_waiting, memory)
    push_pool = started_pool(settings.ingester.push_threads, "push")
    rule_threads = ruler_threads(settings.ruler)
    data, limits = open_data_dir(settings), limits_of(settings)
    executor = executor_of(settings, data, memory)
    journal = FileJournal(data.journal)
    places = open_places(data, clock)
    catalog, objects = places.catalog, places.objects
    services = StoreServices(catalog, objects, clock)
    least, layout = settings.ingester.shape_min_lines, Layout(settings.ingester.block_format)
    store = BlockStore(services, settings.querier.cache_bytes, least, layout)
    memory.share_with(store.columns)
    check_blocks_are_known(catalog, objects, journal.journal_id, journal.forgotten())
    _show_counters(journal, services)
    worker = _worker(catalog, clock, store)
    garbage = _garbage(settings, services, worker)
    tails = TailHub()
    heads = _heads(settings, clock, tails)
    ledger = Ledger()
    flusher = _flusher(settings, heads, store, journal, ledger, clock)
    pushes = _pushes(journal, ledger, heads, flusher, limits, clock)
    guard = _disk_guard(settings, data, services)
    journal.when_full(guard.run_once)
    delete_log = DeleteLog(catalog)
    hiding = Hiding(PendingDeletes(delete_log), DeletedRows().find)
    deletes = _deletes(settings, delete_log, hiding.find, services, store, worker, flusher)
    engine = _engine(settings, heads, store, executor, Missing(catalog.losses, clock), hiding)
    tenancy = Tenancy(settings.tenancy)
    service = QueryService(engine, limits)
    queries = _queries(settings, service, pool, memory, tenancy, clock)
    return Server(
        settings=settings,
        tenancy=tenancy,
        tokens=open_tokens(settings, catalog.database, clock),
        journal=journal,
        catalog=catalog,
        ledger=ledger,
        heads=heads,
        flusher=flusher,
        pushes=pushes,
        queries=queries,
        push_pool=push_pool,
        executor=executor,
        limits=limits,
        clock=clock,
        tails=tails,
        deletes=DeleteRequests(delete_log, clock, limits),
        upkeep=_upkeep(settings, data, services, store, deletes, garbage, worker, pushes),
        disk_guard=guard,
        quarantine=store.quarantine,
        second_look=_second_look(store),
        leases=_leases(store, worker),
        trim=_trim(queries.running, executor),
        idle_arenas=_idle_arenas(heads),
        garbage=garbage,
        worker=worker,
        in_flight=InFlight(settings.server.max_inflight_bytes),
        ruler=_ruler(settings, rule_threads, service, catalog, limits, clock),
        places=places,
        watch=Upkeep("reach", (Task("reach", places.reach.run),), LOOK_S),
        warming=Warming(kernels()),
    )
