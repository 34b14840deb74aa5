"""How do settings become objects? The only place that constructs the parts of a server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from ingester.commit import Ledger
from ingester.flush import Flusher, FlushSettings
from ingester.grpc_api.heads import HeadService
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
    TenantLimits,
    limits_of,
)
from narfi.core.tenant import TenantId
from narfi.core.threads import started_pool
from narfi.server import upkeep_parts
from narfi.server.after_start import leave_alone, settle
from narfi.server.canary_book import book_of
from narfi.server.executors import ServerExecutor, executor_of
from narfi.server.health import Health
from narfi.server.journals import Journals, file_journals, shared_journals
from narfi.server.places import Places, cached_objects, open_data_dir, open_places
from narfi.server.retention import RetentionPolicies, policies_of
from narfi.server.ruler_parts import rule_claims, ruler_of
from narfi.server.start_checks import rules_of
from narfi.server.tokens import Tokens, open_tokens
from querier.budget import Total
from querier.engine import Engine
from querier.executors.asked_lately import AskedLately
from querier.executors.deleted_rows import DeletedRows
from querier.executors.fair import FairPool
from querier.executors.leaf import Executor
from querier.http_api.encode import Apply
from querier.http_api.query_log import QueryLog
from querier.http_api.requests import QueryContext
from querier.logs.tail import TailHub
from querier.reading.deletes import DeleteRequests
from querier.reading.missing import Missing
from querier.reading.partial import Partial
from querier.reading.pending import PendingDeletes
from querier.reading.reading import Hiding
from querier.rules import rules_without
from querier.running import Running as RunningQueries
from querier.service import QueryService
from ruler.ruler import Ruler, ruler_threads
from storage.batch import LogBatch
from storage.block.identity import Layout
from storage.block.metrics import QUARANTINED_BLOCKS
from storage.catalog.delete_log import DeleteLog
from storage.catalog.saved import SavedSearches
from storage.catalog.sql import SqlCatalog
from storage.journal.base import Journal
from storage.known import check_blocks_are_known
from storage.store import BlockStore, StoreServices
from storage.vault.data_dir import DataDir
from upkeep.garbage import GarbageCollector
from upkeep.metrics import LONGEST_READER, PINNED_BLOCKS
from upkeep.schedule import Task, Upkeep
from upkeep.worker import Worker

log = structlog.get_logger(__name__)

LOOK_S = 5.0
"""Between two looks whether far places answer."""
PUSHES_WAITING = 16
"""Push threads for each of `ingester.push_threads` where a commit is a put: most of them wait."""

Report = Callable[[str], None]
"""Told what the start is doing."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """All parts of one process."""

    settings: Settings
    tenancy: Tenancy
    tokens: Tokens
    journal: Journal
    journals: Journals
    head_service: HeadService | None  # for other processes
    other_tails: tuple[Upkeep, ...]
    catalog: SqlCatalog
    store: BlockStore
    ledger: Ledger
    heads: Heads
    flusher: Flusher
    pushes: PushService
    queries: QueryContext
    push_pool: ThreadPoolExecutor
    executor: ServerExecutor
    limits: TenantLimits
    retention: RetentionPolicies
    clock: Clock
    tails: TailHub
    deletes: DeleteRequests
    saved: SavedSearches
    upkeep: Upkeep
    disk_guard: Upkeep
    second_look: Upkeep
    leases: Upkeep
    trim: Upkeep
    idle_arenas: Upkeep
    garbage: GarbageCollector
    worker: Worker
    in_flight: InFlight
    ruler: Ruler
    rule_claims: tuple[Upkeep, ...]
    places: Places
    watch: Upkeep
    warming: Warming
    health: Health

    @property
    def keepers(self) -> tuple[Upkeep, ...]:
        """The threads that look after something from time to time."""
        keepers: tuple[Upkeep, ...] = (
            self.upkeep,
            self.disk_guard,
            self.second_look,
            self.leases,
            self.trim,
            self.idle_arenas,
            *self.tokens.keepers,
            *self.rule_claims,
        )
        if self.journals.cluster is not None:
            keepers = (*keepers, *self.journals.cluster.keepers, *self.other_tails)
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
        log.info("kernels are there", kernels=len(kernels()), compiled=self.warming.compiled)
        self.recover(report)
        leave_alone()

    def load_rest(self) -> None:
        """Load kernels that the first requests do not need, and give back what is left; blocks."""
        self.warming.load_rest(lambda: bool(self.queries.running.now()))
        settle()

    def recover(self, report: Report) -> None:
        """Replay the journal, or begin a new one, then begin to flush; blocks."""
        cluster = self.journals.cluster
        if cluster is not None:  # what a process before left is adopted, by this one or another
            cluster.begin()
            self.ledger.recovered()
            if "ingester" in self.settings.roles:
                self.flusher.start()
            return
        report("replaying the journal")
        recover(
            self.journal,
            self.catalog,
            self.ledger,
            self.heads,
            self.clock,
            self.limits,
            lambda done: report(f"replaying the journal ({done})"),
        )
        self.flusher.start()

    def start_upkeep(self) -> None:
        """Begin to delete, expire, merge and evaluate rules; after the journal was replayed."""
        for keeper in self.keepers:
            keeper.start()
        if "ruler" in self.settings.roles:
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
        self.journals.close()
        self.places.close()


def _heads(settings: Settings, clock: Clock, watch: Callable[[TenantId, LogBatch], None]) -> Heads:
    ingester = settings.ingester
    return Heads(
        clock=clock,
        part_bytes=ingester.flush_bytes,
        watch=watch,
        max_bytes=ingester.max_unflushed_bytes,
    )


def _engine(
    settings: Settings,
    heads: Heads,
    store: BlockStore,
    executor: Executor,
    catalog: SqlCatalog,
    hiding: Hiding,
    journals: Journals,
) -> Engine:
    QUARANTINED_BLOCKS.set_function(store.quarantine.__len__)
    return Engine(
        journals.own_heads(heads),
        store,
        executor,
        missing=Missing(catalog.losses, SystemClock()).warnings,
        partial=Partial(settings.querier.partial),
        hiding=hiding,
        others=journals.others,
    )


def _flusher(
    settings: Settings,
    heads: Heads,
    store: BlockStore,
    journals: Journals,
    ledger: Ledger,
    clock: Clock,
) -> Flusher:
    journals.journal.when_durable(ledger.durable)
    return Flusher(
        heads=heads,
        store=store,
        journal=journals.journal,
        ledger=ledger,
        clock=clock,
        settings=FlushSettings(settings.ingester.flush_age),
        publish=journals.publisher(store),
    )


def _pushes(
    journals: Journals,
    ledger: Ledger,
    heads: Heads,
    flusher: Flusher,
    limits: TenantLimits,
    clock: Clock,
) -> PushService:
    return PushService(
        journal=journals.journal,
        ledger=ledger,
        heads=heads,
        flusher=flusher,
        resolver=StreamResolver(),
        clock=clock,
        limits_of=journals.share_of(limits),
        head_room=HeadRoom(heads, flusher.is_failing),
    )


def _push_threads(settings: Settings) -> int:
    waiting = PUSHES_WAITING if settings.ingester.journal == "objects" else 1
    return waiting * settings.ingester.push_threads


def _store(settings: Settings, data: DataDir, services: StoreServices, memory: Total) -> BlockStore:
    least, layout = settings.ingester.shape_min_lines, Layout(settings.ingester.block_format)
    cached = cached_objects(settings, data, services.objects)
    store = BlockStore(
        services,
        settings.querier.cache_bytes,
        least,
        layout,
        read_through=cached,
        pack_fresh=data.is_far,
    )
    memory.share_with(store.columns)
    return store


def _opened(
    settings: Settings, data: DataDir, clock: Clock, memory: Total
) -> tuple[Places, StoreServices, BlockStore]:
    places = open_places(data, clock, shared=settings.ingester.journal == "objects")
    services = StoreServices(places.catalog, places.objects, clock)
    return places, services, _store(settings, data, services, memory)


def _show_counters(journal: Journal, services: StoreServices) -> None:
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
    *,
    apply: Apply,
) -> QueryContext:
    return QueryContext(
        service=service,
        pool=pool,
        query_log=QueryLog(settings.querier.log_queries_longer_than),
        tenancy=tenancy,
        clock=clock,
        running=RunningQueries(memory),
        rules=rules_without(rules_of(settings.querier.rules_off)),
        apply=apply,
    )


def _query_threads(settings: Settings, memory: Total, lately: AskedLately) -> FairPool:
    querier = settings.querier
    return FairPool(querier.query_threads, querier.max_waiting, memory, lately=lately)


def build(settings: Settings) -> Server:
    """The parts of a server; opens files but does not start anything."""
    clock, shared = SystemClock(), settings.ingester.journal == "objects"
    memory, lately = Total(settings.querier.max_memory), AskedLately()
    pool, rules = _query_threads(settings, memory, lately), ruler_threads(settings.ruler, lately)
    push_pool = started_pool(_push_threads(settings), "push")
    limits, retention, data = limits_of(settings), policies_of(settings), open_data_dir(settings)
    executor = executor_of(settings, data, memory, lately)
    own = None if shared else file_journals(data)
    places, services, store = _opened(settings, data, clock, memory)
    catalog = places.catalog
    journals = own or shared_journals(settings, data, places, store, clock, limits)
    check_blocks_are_known(catalog, places.objects, *journals.forgotten())
    _show_counters(journals.journal, services)
    worker = upkeep_parts.worker(catalog, clock, store, alone=not shared)
    garbage = upkeep_parts.garbage(settings, services, worker, alone=not shared)
    tails, ledger = TailHub(), Ledger()
    heads = _heads(settings, clock, journals.watch(tails))
    flusher = _flusher(settings, heads, store, journals, ledger, clock)
    pushes = _pushes(journals, ledger, heads, flusher, limits, clock)
    guard = upkeep_parts.disk_guard(settings, data, services)
    journals.when_full(guard.run_once)
    requests, find = DeleteLog(catalog), DeletedRows().find
    hiding, flush = Hiding(PendingDeletes(requests), find), journals.flush_all(flusher.flush_all)
    deletes = upkeep_parts.deletes(settings, requests, find, services, store, worker, flush)
    engine = _engine(settings, heads, store, executor, catalog, hiding, journals)
    tenancy, service = Tenancy(settings.tenancy), QueryService(engine, limits)
    ruler = ruler_of(settings, rules, service, catalog, limits, clock)
    queries = _queries(settings, service, pool, memory, tenancy, clock, apply=executor.apply)
    return Server(
        settings=settings,
        tenancy=tenancy,
        tokens=open_tokens(settings, catalog.database, clock),
        journal=journals.journal,
        journals=journals,
        head_service=journals.head_service(heads, flusher),
        other_tails=journals.follow_others(tails) if "querier" in settings.roles else (),
        catalog=catalog,
        store=store,
        ledger=ledger,
        heads=heads,
        flusher=flusher,
        pushes=pushes,
        queries=queries,
        push_pool=push_pool,
        executor=executor,
        limits=limits,
        retention=retention,
        clock=clock,
        tails=tails,
        deletes=DeleteRequests(requests, clock, limits),
        saved=SavedSearches(catalog.database),
        upkeep=upkeep_parts.upkeep(
            settings, data, services, store, deletes, garbage, worker, pushes, retention
        ),
        disk_guard=guard,
        second_look=upkeep_parts.second_look(store),
        leases=upkeep_parts.leases(store, worker),
        trim=upkeep_parts.trim(queries.running, executor),
        idle_arenas=upkeep_parts.idle_arenas(heads),
        garbage=garbage,
        worker=worker,
        in_flight=InFlight(settings.server.max_inflight_bytes),
        ruler=ruler,
        rule_claims=rule_claims(settings, ruler),
        places=places,
        watch=Upkeep("reach", (Task("reach", places.reach.run),), LOOK_S),
        warming=Warming(kernels()),
        health=Health(clock, book_of(settings)),
    )
