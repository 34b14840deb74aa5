"""Do a block and its watermark commit together, and are the right blocks found?"""

from pathlib import Path
from typing import cast

import pytest

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.catalog.base import (
    BlockRow,
    CatalogConflictError,
    CatalogError,
    LevelTotal,
    RemovedBlock,
    Watermark,
)
from storage.catalog.sql import SqlCatalog

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
    no_block = row("b", 0, 9, cast(TenantId, None))
    with pytest.raises(CatalogError):
        catalog.publish(no_block, Watermark("j", TENANT, 2))
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


def test_a_block_that_is_gone_cannot_be_replaced_again(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    catalog.publish(row("a", 0, 9), None)
    catalog.publish(row("b", 0, 9), None)
    catalog.replace(["a"], [])
    with pytest.raises(CatalogConflictError):
        catalog.replace(["a", "b"], [row("ab", 0, 9)])
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["b"]
    assert [found.block_id for found in catalog.removed(10)] == ["a"]
    catalog.close()


def test_removed_blocks_are_remembered_until_forgotten(tmp_path: Path) -> None:
    clock = ManualClock(100)
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", clock)
    for found in (row("a", 0, 9), row("b", 5, 9)):
        catalog.publish(found, None)
    catalog.replace(["b"], [])
    clock.advance(1)
    catalog.replace(["a"], [])
    b, a = RemovedBlock("b", TENANT, 5, 3, 100), RemovedBlock("a", TENANT, 0, 3, 101)
    assert catalog.removed(10) == [b, a]
    assert catalog.removed(1) == [b]
    catalog.forget(["b", "unknown"])
    assert catalog.removed(10) == [a]
    catalog.close()


def test_the_oldest_blocks_of_all_tenants_and_sums_by_level(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    assert catalog.totals() == []
    high = BlockRow("d", TENANT, "c", 0, 50, 10, 2, 7, 2, 1, 0)
    other = row("b", 0, 20, TenantId("other"))
    for found in (row("c", 0, 30), row("a", 5, 10), high, other):
        catalog.publish(found, None)
    assert [found.block_id for found in catalog.oldest(3)] == ["a", "b", "c"]
    assert catalog.totals() == [LevelTotal(0, 3, 3, 9), LevelTotal(2, 1, 10, 7)]
    catalog.close()


def test_a_publish_can_be_done_again(tmp_path: Path) -> None:
    catalog = opened(tmp_path)
    for _ in range(2):
        catalog.publish(row("a", 0, 9), Watermark("j", TENANT, 1))
    assert catalog.blocks(TENANT, 0, 10) == [row("a", 0, 9)]
    catalog.replace(["a"], [row("b", 0, 9)])
    catalog.publish(row("a", 0, 9), Watermark("j", TENANT, 1))
    assert catalog.blocks(TENANT, 0, 10) == [row("b", 0, 9)]
    catalog.close()
