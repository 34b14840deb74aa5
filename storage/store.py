"""How are stored blocks found, made and shown? Catalog rows, opened as sources."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.block.layout import block_prefix
from storage.block.merge import Kept, merge_blocks
from storage.block.reader import BlockIndex, BlockSource
from storage.block.shapes.encode import MIN_ROWS
from storage.block.writer import BlockIdentity, write_block, write_run
from storage.cache import ByteCache
from storage.catalog.base import BlockRow, Catalog, Watermark
from storage.objects.base import ObjectError, ObjectStore
from storage.scan import LogSource

INDEX_CACHE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoreParts:
    """What a block store is made of."""

    catalog: Catalog
    objects: ObjectStore
    clock: Clock


class BlockStore:
    """A `SourceProvider` over visible blocks; thread-safe."""

    def __init__(
        self, parts: StoreParts, cache_bytes: int, shape_min_lines: int = MIN_ROWS
    ) -> None:
        self._parts, self._shape_min_lines = parts, shape_min_lines
        self._indexes: ByteCache[BlockIndex] = ByteCache(INDEX_CACHE_BYTES)
        self._columns: ByteCache[object] = ByteCache(cache_bytes)

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """Blocks that may hold entries of `[start_ns, end_ns)`, in order of creation."""
        rows = self._parts.catalog.blocks(tenant, start_ns, end_ns)
        return [BlockSource(r, self._parts.objects, self._indexes, self._columns) for r in rows]

    def source(self, row: BlockRow) -> BlockSource:
        """One block as a source, not remembered: upkeep reads each block once."""
        nothing: ByteCache[object] = ByteCache(0)
        return BlockSource(row, self._parts.objects, self._indexes, nothing)

    def write(self, run: LogBatch, tenant: TenantId, cut_id: str, level: int = 0) -> BlockRow:
        """Encode a run and put its objects; `publish` makes it visible.

        When that fails, what was put is removed again as far as possible: on a full disk, each try
        would else leave a part of a block behind.
        """
        identity = self._identity(tenant, cut_id, level)
        with self._discarding(identity, int(run.table.first_ts.min())):
            return write_run(run, identity, self._parts.objects, self._shape_min_lines)

    def rewrite(
        self, kept: Sequence[Kept], tenant: TenantId, cut_id: str, level: int
    ) -> BlockRow | None:
        """Write a block of rows of other blocks; None when no row is kept. As `write` else."""
        draft, parts = merge_blocks(kept, self._shape_min_lines)
        if not len(draft):
            return None
        identity = self._identity(tenant, cut_id, level)
        with self._discarding(identity, int(draft.ts.min())):
            return write_block(draft, parts, identity, self._parts.objects)

    def _identity(self, tenant: TenantId, cut_id: str, level: int) -> BlockIdentity:
        return BlockIdentity(uuid.uuid4().hex, tenant, cut_id, level, self._parts.clock.now_ns())

    @contextlib.contextmanager
    def _discarding(self, identity: BlockIdentity, min_ts: int) -> Iterator[None]:
        """Remove what was put of a block when putting fails."""
        try:
            yield
        except ObjectError:
            self._discard(block_prefix(identity.tenant, min_ts, identity.block_id))
            raise

    def _discard(self, prefix: str) -> None:
        """Remove objects of a block that never was visible; what stays is removed by upkeep."""
        with contextlib.suppress(ObjectError):
            for key in list(self._parts.objects.list(f"{prefix}/")):
                self._parts.objects.delete(key)

    def publish(self, row: BlockRow | None, watermark: Watermark | None) -> None:
        """Make a block visible and advance the journal watermark, in one transaction."""
        self._parts.catalog.publish(row, watermark)
