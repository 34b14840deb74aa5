"""Who is a block, apart from its content, and in which form is it written?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from narfi.core.tenant import TenantId
from storage.block.draft import Draft
from storage.block.layout import FORMAT_VERSION
from storage.catalog.base import BlockRow


@dataclass(frozen=True, slots=True)
class Layout:
    """How a block is written: 2 or 3; `packed`, which only 3 can be, is all files in one object."""

    version: int = FORMAT_VERSION
    packed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockIdentity:
    """Who a block is, apart from its content."""

    block_id: str
    tenant: TenantId
    cut_id: str
    level: int
    created_ns: int
    replaces: Sequence[str] = field(default=(), kw_only=True)  # ids of blocks that it is made of
    journals: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    """Journal id to the newest position whose records are in it."""

    def row(self, draft: Draft, line_bytes: int, stored_bytes: int, *, version: int) -> BlockRow:
        """The block's row of the catalog."""
        return BlockRow(
            block_id=self.block_id,
            tenant=self.tenant,
            cut_id=self.cut_id,
            min_ts=int(draft.ts.min()),
            max_ts=int(draft.ts.max()),
            rows=len(draft),
            line_bytes=line_bytes,
            stored_bytes=stored_bytes,
            level=self.level,
            format_version=version,
            created_ns=self.created_ns,
        )

    def manifest(self, row: BlockRow, streams: int, sizes: Mapping[str, int]) -> dict[str, Any]:
        """What a manifest says of the block and where it comes from; `sizes` of its objects."""
        return {
            "format_version": row.format_version,
            "block_id": row.block_id,
            "tenant": row.tenant,
            "cut_id": row.cut_id,
            "level": row.level,
            "created_ns": row.created_ns,
            "min_ts": row.min_ts,
            "max_ts": row.max_ts,
            "rows": row.rows,
            "streams": streams,
            "line_bytes": row.line_bytes,
            "objects": dict(sizes),
            "replaces": list(self.replaces),
            "journals": dict(self.journals),
        }
