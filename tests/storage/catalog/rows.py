"""Rows for tests of the catalog."""

from collections.abc import Iterator

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Catalog, Intent, Watermark

TENANT = TenantId("t")


def row(block_id: str, low: int, high: int, tenant: TenantId = TENANT) -> BlockRow:
    """A block that covers `[low, high]`."""
    return BlockRow(
        block_id=block_id,
        tenant=tenant,
        cut_id=f"cut-{block_id}",
        min_ts=low,
        max_ts=high,
        rows=1,
        line_bytes=2,
        stored_bytes=3,
        level=0,
        format_version=1,
        created_ns=low,
    )


def intent(block: BlockRow, expires_ns: int = 10**9, owner: str = "me") -> Intent:
    """That the block will be written."""
    return Intent(
        block_id=block.block_id,
        tenant=block.tenant,
        min_ts=block.min_ts,
        owner=owner,
        expires_ns=expires_ns,
    )


def publish(catalog: Catalog, block: BlockRow, watermark: Watermark | None = None) -> None:
    """Its whole way to being visible."""
    catalog.intend(intent(block))
    catalog.publish([block], [] if watermark is None else [watermark])


def every_block(catalog: Catalog, tenant: TenantId | None = None) -> Iterator[BlockRow]:
    """The visible blocks of a tenant or all, by tenant and time of the oldest entry."""
    for one in catalog.tenants() if tenant is None else [tenant]:
        rows = catalog.blocks(one, -(2**63), 2**63 - 1)
        yield from sorted(rows, key=lambda row: (row.min_ts, row.block_id))
