"""Are the sums those of the visible blocks, whatever was committed, refused or done twice?"""

import contextlib
from collections import defaultdict
from dataclasses import replace

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from storage.catalog.base import BlockRow, CatalogError, LevelTotal, RemovedTotal
from storage.catalog.database import MIGRATIONS
from storage.catalog.sql import SqlCatalog
from tests.reference.budget import examples
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, every_block, intent, publish, row
from tests.storage.catalog.test_listing import statements


def counted(catalog: SqlCatalog) -> list[LevelTotal]:
    """Block by block."""
    found: dict[int, list[BlockRow]] = defaultdict(list)
    for block in every_block(catalog):
        found[block.level].append(block)
    return [
        LevelTotal(level, len(rows), sum(b.rows for b in rows), sum(b.stored_bytes for b in rows))
        for level, rows in sorted(found.items())
    ]


def block(number: int) -> BlockRow:
    """One of a few levels and sizes."""
    size = number * 7 + 1
    return replace(
        row(f"b{number}", number, 99), level=number % 3, rows=size, stored_bytes=9 * size
    )


def removed_counted(catalog: SqlCatalog) -> RemovedTotal:
    """Block by block."""
    found = catalog.removed(1000)
    return RemovedTotal(len(found), sum(one.stored_bytes for one in found))


NUMBERS = st.integers(0, 9)
SOME = st.lists(NUMBERS, max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("intend"), SOME, st.just([])),
        st.tuples(st.just("publish"), SOME, st.just([])),
        st.tuples(st.just("replace"), SOME, SOME),
        st.tuples(st.just("adopt"), SOME, st.just([])),
        st.tuples(st.just("adopt gone"), SOME, st.just([])),
        st.tuples(st.just("give up"), st.just([]), st.just([])),
        st.tuples(st.just("forget"), SOME, st.just([])),
    ),
    max_size=12,
)


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_sums_equal_what_is_counted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int], list[int]]]
) -> None:
    """Many of these steps are refused: an intent is missing, a block is there twice or gone."""
    folder = tmp_path_factory.mktemp("totals")
    with contextlib.closing(SqlCatalog(f"sqlite:///{folder}/catalog.db")) as catalog:
        for what, first, second in steps:
            blocks = [block(number) for number in first]
            with contextlib.suppress(CatalogError):
                match what:
                    case "intend":
                        for one in blocks:
                            catalog.intend(intent(one))
                    case "publish":
                        catalog.publish(blocks, [])
                    case "replace":
                        catalog.replace([f"b{k}" for k in second], blocks)
                    case "adopt":
                        catalog.adopt(blocks, [], [])
                    case "adopt gone":
                        catalog.adopt([], blocks, [])
                    case "give up":
                        catalog.abandon_expired("owner")
                    case "forget":
                        catalog.forget([f"b{number}" for number in first])
            assert catalog.totals() == counted(catalog)
            assert catalog.removed_total() == removed_counted(catalog)


def test_on_each_engine_blocks_come_and_go(opened: Opener) -> None:
    catalog = opened()
    for number in range(6):
        publish(catalog, block(number))
    assert catalog.totals() == counted(catalog)
    assert [total.blocks for total in catalog.totals()] == [2, 2, 2]
    catalog.intend(intent(block(9)))
    catalog.replace(["b0", "b1", "b3"], [block(9)])
    with pytest.raises(CatalogError):
        catalog.replace(["b0", "b4"], [])
    assert catalog.totals() == counted(catalog)
    assert [total.level for total in catalog.totals()] == [0, 1, 2]
    assert catalog.removed_total() == removed_counted(catalog) == RemovedTotal(3, 9 * 31)
    catalog.replace(["b4"], [])
    catalog.forget(["b0", "b0", "nosuch"])
    assert catalog.removed_total() == removed_counted(catalog)
    assert [total.level for total in catalog.totals()] == [0, 2], "level 1 has none left"


def test_no_block_is_looked_at(opened: Opener) -> None:
    catalog = opened()
    catalog.adopt([row(f"a{number}", number, 99) for number in range(100)], [], [])
    with statements(catalog) as found:
        assert catalog.totals() == [LevelTotal(0, 100, 100, 300)]
    assert len(found) == 1
    assert "FROM blocks" not in found[0]
    catalog.replace([f"a{number}" for number in range(100)], [])
    with statements(catalog) as found:
        assert catalog.removed_total() == RemovedTotal(100, 300)
    assert len(found) == 1
    assert "removed_blocks" not in found[0]


def test_a_catalog_of_the_version_before_is_counted_once(opened: Opener) -> None:
    catalog = opened()
    for number in range(5):
        publish(catalog, block(number))
    catalog.replace(["b3"], [])
    expected, gone = catalog.totals(), catalog.removed_total()
    assert gone.blocks == 1
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with catalog.database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
    assert not sa.inspect(catalog.database.engine).has_table("level_totals")
    assert opened().totals() == expected == counted(catalog)
    assert opened().removed_total() == gone == removed_counted(catalog)
    assert opened().blocks(TENANT, 0, 100) == catalog.blocks(TENANT, 0, 100)


def test_the_largest_tenants(opened: Opener) -> None:
    catalog = opened()
    rows = [
        replace(row(f"a{number}", number, 99), tenant=TenantId(f"t{number % 4}"))
        for number in range(10)
    ]
    catalog.adopt(rows, [], [])
    assert catalog.largest_tenants(2) == {"t0": 9, "t1": 9}
    assert sum(catalog.largest_tenants(9).values()) == 30
    catalog.replace(["a0"], [])
    assert catalog.largest_tenants(1) == {"t1": 9}
