"""Does the listing say what the catalog says, in few statements?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.clock import ManualClock
from narfi.core.tenant import TenantId
from storage.catalog.listing import Listing
from storage.catalog.sql import SqlCatalog
from tests.reference.budget import examples
from tests.storage.catalog.conftest import Opener
from tests.storage.catalog.rows import TENANT, intent, publish, row

TENANTS = [TenantId("t"), TenantId("u"), TenantId("v")]


@contextmanager
def statements(catalog: SqlCatalog) -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    found: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        found.append(statement)

    sa.event.listen(catalog.database.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(catalog.database.engine, "before_cursor_execute", note)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "replace", "drop", "forget", "ask", "ask", "ask"]),
        st.sampled_from(TENANTS),
        st.integers(0, 20),
    ),
    max_size=25,
)


@settings(max_examples=examples(20), deadline=None)
@given(STEPS, st.sampled_from([0, 2, 4, 1000]), st.integers(0, 9), st.sampled_from([1, 3, 99]))
def test_it_says_what_the_catalog_says(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, TenantId, int]],
    max_rows: int,
    margin: int,
    try_again: int,
) -> None:
    with (
        patch("storage.catalog.listing.LEAST_MARGIN_NS", margin),
        patch("storage.catalog.listing.TRY_AGAIN", try_again),
    ):
        compare(tmp_path_factory, steps, max_rows)


def compare(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, TenantId, int]],
    max_rows: int,
) -> None:
    """Every answer of a listing with that of the catalog."""
    folder = tmp_path_factory.mktemp("catalog")
    catalog = SqlCatalog(f"sqlite:///{folder}/catalog.db", ManualClock(1))
    listing = Listing(catalog, max_rows)
    for number, (step, tenant, at) in enumerate(steps):
        there = catalog.blocks(tenant, 0, 100)
        fresh = row(f"b{number}", at, at + 3, tenant)
        if step == "publish":
            publish(catalog, fresh)
        elif step == "replace" and there:
            catalog.intend(intent(fresh))
            catalog.replace([there[0].block_id], [fresh])
        elif step == "drop" and there:
            catalog.replace([there[-1].block_id], [])
        elif step == "forget":
            catalog.forget([found.block_id for found in catalog.removed(10)])
        else:
            asked = (tenant, at, at + 5)
            assert list(listing.blocks(*asked)) == list(catalog.blocks(*asked))
    catalog.close()


def test_asking_again_costs_one_statement(tmp_path: Path) -> None:
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(1))
    catalog.adopt([row(f"b{number}", number, number) for number in range(10_000)], [], [])
    listing = Listing(catalog)
    assert len(listing.blocks(TENANT, 0, 10)) == 10
    with statements(catalog) as found:
        assert len(listing.blocks(TENANT, 50, 60)) == 10
        assert len(found) == 1
    publish(catalog, row("new", 55, 58))
    with statements(catalog) as found:
        assert len(listing.blocks(TENANT, 50, 60)) == 11
        assert len(found) == 4
        assert not any("tenant =" in statement for statement in found)  # no whole listing
    catalog.close()


HOUR = 3600 * 10**9


def test_a_question_reads_what_it_may_need_and_no_older_block(tmp_path: Path) -> None:
    """Of 1,000 blocks of an hour each, one of late; an older one reads more."""
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(1))
    rows = [row(f"b{n:04}", n * HOUR, n * HOUR + HOUR - 1) for n in range(1000)]
    catalog.adopt(rows, [], [])
    listing = Listing(catalog)
    assert len(listing.blocks(TENANT, 999 * HOUR, 1000 * HOUR)) == 1
    assert len(listing._held[TENANT]) == 1
    assert len(listing.blocks(TENANT, 998 * HOUR, 1000 * HOUR)) == 2
    assert len(listing._held[TENANT]) == 4
    with statements(catalog) as found:
        assert len(listing.blocks(TENANT, 996 * HOUR, 998 * HOUR)) == 2
    assert len(found) == 1, "the margin held it"
    assert len(listing.blocks(TENANT, 976 * HOUR, 1000 * HOUR)) == 24
    assert len(listing._held[TENANT]) == 48
    assert listing.blocks(TENANT, -(2**63), 2**63) == rows
    catalog.close()


def test_of_a_large_tenant_the_newest_blocks_are_held(tmp_path: Path) -> None:
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(1))
    rows = [row(f"b{n:04}", n * HOUR, n * HOUR + HOUR - 1) for n in range(1000)]
    catalog.adopt(rows, [], [])
    listing = Listing(catalog, max_rows=100)
    assert len(listing.blocks(TENANT, 999 * HOUR, 1000 * HOUR)) == 1
    for _ in range(2):
        assert len(listing.blocks(TENANT, 500 * HOUR, 501 * HOUR)) == 1, "asked of the catalog"
    with statements(catalog) as found:
        assert len(listing.blocks(TENANT, 400 * HOUR, 401 * HOUR)) == 1
    assert len(found) == 2, "too much, as is known: not counted again"
    with statements(catalog) as found:
        assert len(listing.blocks(TENANT, 999 * HOUR, 1000 * HOUR)) == 1
    assert len(found) == 1, "still held"
    assert len(listing.blocks(TENANT, 920 * HOUR, 1000 * HOUR)) == 80, "without a margin"
    assert len(listing._held[TENANT]) == 80
    for number in range(1000, 1030):
        publish(catalog, row(f"b{number}", number * HOUR, number * HOUR + 1))
        assert len(listing.blocks(TENANT, number * HOUR, (number + 1) * HOUR)) == 1
        assert sum(map(len, listing._held.values())) <= 100
    catalog.close()


def test_what_was_too_much_is_held_when_blocks_were_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.catalog.listing.TRY_AGAIN", 3)
    catalog = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(1))
    catalog.adopt([row(f"b{n}", n * HOUR, n * HOUR) for n in range(20)], [], [])
    listing = Listing(catalog, max_rows=10)
    asked = (TENANT, 2 * HOUR, 20 * HOUR)
    assert len(listing.blocks(*asked)) == 18
    assert not listing._held
    for number in range(5, 20):
        catalog.replace([f"b{number}"], [])
        listing.blocks(*asked)
    assert [found.block_id for found in listing.blocks(*asked)] == ["b2", "b3", "b4"]
    assert len(listing._held[TENANT]) == 3
    catalog.close()


def test_a_listing_of_one_process_sees_what_another_does(opened: Opener) -> None:
    mine, theirs = opened(), opened()
    listing = Listing(mine)
    assert list(listing.blocks(TENANT, 0, 100)) == []
    publish(theirs, row("a", 1, 5))
    assert [found.block_id for found in listing.blocks(TENANT, 0, 100)] == ["a"]
