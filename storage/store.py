"""How are stored blocks found, made and shown? Catalog rows, opened as sources."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from narfi.core.clock import NS_PER_S, Clock
from narfi.core.errors import AppError
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.block.folders import delete_objects
from storage.block.footer import DamagedBlockError
from storage.block.identity import BlockIdentity, Layout
from storage.block.layout import block_prefix
from storage.block.merge_rows import Kept
from storage.block.opening import BlockIndex
from storage.block.pins import Pins, Reader
from storage.block.preparing import preparation
from storage.block.progress import Progress, untold
from storage.block.quarantine import Quarantine, Quarantined
from storage.block.reader import BlockSource, open_block
from storage.block.rewriting import LostMergeError, MergeSpec, Rewriting
from storage.block.shapes.encode import MIN_ROWS
from storage.block.shapes.warm import WarmEncoder
from storage.block.writer import write_run
from storage.cache import ByteCache
from storage.catalog.base import (
    BlockRow,
    Catalog,
    CatalogConflictError,
    Fence,
    Intent,
    Watermark,
)
from storage.catalog.listing import Listing
from storage.objects.base import Allow, BadObjectError, ObjectStore, freely
from storage.objects.cached import CachedObjects
from storage.scan import Found, LeftOut, LogSource

INDEX_CACHE_BYTES = 64 * 1024 * 1024
INTENT_NS = 3600 * NS_PER_S
"""How long a block may take from its first object to its row, or from one time that its writer was
heard of (`prolong`) to the next; then it is given up."""

PREPARED = 0.75
"""Of a cache, before somebody asks."""


@dataclass(frozen=True, slots=True)
class StoreServices:
    """What a block store is made of, and all that delete its objects share."""

    catalog: Catalog
    objects: ObjectStore
    clock: Clock
    pins: Pins = field(default_factory=Pins)


class BlockStore:
    """The visible blocks (`StoredSources`); thread-safe. What is read is pinned meanwhile."""

    def __init__(
        self,
        services: StoreServices,
        cache_bytes: int,
        shape_min_lines: int = MIN_ROWS,
        layout: Layout = Layout(),  # noqa: B008 - immutable
        *,
        read_through: CachedObjects | None = None,
        pack_fresh: bool = False,
    ) -> None:
        """`read_through`: the same objects for queries, which read them again and again.

        `pack_fresh`: blocks that are flushed are two objects, where each costs a request.
        """
        self._services, self._shape_min_lines = services, shape_min_lines
        self._read_through: ObjectStore = read_through or services.objects
        self._layout = layout  # of blocks that are written
        packed = pack_fresh and layout.version > 2
        self._fresh = replace(layout, packed=True) if packed else layout
        self._writing: set[str] = set()  # blocks of which objects are put
        self._lock = threading.Lock()  # guards it
        self.owner = uuid.uuid4().hex  # of the blocks that this process writes
        self._listing = Listing(services.catalog)
        self._encoder = WarmEncoder()
        self._indexes: ByteCache[BlockIndex] = ByteCache(INDEX_CACHE_BYTES)
        self.columns: ByteCache[object] = ByteCache(cache_bytes)
        self.quarantine = Quarantine(services.catalog, services.objects, services.clock)
        if read_through is not None:
            self.quarantine.on_bad = read_through.distrust

    @property
    def caches(self) -> Mapping[str, ByteCache[Any]]:
        """What is remembered of blocks, by its name."""
        return {"columns": self.columns, "indexes": self._indexes}

    @contextlib.contextmanager
    def reading(self) -> Iterator["PinnedBlocks"]:
        """A provider of blocks, in order of creation; they can be read until the `with` ends."""
        with self._services.pins.reading() as reader:
            yield PinnedBlocks(
                objects=self._read_through,
                listing=self._listing,
                reader=reader,
                indexes=self._indexes,
                columns=self.columns,
                quarantine=self.quarantine,
                visible=self._services.catalog.visible,
            )

    def judge(self, error: BadObjectError, *, again: bool = False, allow: Allow = freely) -> None:
        """As `Quarantine.judge`."""
        self.quarantine.judge(error, again=again, allow=allow)

    def preparing(self, block_ids: Iterable[str]) -> Iterator[None]:
        """Have what queries remember of blocks decoded before they ask; the first ones first.

        Some milliseconds of work between two values. Ends where three quarters of a cache are
        taken: the rest is for what is asked. Blocks that are gone or damaged are left out. Raises
        `AppError` where catalog or objects do not answer.
        """
        for block_id in block_ids:
            with self.reading() as blocks:
                for _ in blocks.preparing(block_id):
                    if any(cache.is_full_to(PREPARED) for cache in self.caches.values()):
                        return
                    yield

    @contextlib.contextmanager
    def opened(self, rows: Sequence[BlockRow]) -> Iterator[list[BlockSource]]:
        """Blocks to be rewritten, until the `with` ends; not remembered: each is read once.

        Raises `CatalogConflictError` when one of them is not visible any more; also when it has
        given way to a full disk meanwhile. A damaged one raises `BadObjectError` and is in
        quarantine then.
        """
        services, ids = self._services, [row.block_id for row in rows]
        nothing: ByteCache[object] = ByteCache(0)
        with services.pins.reading(gives_way=True) as reader:
            self._check_visible(ids, reader.blocks(lambda: services.catalog.visible(ids)))
            try:
                yield [open_block(row, services.objects, self._indexes, nothing) for row in rows]
            except BadObjectError as error:
                self._check_visible(ids, services.catalog.visible(ids))
                self.judge(error)
                raise

    def _check_visible(self, ids: Sequence[str], found: Sequence[BlockRow]) -> None:
        missing = len(ids) - len(found)
        if missing:
            message = f"{missing} of {len(ids)} blocks are not visible any more"
            raise CatalogConflictError(message)

    def write(
        self,
        run: LogBatch,
        tenant: TenantId,
        cut_id: str,
        level: int = 0,
        journals: Mapping[str, int] | None = None,
        progress: Progress = untold,
    ) -> BlockRow:
        """Encode a run and put its objects; `publish` makes it visible.

        `journals`: the newest position of each journal whose records are in the run; `progress` is
        told now and then which share of the work is done. When that
        fails, what was put is removed again as far as possible: on a full disk, each try would else
        leave a part of a block behind.
        """
        identity = self._identity(tenant, cut_id, level, (), journals or {})
        with self._intended(identity, int(run.table.first_ts.min())):
            objects, least = self._services.objects, self._shape_min_lines
            return write_run(run, identity, objects, least, self._encoder, self._fresh, progress)

    def rewrite(
        self, kept: Sequence[Kept], tenant: TenantId, cut_id: str, level: int
    ) -> BlockRow | None:
        """Write a block of rows of other blocks; None when no row is kept. As `write` else."""
        made = Rewriting(kept, self._layout, self._shape_min_lines)
        if not len(made.draft):
            return None
        identity = self._identity_of([one.source for one in kept], tenant, cut_id, level)
        with self._intended(identity, int(made.draft.ts.min())):
            return made.write(identity, self._services.objects)

    def merge_by(
        self,
        merge: Callable[[MergeSpec], BlockRow],
        sources: Sequence[BlockSource],
        cut_id: str,
        level: int,
    ) -> BlockRow:
        """One block of whole blocks of a tenant, made by `merge`, wherever that is.

        As `write` else; after a `LostMergeError` objects of it may still be put, and upkeep removes
        them.
        """
        rows = tuple(source.row for source in sources)
        identity = self._identity_of(sources, rows[0].tenant, cut_id, level)
        spec = MergeSpec(
            blocks=rows, identity=identity, layout=self._layout, min_lines=self._shape_min_lines
        )
        with self._intended(identity, min(row.min_ts for row in rows)):
            made = merge(spec)
            assert made.block_id == identity.block_id, "the block that was asked for"
            return made

    def _identity_of(
        self, sources: Sequence[BlockSource], tenant: TenantId, cut_id: str, level: int
    ) -> BlockIdentity:
        journals = newest_positions([source.journals() for source in sources])
        replaces = [source.source_id for source in sources]
        return self._identity(tenant, cut_id, level, replaces, journals)

    def _identity(
        self,
        tenant: TenantId,
        cut_id: str,
        level: int,
        replaces: Sequence[str],
        journals: Mapping[str, int],
    ) -> BlockIdentity:
        block_id, now = uuid.uuid4().hex, self._services.clock.now_ns()
        return BlockIdentity(
            block_id=block_id,
            tenant=tenant,
            cut_id=cut_id,
            level=level,
            created_ns=now,
            replaces=replaces,
            journals=journals,
        )

    @contextlib.contextmanager
    def _intended(self, identity: BlockIdentity, min_ts: int) -> Iterator[None]:
        """Say that the block will be written; when that fails, give it up and remove what is there.

        What cannot be removed now, or is put by somebody who was lost, is named by the catalog, and
        upkeep removes it.
        """
        catalog, objects = self._services.catalog, self._services.objects
        catalog.intend(
            Intent(
                block_id=identity.block_id,
                tenant=identity.tenant,
                min_ts=min_ts,
                owner=self.owner,
                expires_ns=identity.created_ns + INTENT_NS,
            )
        )
        with self._lock:
            self._writing.add(identity.block_id)
        try:
            yield
        except LostMergeError:
            with contextlib.suppress(AppError):
                catalog.abandon([identity.block_id])
            raise
        except BaseException:
            with contextlib.suppress(AppError):
                catalog.abandon([identity.block_id])
            with contextlib.suppress(AppError):
                prefix = block_prefix(identity.tenant, min_ts, identity.block_id)
                delete_objects(objects, prefix)
                catalog.forget([identity.block_id])
            raise
        finally:
            with self._lock:
                self._writing.discard(identity.block_id)

    def prolong(self) -> int:
        """Tell the catalog that blocks are still being written, however long it takes; how many."""
        with self._lock:
            writing = sorted(self._writing)
        if writing:
            until = self._services.clock.now_ns() + INTENT_NS
            self._services.catalog.prolong(writing, until)
        return len(writing)

    def replace(self, removed: Sequence[str], added: Sequence[BlockRow]) -> None:
        """`Catalog.replace`; blocks that lost against somebody faster are given up at once."""
        try:
            self._services.catalog.replace(removed, added)
        except CatalogConflictError:
            with contextlib.suppress(AppError):
                self._services.catalog.abandon([row.block_id for row in added])
            raise

    def publish(
        self,
        rows: Sequence[BlockRow],
        watermarks: Sequence[Watermark],
        fence: Fence | None = None,
    ) -> None:
        """Make blocks visible and advance watermarks of the journal, in one transaction."""
        self._services.catalog.publish(rows, watermarks, fence)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedBlocks:
    """A `BlockProvider` for one reader."""

    objects: ObjectStore
    listing: Listing
    reader: Reader
    indexes: ByteCache[BlockIndex]
    columns: ByteCache[object]
    quarantine: Quarantine
    visible: Callable[[Sequence[str]], Sequence[BlockRow]]

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """Blocks that may hold entries of `[start_ns, end_ns)`, in order of creation."""
        rows = self.reader.blocks(lambda: self.listing.blocks(tenant, start_ns, end_ns))
        sources: list[LogSource] = []
        left_out: list[LeftOut] = []
        for row in rows:
            source = self._opened(row)
            if isinstance(source, LeftOut):
                left_out.append(source)
            else:
                sources.append(source)
        return Found(sources, left_out)

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """As `found`, where nothing may be missing; raises `DamagedBlockError`."""
        found = self.found(tenant, start_ns, end_ns)
        for one in found.left_out:
            held = self.quarantine.get(one.block_id)
            raise DamagedBlockError(held.key if held else one.block_id, held.what if held else "")
        return found.sources

    def preparing(self, block_id: str) -> Iterator[None]:
        """As `BlockStore.preparing`, of one block."""
        yield
        for row in self.reader.blocks(lambda: self.visible([block_id])):
            source = self._opened(row)
            if isinstance(source, LeftOut):
                return
            try:
                yield from preparation(source)
            except BadObjectError as error:
                self.quarantine.judge(error)

    def _opened(self, row: BlockRow) -> BlockSource | LeftOut:
        """The block, or what is known of it when it is, or is found to be, damaged."""
        again = False
        while True:
            held = self.quarantine.get(row.block_id)
            if held is not None:
                return left_out_of(held)
            try:
                return open_block(row, self.objects, self.indexes, self.columns)
            except BadObjectError as error:
                self.quarantine.judge(error, again=again)
                if again and row.block_id not in self.quarantine:
                    raise  # it was removed meanwhile: the caller lists the blocks again
                again = True


def left_out_of(held: Quarantined) -> LeftOut:
    """What a reader is told of a block that it does not get."""
    row = held.row
    return LeftOut(
        block_id=row.block_id,
        cut_id=row.cut_id,
        min_ts=row.min_ts,
        max_ts=row.max_ts,
        rows=row.rows,
        table=held.table,
    )


def newest_positions(found: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The newest position of each journal."""
    newest: dict[str, int] = {}
    for journals in found:
        for journal_id, position in journals.items():
            newest[journal_id] = max(position, newest.get(journal_id, position))
    return newest
