"""Where is what a process acknowledges until it is in blocks, and who else has some of it?

In files of the data folder, for a process that has blocks and catalog for itself; or in objects,
where several processes share both: then a process with the role ingester has a journal of its own
with a lease, and takes over those of others; a process with the role querier asks the others.
"""

import contextlib
import os
import socket
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ingester.adoption import Adopter, Holder
from ingester.flush import Flusher, Publish
from ingester.followers import Followers
from ingester.frames import JournalFrames
from ingester.grpc_api.heads import HeadService
from ingester.head import Heads
from ingester.lease import HeldLeases, JournalLease
from ingester.shares import Shares
from narfi.core.clock import Clock
from narfi.core.limits import LimitsOf
from narfi.core.settings import Settings
from narfi.core.tenant import TenantId
from narfi.core.threads import started_pool
from narfi.server.places import Places
from narfi.server.tls import Certificates
from querier.grpc_api.heads_client import HeadsClient
from querier.logs.other_tails import OtherTails
from querier.logs.tail import TailHub
from querier.reading.other_heads import JournalEntries, OtherHeads
from storage.batch import LogBatch
from storage.catalog.base import BlockRow, CatalogError, Watermark
from storage.catalog.leases import JournalRow, JournalState, Leases
from storage.head_exchange import Meant
from storage.journal.absent import AbsentJournal
from storage.journal.base import Journal, JournalAwayError, JournalError
from storage.journal.file import FileJournal
from storage.journal.lock import take_lock
from storage.journal.numbers import JournalNumbers
from storage.journal.objects import ObjectJournal
from storage.scan import LogSource, SourceProvider
from storage.store import BlockStore
from storage.vault.data_dir import DataDir
from upkeep.schedule import Task, Upkeep

SEALS_KEPT_MS = 30 * 24 * 3600 * 1000
"""A writer that was paused for longer finds its lease gone by its own clock."""
RENEWALS = 3
"""Of a lease in its time to live."""
FOLLOW_S = 0.5
"""Between two looks for ingesters that are new, for those who follow a query."""
ANSWERING = 4
"""Threads for questions of others."""
LOOK_S = 2.0
"""Between two looks for leases that ran out, and for objects that may be deleted."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why this process acknowledges no push."""

    reason: str
    for_good: bool


@dataclass(frozen=True, kw_only=True)
class Journals:
    """The journal of this process, and what it does about those of others."""

    journal: Journal
    file: FileJournal | None = None  # the same one, when it is in files
    cluster: "Cluster | None" = None  # when places are shared
    others: OtherHeads | None = None
    followers: Followers = field(default_factory=Followers)  # of this process, in others

    def watch(self, tails: TailHub) -> Callable[[TenantId, LogBatch], None]:
        """Who is handed each batch that came in."""
        if self.cluster is None:
            return tails.offer

        def offer(tenant: TenantId, batch: LogBatch) -> None:
            tails.offer(tenant, batch)
            self.followers.offer(tenant, batch)

        return offer

    def follow_others(self, tails: TailHub) -> tuple[Upkeep, ...]:
        """Have what comes in at other ingesters handed to those who follow a query here."""
        cluster = self.cluster
        if cluster is None:
            return ()
        cluster.tails = OtherTails(
            tails,
            journals=cluster.leases.open,
            follow=cluster.client.follow,
            is_mine=cluster.is_mine,
        )
        return (Upkeep("other tails", (Task("tails", cluster.tails.look),), FOLLOW_S),)

    def forgotten(self) -> tuple[str, int]:
        """Journal id, and the newest record that may be gone since a block holds it; for a start.

        A journal in objects begins anew with each process.
        """
        return ("", 0) if self.file is None else (self.file.journal_id, self.file.forgotten())

    def when_full(self, make_room: Callable[[], None]) -> None:
        """See `FileJournal.when_full`; a bucket is never full."""
        if self.file is not None:
            self.file.when_full(make_room)

    def publisher(self, store: BlockStore) -> Publish | None:
        """How a flush commits, where that is not the store's own way."""
        return None if self.cluster is None else self.cluster.publisher(store)

    def own_heads(self, heads: SourceProvider) -> SourceProvider:
        """The heads as queries see them: not those of a journal that was taken over."""
        return heads if self.cluster is None else _Unfenced(heads, self.cluster)

    def share_of(self, limits: LimitsOf) -> LimitsOf:
        """The limits of pushes in this process, where others take pushes too."""
        return limits if self.cluster is None else Shares(limits, lambda: self.ingesters)

    @property
    def ingesters(self) -> int:
        """How many take pushes, as it was last known."""
        return 1 if self.cluster is None else self.cluster.ingesters

    def head_service(self, heads: Heads, flusher: Flusher) -> HeadService | None:
        """What answers other processes for the head of this one."""
        cluster = self.cluster
        if cluster is None or cluster.journal is None:
            return None
        mine = Meant(cluster.journal.journal_id, cluster.holder.name)
        return HeadService(
            mine,
            heads,
            flusher,
            followers=self.followers,
            is_fenced=cluster.is_fenced,
            pool=cluster.answering,
        )

    def trouble(self) -> Trouble | None:
        """Why no push is acknowledged; None when they are, or are not this process's business."""
        cluster = self.cluster
        if cluster is None or cluster.lease is None:
            return None
        if cluster.journal is not None and cluster.journal.is_fenced:
            return Trouble(cluster.journal.fenced_because, for_good=True)
        try:
            cluster.lease.may_acknowledge()
        except JournalError as error:
            return Trouble(error.message, for_good=False)
        return None

    def flush_all(self, own: Callable[[], None]) -> Callable[[], None]:
        """Puts what all ingesters acknowledged into blocks; `own`: of this process."""
        cluster = self.cluster
        if cluster is None:
            return own

        def flush() -> None:
            own()
            cluster.flush_others()

        return flush

    def close(self) -> None:
        """After the last push and query: let others take what is left."""
        if self.others is not None:
            self.others.close()
        if self.cluster is not None:
            self.cluster.close()


