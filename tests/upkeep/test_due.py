"""Does each old block come when it is due, and in no other round?"""

import itertools
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.clock import ManualClock
from narfi.core.retention import RetentionPolicy
from storage.catalog.sql import SqlCatalog
from tests.storage.catalog.rows import TENANT, intent, publish, row
from upkeep import due as due_module
from upkeep.due import DueBlocks

WEEK = RetentionPolicy(100)
"""Entries of 100 ns ago are old: all times of these tests are small."""
NOW = 1000


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[SqlCatalog]:
    """Three old blocks and a young one."""
    made = SqlCatalog(f"sqlite:///{tmp_path}/catalog.db", ManualClock(NOW))
    for name, low in (("a", 10), ("b", 20), ("c", 30), ("young", 950)):
        publish(made, row(name, low, low + 5))
    yield made
    made.close()


def due(blocks: DueBlocks, now_ns: int, policy: RetentionPolicy = WEEK) -> list[str]:
    """The ids that come in a round."""
    blocks.follow([TENANT])
    return sorted(row.block_id for rows in blocks.pages(TENANT, policy, now_ns) for row in rows)


def test_all_old_ones_come_until_they_are_told_to_wait(catalog: SqlCatalog) -> None:
    blocks = DueBlocks(catalog)
    for _ in range(2):
        assert due(blocks, NOW) == ["a", "b", "c"]
    blocks.later(row("a", 10, 15), NOW + 5)
    blocks.later(row("b", 20, 25), NOW + 50)
    assert due(blocks, NOW) == ["c"]
    assert due(blocks, NOW + 5) == ["a", "c"]
    assert due(blocks, NOW + 49) == ["a", "c"]
    assert due(blocks, NOW + 51) == ["a", "b", "c", "young"], "that one became old"


def test_what_comes_and_goes_is_followed(catalog: SqlCatalog) -> None:
    blocks = DueBlocks(catalog)
    for found in (row("a", 10, 15), row("b", 20, 25), row("c", 30, 35)):
        due(blocks, NOW)
        blocks.later(found, NOW + 10**6)
    catalog.intend(intent(row("ab", 10, 25)))
    catalog.replace(["a", "b"], [row("ab", 10, 25)])
    publish(catalog, row("young too", 990, 995))
    assert due(blocks, NOW) == ["ab"]
    catalog.replace(["ab"], [])
    assert due(blocks, NOW) == []
    assert due(blocks, NOW + 10**6) == ["c", "young", "young too"]


def test_who_missed_changes_looks_at_all(catalog: SqlCatalog) -> None:
    blocks = DueBlocks(catalog)
    assert due(blocks, NOW) == ["a", "b", "c"]
    blocks.later(row("c", 30, 35), NOW + 10**6)
    catalog.replace(["a"], [])
    catalog.forget(["a"])
    assert due(blocks, NOW) == ["b", "c"]


def test_another_policy_looks_at_all_and_none_forgets(catalog: SqlCatalog) -> None:
    blocks = DueBlocks(catalog)
    due(blocks, NOW)
    blocks.later(row("c", 30, 35), NOW + 10**6)
    assert due(blocks, NOW, RetentionPolicy(975)) == ["a", "b"]
    assert due(blocks, NOW, RetentionPolicy(0)) == []
    assert due(blocks, NOW) == ["a", "b", "c"]


def test_a_clock_that_is_put_back_forgets_nothing(catalog: SqlCatalog) -> None:
    blocks = DueBlocks(catalog)
    due(blocks, NOW)
    blocks.later(row("a", 10, 15), NOW + 5)
    assert due(blocks, NOW - 500) == ["b", "c"]
    publish(catalog, row("d", 850, 860))
    assert due(blocks, NOW - 500) == ["b", "c", "d"], "old as was seen before"
    assert due(blocks, NOW + 5) == ["a", "b", "c", "d"]


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
    st.integers(1, 5),
    st.integers(0, 30),
)
def test_pages_have_all_once_however_many_begin_at_one_time(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], size: int, stop: int
) -> None:
    """A round that ends early loses none; no answer of the catalog is much larger than a page."""
    folder = tmp_path_factory.mktemp("pages")
    with closing(SqlCatalog(f"sqlite:///{folder}/catalog.db", ManualClock(NOW))) as catalog:
        for number, low in enumerate(times):
            publish(catalog, row(f"b{number:02}", low, low + 5))
        names = [f"b{number:02}" for number in range(len(times))]
        alike = max(map(times.count, times))
        with patch.object(due_module, "PAGE", size):
            blocks = DueBlocks(catalog)
            blocks.follow([TENANT])
            pages = list(itertools.islice(blocks.pages(TENANT, WEEK, NOW), stop))
            assert all(len(page) <= max(size, alike) for page in pages)
            early = [found for page in pages for found in page]
            for found in early[::2]:
                blocks.later(found, NOW + 10**6)
            waiting = {found.block_id for found in early[::2]}
            assert due(blocks, NOW) == [name for name in names if name not in waiting]
