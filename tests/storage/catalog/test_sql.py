"""Do a block and its watermark commit together, and are the right blocks found? On every engine."""

from typing import cast

import pytest
import sqlalchemy as sa

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.catalog import sql
from storage.catalog.base import (
    BlockRow,
    CatalogConflictError,
    CatalogError,
    LevelTotal,
    Loss,
    RemovedBlock,
    Watermark,
)
from storage.catalog.tables import SCHEMA
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, every_block, intent, publish, row


def test_blocks_are_found_by_tenant_and_overlap(opened: Opener) -> None:
    catalog = opened()
    for found in (row("a", 0, 9), row("b", 10, 19), row("c", 0, 9, TenantId("other"))):
        publish(catalog, found)
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["a"]
    assert [b.block_id for b in catalog.blocks(TENANT, 9, 11)] == ["a", "b"]
    assert catalog.blocks(TENANT, 20, 30) == []
    assert catalog.tenants() == ["other", "t"]
    catalog.close()
    catalog = opened()
    assert catalog.blocks(TENANT, 0, 10) == [row("a", 0, 9)]
    catalog.close()


def test_watermarks_only_grow(opened: Opener) -> None:
    catalog = opened()
    for position in (5, 9, 7):
        catalog.publish([], [Watermark("j", TENANT, position)])
    assert catalog.watermarks("j") == {TENANT: 9}
    assert catalog.watermarks("other") == {}
    catalog.close()


def test_a_failed_publish_changes_nothing(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("a", 0, 9), Watermark("j", TENANT, 1))
    catalog.intend(intent(row("b", 0, 9)))
    no_block = row("b", 0, 9, cast(TenantId, None))
    with pytest.raises(CatalogError):
        catalog.publish([no_block], [Watermark("j", TENANT, 2)])
    assert catalog.watermarks("j") == {TENANT: 1}
    catalog.close()


def test_replace_swaps_in_one_step(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("a", 0, 9))
    publish(catalog, row("b", 5, 9))
    catalog.intend(intent(row("ab", 0, 9)))
    catalog.replace(["a", "b"], [row("ab", 0, 9)])
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["ab"]
    catalog.intend(intent(row("x", 0, 1)))
    with pytest.raises(CatalogError):
        catalog.replace(["ab"], [row("x", 0, 1), row("y", 0, 1)])
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["ab"]
    catalog.close()


def test_a_block_that_is_gone_cannot_be_replaced_again(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("a", 0, 9))
    publish(catalog, row("b", 0, 9))
    catalog.replace(["a"], [])
    catalog.intend(intent(row("ab", 0, 9)))
    with pytest.raises(CatalogConflictError):
        catalog.replace(["a", "b"], [row("ab", 0, 9)])
    assert [b.block_id for b in catalog.blocks(TENANT, 0, 10)] == ["b"]
    assert [found.block_id for found in catalog.removed(10)] == ["a"]
    catalog.close()


def test_only_visible_blocks_are_found_by_id(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "MAX_IDS", 2)
    catalog = opened()
    for name in ("a", "b", "c", "d"):
        publish(catalog, row(name, 0, 9))
    catalog.intend(intent(row("e", 0, 9)))
    catalog.replace(["b"], [])
    found = catalog.visible(["d", "c", "b", "e", "a", "unknown"])
    assert sorted(found, key=lambda b: b.block_id) == [row(name, 0, 9) for name in ("a", "c", "d")]
    assert catalog.visible([]) == []
    catalog.close()


def test_removed_blocks_are_remembered_until_forgotten(opened: Opener) -> None:
    clock = ManualClock(100)
    catalog = opened(clock)
    for found in (row("a", 0, 9), row("b", 5, 9)):
        publish(catalog, found)
    catalog.replace(["b"], [])
    clock.advance(1)
    catalog.replace(["a"], [])
    b, a = (
        RemovedBlock(block_id="b", tenant=TENANT, min_ts=5, stored_bytes=3, removed_ns=100),
        RemovedBlock(block_id="a", tenant=TENANT, min_ts=0, stored_bytes=3, removed_ns=101),
    )
    assert catalog.removed(10) == [b, a]
    assert catalog.removed(1) == [b]
    catalog.forget(["b", "unknown"])
    assert catalog.removed(10) == [a]
    catalog.close()


def test_the_oldest_blocks_of_all_tenants_and_sums_by_level(opened: Opener) -> None:
    catalog = opened()
    assert catalog.totals() == []
    high = BlockRow(
        block_id="d",
        tenant=TENANT,
        cut_id="c",
        min_ts=0,
        max_ts=50,
        rows=10,
        line_bytes=2,
        stored_bytes=7,
        level=2,
        format_version=1,
        created_ns=0,
    )
    other = row("b", 0, 20, TenantId("other"))
    for found in (row("c", 0, 30), row("a", 5, 10), high, other):
        publish(catalog, found)
    assert [found.block_id for found in catalog.oldest(3)] == ["a", "b", "c"]
    assert catalog.totals() == [LevelTotal(0, 3, 3, 9), LevelTotal(2, 1, 10, 7)]
    catalog.close()


def test_a_publish_can_be_done_again(opened: Opener) -> None:
    catalog = opened()
    catalog.intend(intent(row("a", 0, 9)))
    for _ in range(2):
        catalog.publish([row("a", 0, 9)], [Watermark("j", TENANT, 1)])
    assert catalog.blocks(TENANT, 0, 10) == [row("a", 0, 9)]
    catalog.intend(intent(row("b", 0, 9)))
    catalog.replace(["a"], [row("b", 0, 9)])
    catalog.publish([row("a", 0, 9)], [Watermark("j", TENANT, 1)])
    assert catalog.blocks(TENANT, 0, 10) == [row("b", 0, 9)]
    catalog.close()