@dataclass(frozen=True, slots=True)
class _Unfenced:
    """The heads of this process while its journal is its own."""

    heads: SourceProvider
    cluster: "Cluster"

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """As `Heads.sources`; what was taken over is in the journal or in blocks."""
        return [] if self.cluster.is_fenced() else self.heads.sources(tenant, start_ns, end_ns)


@dataclass(kw_only=True)
class Cluster:
    """What a process that shares bucket and catalog knows of the others."""

    leases: Leases
    numbers: JournalNumbers
    client: HeadsClient
    holder: Holder
    held: HeldLeases
    frames: JournalFrames
    journal: ObjectJournal | None  # None: this process is no ingester
    adopter: Adopter | None
    lease: JournalLease | None = None  # from `begin` on
    keepers: tuple[Upkeep, ...] = ()  # the first one renews leases
    lock_file: int
    tails: OtherTails | None = None
    answering: ThreadPoolExecutor  # what others ask of this process's head
    ingesters: int = 1  # that take pushes, as it was last known

    def begin(self) -> None:
        """Commit that the journal begins; before the first push."""
        if self.journal is None:
            return
        holder = self.holder
        ttl_ms = int(holder.ttl_s * 1000)
        fence = self.leases.begin(self.journal.journal_id, holder.name, "", ttl_ms)
        self.lease = JournalLease(
            leases=self.leases, numbers=self.numbers, fence=fence, ttl_s=holder.ttl_s
        )
        self.lease.when_fenced(self.journal.fence)
        self.held.add(self.lease)
        self.keepers[0].start()  # a start may take long from here on

    def listens(self) -> None:
        """Other processes can ask this one from now on."""
        if self.lease is not None:
            self.lease.address = self.holder.address
            with contextlib.suppress(CatalogError):  # the next renewal tells it
                self.lease.renew()

    def may_acknowledge(self) -> None:
        """As `JournalLease.may_acknowledge`."""
        if self.lease is None:
            raise JournalAwayError("the journal has not begun")
        self.lease.may_acknowledge()

    def forget(self, number: int) -> None:
        """As `JournalLease.forget`."""
        if self.lease is not None:
            self.lease.forget(number)

    def publisher(self, store: BlockStore) -> Publish:
        """Publishes under the lease."""

        def publish(rows: Sequence[BlockRow], marks: Sequence[Watermark]) -> None:
            if self.lease is None:
                raise JournalAwayError("the journal has not begun")
            self.lease.publish(rows, marks, store)

        return publish

    def is_fenced(self) -> bool:
        """Whether this process's journal was taken over."""
        return self.journal is not None and self.journal.is_fenced

    def is_mine(self, journal_id: str) -> bool:
        """Whether what the journal holds is in this process's head."""
        mine = self.journal
        return mine is not None and mine.journal_id == journal_id and not mine.is_fenced

    def others(self) -> OtherHeads:
        """What other processes hold."""

        def read(journal_id: str, tenant: TenantId) -> JournalEntries:
            found = self.frames.behind(journal_id, tenant)
            return JournalEntries(found.batches, found.damaged)

        return OtherHeads(
            journals=self.leases.open, ask=self.client.scan, read=read, is_mine=self.is_mine
        )

    def flush_others(self) -> None:
        """Return when what others acknowledged is in blocks; raises `AppError`."""
        for row in self.leases.open():
            if self.is_mine(row.journal_id):
                continue
            if row.state is not JournalState.LIVE:
                message = f"journal {row.journal_id} is not in blocks yet: its ingester is gone"
                raise JournalAwayError(message)
            self.client.flush(row)

    def count(self) -> int:
        """Look how many ingesters take pushes; 0. Raises `CatalogError`."""
        rows = self.leases.open()
        live = sum(row.state is JournalState.LIVE and not row.expired for row in rows)
        self.ingesters = max(1, live)
        return 0

    def rows(self) -> Sequence[JournalRow]:
        """Journals of which something may be in no block yet."""
        return self.leases.open()

    def close(self) -> None:
        """After the last push: let others take what is left, and threads and connections go."""
        if self.lease is not None:
            with contextlib.suppress(CatalogError):  # then it runs out
                self.leases.release(self.lease.fence)
        if self.tails is not None:
            self.tails.close()
        self.answering.shutdown(wait=False, cancel_futures=True)
        self.numbers.close()
        self.client.close()
        os.close(self.lock_file)


