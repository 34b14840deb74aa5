"""How are stored blocks found, made and shown? Catalog rows, opened as sources."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from narfi.core.clock import Clock
from narfi.core.tenant import TenantId
from storage.batch import LogBatch
from storage.block.reader import BlockIndex, BlockSource
from storage.block.shapes.encode import MIN_ROWS
from storage.block.writer import BlockIdentity, write_block
from storage.cache import ByteCache
from storage.catalog.base import BlockRow, Catalog, Watermark
from storage.objects.base import ObjectStore
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

    def source(self, row: BlockRow) -> LogSource:
        """One block as a source, not remembered: upkeep reads each block once."""
        nothing: ByteCache[object] = ByteCache(0)
        return BlockSource(row, self._parts.objects, self._indexes, nothing)

    def write(self, run: LogBatch, tenant: TenantId, cut_id: str, level: int = 0) -> BlockRow:
        """Encode a run and put its objects; `publish` makes it visible."""
        now = self._parts.clock.now_ns()
        identity = BlockIdentity(uuid.uuid4().hex, tenant, cut_id, level, now)
        return write_block(run, identity, self._parts.objects, self._shape_min_lines)

    def publish(self, row: BlockRow | None, watermark: Watermark | None) -> None:
        """Make a block visible and advance the journal watermark, in one transaction."""
        self._parts.catalog.publish(row, watermark)
