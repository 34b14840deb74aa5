"""Do a block and its watermark commit together, and are the right blocks found?"""

from pathlib import Path

import pytest

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, Watermark
from storage.catalog.sql import CatalogError, SqlCatalog

TENANT = TenantId("t")


def row(block_id: str, low: int, high: int, tenant: TenantId = TENANT) -> BlockRow:
    """A block that covers `[low, high]`."""
    return BlockRow(block_id, tenant, f"cut-{block_id}", low, high, 1, 2, 3, 0, 1, low)


def opened(folder: Path) -> SqlCatalog:
    """The catalog in a folder, made when missing."""
    return SqlCatalog(f"sqlite:///{folder}/catalog.db")


def test_blocks_are_found_by_tenant_and_overlap(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    for found in (row("a", 0, 9), row("b", 10, 19), row("c", 0, 9, TenantId("other"))):
        catalog.publish(found, None)
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["a"]
    assert [b.block_id for b in catalog.blocks(TENANT, 9, 11)] == ["a", "b"]
    assert catalog.blocks(TENANT, 20, 30) == []
    assert catalog.tenants() == ["other", "t"]
    catalog.close()
    catalog = opened(tmp_path)
    assert catalog.blocks(TENANT, 0, 10) == [row("a", 0, 9)]
    catalog.close()


def test_watermarks_only_grow(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    for position in (5, 9, 7):
        catalog.publish(None, Watermark("j", TENANT, position))
    assert catalog.watermarks("j") == {TENANT: 9}
    assert catalog.watermarks("other") == {}
    catalog.close()


def test_a_failed_publish_changes_nothing(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.publish(row("a", 0, 9), Watermark("j", TENANT, 1))
    with pytest.raises(CatalogError):
        catalog.publish(row("a", 0, 9), Watermark("j", TENANT, 2))  # the id is taken
    assert catalog.watermarks("j") == {TENANT: 1}
    catalog.close()


def test_replace_swaps_in_one_step(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.publish(row("a", 0, 9), None)
    catalog.publish(row("b", 5, 9), None)
    catalog.replace(["a", "b"], [row("ab", 0, 9)])
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["ab"]
    with pytest.raises(CatalogError):
        catalog.replace(["ab"], [row("x", 0, 1), row("x", 0, 1)])
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["ab"]
    catalog.close()