def file_journals(data: DataDir) -> Journals:
    """In the data folder; its lock says that no other process serves it."""
    journal = FileJournal(data.journal)
    return Journals(journal=journal, file=journal)


def shared_journals(
    settings: Settings,
    data: DataDir,
    places: Places,
    store: BlockStore,
    clock: Clock,
    limits_of: LimitsOf,
) -> Journals:
    """In the object store, of a process that shares it with others."""
    data.journal.mkdir(parents=True, exist_ok=True)
    lock_file = take_lock(data.journal)
    leases, numbers = Leases(places.catalog.database), JournalNumbers(places.objects)
    journal_id = str(uuid.uuid4())
    cluster = Cluster(
        leases=leases,
        numbers=numbers,
        client=HeadsClient(credentials=_trusted(settings), peer_name=settings.server.tls.peer_name),
        holder=Holder(
            name=uuid.uuid4().hex,
            address=advertised(settings),
            ttl_s=settings.ingester.lease_ttl / 1e9,
            journal_id=journal_id,
        ),
        held=HeldLeases(),
        frames=JournalFrames(leases, places.catalog, numbers, limits_of),
        journal=None,
        adopter=None,
        lock_file=lock_file,
        answering=started_pool(ANSWERING, "head answer"),
    )
    if "ingester" not in settings.roles:
        return Journals(journal=AbsentJournal(), cluster=cluster, others=cluster.others())
    cluster.journal = ObjectJournal(
        places.hasty,
        journal_id,
        interval_s=settings.ingester.commit_interval / 1e9,
        may_acknowledge=cluster.may_acknowledge,
        forget=cluster.forget,
    )
    cluster.adopter = Adopter(
        leases=leases,
        held=cluster.held,
        holder=cluster.holder,
        objects=places.objects,
        numbers=numbers,
        store=store,
        catalog=places.catalog,
        clock=clock,
        limits_of=limits_of,
        part_bytes=settings.ingester.flush_bytes,
    )
    cluster.keepers = _keepers(cluster, cluster.adopter)
    return Journals(journal=cluster.journal, cluster=cluster, others=cluster.others())


def _keepers(cluster: Cluster, adopter: Adopter) -> tuple[Upkeep, ...]:
    """Renewals never wait for an adoption."""
    renew = Task("journal leases", cluster.held.renew), Task("ingesters", cluster.count)

    def delete() -> int:
        return 0 if cluster.lease is None else cluster.lease.delete_forgotten()

    tasks = (
        Task("journal objects", delete),
        Task("journals of others", adopter.run),
        Task("seals", lambda: adopter.sweep(SEALS_KEPT_MS)),
    )
    return (
        Upkeep("journal leases", renew, cluster.holder.ttl_s / RENEWALS),
        Upkeep("journals", tasks, LOOK_S),
    )


def _trusted(settings: Settings) -> Any:
    """How ingesters are trusted, where processes speak TLS."""
    tls = settings.server.tls
    return Certificates(tls).peer_credentials() if tls.is_on else None


def advertised(settings: Settings) -> str:
    """Where other processes reach the gRPC listener of this one."""
    if settings.server.grpc_advertised:
        return settings.server.grpc_advertised
    host, _, port = settings.server.grpc.rpartition(":")
    if host.strip("[]") in ("0.0.0.0", "::", ""):
        host = socket.gethostbyname(socket.gethostname())
    return f"{host}:{port}"
