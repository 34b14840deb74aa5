"""Which small blocks become one? Neighbours of one tenant and day, largest runs of them first.

The merged block and the removal of its parts commit in one transaction; duplicates among them are
dropped. Shapes are merged column by column, undecoded (storage/block/merge.py). Works on bounded
input, so memory stays bounded.
"""

from collections.abc import Sequence
from itertools import groupby

import structlog

from narfi.core.clock import NS_PER_S
from narfi.core.tenant import TenantId
from storage.block.merge import Kept
from storage.catalog.base import BlockRow, Catalog
from storage.store import BlockStore

log = structlog.get_logger(__name__)

DAY_NS = 86_400 * NS_PER_S
SMALL_BYTES = 64 * 1024 * 1024
"""Line bytes below which a block is small."""
MAX_MERGED_BYTES = 160 * 1024 * 1024
"""Line bytes of a merged block, about: four head parts. Plain lines are in memory twice."""
MIN_BLOCKS = 4
"""Fewer small blocks are left alone: rewriting has a price too."""


def choose(rows: Sequence[BlockRow]) -> list[list[BlockRow]]:
    """Groups of small blocks of one tenant that are worth merging, in order of time."""
    small = [row for row in rows if row.line_bytes < SMALL_BYTES]
    small.sort(key=lambda row: (row.min_ts // DAY_NS, row.created_ns, row.block_id))
    groups: list[list[BlockRow]] = []
    for _, day in groupby(small, key=lambda row: row.min_ts // DAY_NS):
        group: list[BlockRow] = []
        size = 0
        for row in day:
            if group and size + row.line_bytes > MAX_MERGED_BYTES:
                groups.append(group)
                group, size = [], 0
            group.append(row)
            size += row.line_bytes
        groups.append(group)
    return [group for group in groups if len(group) >= MIN_BLOCKS]


def compact(catalog: Catalog, store: BlockStore) -> int:
    """Merge every group that is worth it; the number of blocks that went away.

    A group that fails stops no other: the first error is raised at the end.
    """
    gone, errors = 0, list[Exception]()
    days = groupby(catalog.every_block(), key=lambda row: (row.tenant, row.min_ts // DAY_NS))
    for (tenant, _), day in days:
        for group in choose(list(day)):
            try:
                _merge(store, tenant, group)
                gone += len(group) - 1
            except Exception as error:  # noqa: BLE001 - whatever it is, others are still merged
                log.error("a merge failed", tenant=tenant, blocks=len(group), error=str(error))
                errors.append(error)
    if errors:
        raise errors[0]
    return gone


def _merge(store: BlockStore, tenant: TenantId, group: Sequence[BlockRow]) -> None:
    level = max(row.level for row in group) + 1
    with store.opened(group) as sources:
        kept = [Kept(source, None) for source in sources]
        merged = store.rewrite(kept, tenant, f"compacted-{group[0].block_id}", level)
    assert merged is not None, "blocks have rows"
    store.replace([row.block_id for row in group], [merged])