def test_blocks_of_many_tenants_are_published_all_or_none(opened: Opener) -> None:
    catalog = opened()
    other = TenantId("other")
    blocks = [row("a", 0, 9), row("b", 0, 9, other)]
    marks = [Watermark("j", TENANT, 1), Watermark("j", other, 2), Watermark("j", TenantId("c"), 3)]
    catalog.intend(intent(blocks[0]))
    with pytest.raises(CatalogConflictError):
        catalog.publish(blocks, marks)
    assert list(every_block(catalog)) == []
    assert catalog.watermarks("j") == {}
    catalog.intend(intent(blocks[1]))
    for _ in range(2):
        catalog.publish(blocks, marks)
    assert sorted(found.block_id for found in every_block(catalog)) == ["a", "b"]
    assert catalog.watermarks("j") == {mark.tenant: mark.position for mark in marks}
    catalog.close()


def test_publishing_without_an_intent_fails_and_changes_nothing(opened: Opener) -> None:
    catalog = opened()
    with pytest.raises(CatalogConflictError, match="took too long and was given up"):
        catalog.publish([row("a", 0, 9)], [Watermark("j", TENANT, 1)])
    assert catalog.blocks(TENANT, 0, 10) == []
    assert catalog.watermarks("j") == {}
    publish(catalog, row("b", 0, 9))
    with pytest.raises(CatalogConflictError):
        catalog.replace(["b"], [row("a", 0, 9)])
    assert [found.block_id for found in catalog.blocks(TENANT, 0, 10)] == ["b"]
    catalog.close()


def test_an_intent_that_was_given_up_is_removed_and_never_published(opened: Opener) -> None:
    clock = ManualClock(100)
    catalog = opened(clock)
    a, b, c = row("a", 1, 9), row("b", 2, 9), row("c", 3, 9)
    for found, expires, owner in ((a, 200, "me"), (b, 201, "me"), (c, 300, "dead")):
        catalog.intend(intent(found, expires, owner))
    assert catalog.abandon_expired() == 0
    clock.advance(100)
    assert catalog.abandon_expired() == 1
    assert catalog.removed(10) == [
        RemovedBlock(block_id="a", tenant=TENANT, min_ts=1, stored_bytes=0, removed_ns=200)
    ]
    assert catalog.abandon_expired("me") == 1, "of another owner"
    catalog.abandon(["b", "unknown"])
    assert {found.block_id for found in catalog.removed(10)} == {"a", "b", "c"}
    for found in (a, b, c):
        with pytest.raises(CatalogConflictError):
            catalog.publish([found], [])
    catalog.close()


def test_every_step_of_a_life_is_known(opened: Opener) -> None:
    catalog = opened()
    publish(catalog, row("visible", 0, 9))
    publish(catalog, row("removed", 0, 9))
    catalog.replace(["removed"], [])
    catalog.intend(intent(row("intended", 0, 9)))
    names = ["visible", "removed", "intended"]
    assert catalog.known([*names, "other"]) == set(names)
    assert catalog.known([str(k) for k in range(2000)]) == set()
    catalog.forget(["removed"])
    assert catalog.known(names) == {"visible", "intended"}
    catalog.close()


def test_a_loss_is_told_once_and_remembered(opened: Opener) -> None:
    catalog = opened()
    loss = Loss(
        journal_id="j",
        first_position=3,
        last_position=5,
        from_ns=1,
        to_ns=2,
        reason="a byte changed",
        told_ns=9,
    )
    assert catalog.note_loss(loss)
    assert not catalog.note_loss(loss)
    assert catalog.losses() == [loss]
    catalog.close()


def test_a_database_that_fails_is_a_catalog_error_in_reading_too(opened: Opener) -> None:
    catalog = opened()
    with catalog.database.engine.begin() as connection:
        for table in (
            "blocks",
            "removed_blocks",
            "intents",
            "watermarks",
            "losses",
            "level_totals",
        ):
            connection.execute(sa.text(f"drop table {table}"))
    for read in (
        lambda: catalog.blocks(TENANT, 0, 1),
        lambda: catalog.watermarks("j"),
        catalog.tenants,
        lambda: catalog.oldest(1),
        catalog.totals,
        lambda: catalog.removed(1),
        lambda: catalog.known(["a"]),
        catalog.losses,
        catalog.journals,
        catalog.newest_created,
    ):
        with pytest.raises(CatalogError, match="the catalog cannot be read"):
            read()
    catalog.close()


def test_the_schema_that_readers_expect_is_the_newest(opened: Opener) -> None:
    with opened().database.reading() as connection:
        found = connection.execute(sa.text("select version_num from alembic_version")).scalar()
    assert found == SCHEMA


def test_an_intent_that_is_prolonged_is_not_given_up(opened: Opener) -> None:
    clock = ManualClock(100)
    catalog = opened(clock)
    for found in (row("a", 1, 9), row("b", 2, 9)):
        catalog.intend(intent(found, 200, "me"))
    catalog.prolong(["a", "unknown"], 400)
    clock.advance(200)
    assert catalog.abandon_expired() == 1
    catalog.publish([row("a", 1, 9)], [])
    catalog.prolong(["a", "b"], 900)
    assert [found.block_id for found in catalog.blocks(TENANT, 0, 99)] == ["a"]
    assert catalog.intents() == []
