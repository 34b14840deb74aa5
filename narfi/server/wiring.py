"""How do settings become objects? The only place that constructs the parts of a server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ingester.flush import Flusher, FlushSettings
from ingester.head import Heads
from ingester.metrics import DAMAGED_SEGMENTS
from ingester.recovery import recover
from ingester.service import PushParts, PushService
from ingester.streams import StreamResolver
from narfi.core.auth import Tenancy
from narfi.core.clock import Clock, SystemClock
from narfi.core.kernels.jit import warm_up
from narfi.core.settings import Settings, SettingsError, TenantLimits, limits_of
from narfi.core.tenant import TenantId
from narfi.server.upkeep import Task, Upkeep
from querier.deletes import DeleteParts, Deletes
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.http_api.requests import QueryContext
from querier.plan.rules import Rule, rules_without
from querier.service import QueryService
from querier.tail import TailHub
from storage.catalog.delete_log import DeleteLog
from storage.catalog.sql import SqlCatalog
from storage.journal.file import FileJournal
from storage.objects.filesystem import LocalObjects
from storage.store import BlockStore, StoreParts
from storage.upkeep.compaction import compact
from storage.upkeep.orphans import OrphanCleaner
from storage.upkeep.retention import expire

Report = Callable[[str], None]
"""Told what the start is doing."""


@dataclass(frozen=True)
class Server:
    """All parts of one process."""

    settings: Settings
    tenancy: Tenancy
    journal: FileJournal
    catalog: SqlCatalog
    heads: Heads
    flusher: Flusher
    pushes: PushService
    queries: QueryContext
    push_pool: ThreadPoolExecutor
    executor: LocalExecutor
    limits: TenantLimits
    clock: Clock
    tails: TailHub
    deletes: Deletes
    upkeep: Upkeep

    def start(self, report: Report) -> None:
        """Compile kernels, replay the journal, begin to flush; blocks."""
        for done, total, _ in warm_up():
            report(f"compiling kernels, first start only ({done}/{total})")
        self.flusher.start()
        report("replaying the journal")
        recover(
            self.journal,
            self.catalog,
            self.heads,
            self.flusher,
            self.limits,
            lambda frames: report(f"replaying the journal ({frames} frames)"),
        )

    def start_upkeep(self) -> None:
        """Begin to delete, expire and merge; after the journal was replayed."""
        self.upkeep.start()

    def stop(self) -> None:
        """Finish what is under way; everything acknowledged is in the journal or in blocks."""
        self.push_pool.shutdown()
        self.queries.pool.shutdown(cancel_futures=True)
        self.upkeep.stop()
        self.flusher.stop()
        self.executor.close()
        self.journal.close()
        self.catalog.close()


def _rules(names: tuple[str, ...]) -> tuple[Rule, ...]:
    try:
        return tuple(Rule(name) for name in names)
    except ValueError as error:
        known = ", ".join(Rule)
        raise SettingsError(f"querier.rules_off: {error}; there are {known}") from error


def _upkeep(
    settings: Settings, parts: StoreParts, store: BlockStore, deletes: Deletes, limits: TenantLimits
) -> Upkeep:
    """The tasks in the order in which they run."""
    catalog, clock = parts.catalog, parts.clock
    cleaner = OrphanCleaner(catalog, parts.objects, clock, settings.compactor.orphan_grace)
    tasks = (
        Task("deletes", deletes.execute),
        Task("retention", lambda: len(expire(catalog, clock, _retention(limits)))),
        Task("compaction", lambda: compact(catalog, store)),
        Task("orphans", cleaner.clean),
    )
    return Upkeep(tasks, settings.compactor.interval / 1e9)


def _retention(limits: TenantLimits) -> Callable[[TenantId], int]:
    return lambda tenant: limits(tenant).retention_period_ns


def build(settings: Settings) -> Server:
    """The parts of a server; opens files but does not start anything."""
    clock = SystemClock()
    data = settings.data_dir
    data.mkdir(parents=True, exist_ok=True)
    limits = limits_of(settings)
    journal = FileJournal(data / "journal")
    DAMAGED_SEGMENTS.set_function(lambda: journal.counters.damaged)
    catalog = SqlCatalog(f"sqlite:///{data.resolve()}/catalog.db")
    parts = StoreParts(catalog, LocalObjects(data / "objects"), clock)
    store = BlockStore(parts, settings.querier.cache_bytes, settings.ingester.shape_min_lines)
    tails = TailHub()
    heads = Heads(clock, settings.ingester.flush_bytes, tails.offer)
    flusher = Flusher(heads, store, journal, clock, FlushSettings(settings.ingester.flush_age))
    pushes = PushService(
        PushParts(
            journal,
            heads,
            flusher,
            StreamResolver(),
            clock,
            limits,
            settings.ingester.max_unflushed_bytes,
        )
    )
    off = _rules(settings.querier.rules_off)
    deletes = Deletes(
        DeleteParts(
            DeleteLog(catalog),
            catalog,
            store,
            clock,
            flusher.flush_all,
            settings.compactor.delete_request_cancel_period,
        )
    )
    executor = LocalExecutor(settings.querier.scan_threads)
    service = QueryService(Engine(heads, store, executor), heads, store, limits)
    tenancy = Tenancy(settings.tenancy)
    pool = ThreadPoolExecutor(settings.querier.query_threads, thread_name_prefix="query")
    push_pool = ThreadPoolExecutor(settings.ingester.push_threads, thread_name_prefix="push")
    return Server(
        settings,
        tenancy,
        journal,
        catalog,
        heads,
        flusher,
        pushes,
        QueryContext(service, pool, tenancy, clock, rules_without(off)),
        push_pool,
        executor,
        limits,
        clock,
        tails,
        deletes,
        _upkeep(settings, parts, store, deletes, limits),
    )
