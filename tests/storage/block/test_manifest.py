"""Does a manifest say what a row of the catalog needs, and where the block's rows were before?"""

import json
from pathlib import Path

import numpy as np
import pytest

from narfi.core.tenant import TenantId
from storage.block.footer import DamagedBlockError
from storage.block.layout import INDEX, block_prefix, is_commit
from storage.block.manifest import Manifest, parse_manifest, read_manifest
from storage.block.merge_rows import Kept
from storage.catalog.base import BlockRow
from storage.objects.filesystem import LocalObjects
from storage.sorting import merge_batches
from tests.storage.batches import Entry, batch_of
from tests.storage.form import Form
from tests.storage.stored import DAY, TENANT, Stored
from tests.upkeep.fresh import compact

STORED = Path(__file__).parents[2] / "format_versions"


def day(number: int) -> list[Entry]:
    """Entries of one small block, all of the same day."""
    return [("a", DAY + 10 * number + k, b"line %d" % k, {}) for k in range(3)]


def manifest_of(stored: Stored, row: BlockRow) -> Manifest:
    """As it lies there."""
    return read_manifest(stored.objects, block_prefix(row.tenant, row.min_ts, row.block_id))


def add(stored: Stored, number: int, journals: dict[str, int]) -> BlockRow:
    """A visible block with the positions of records that are in it."""
    run = merge_batches([batch_of(day(number))])
    row = stored.store.write(run, TENANT, f"cut-{number}", journals=journals)
    stored.store.publish([row], [])
    return row


def test_a_manifest_gives_the_row_and_the_positions(form: Form, stored: Stored) -> None:
    row = add(stored, 1, {"j": 7})
    found = manifest_of(stored, row)
    assert found.row == row
    assert found.journals == {"j": 7}
    assert found.replaces == ()
    assert set(found.objects) == set(found.crc32c) == set(form.files)


def test_a_rewrite_names_its_block_and_keeps_the_position(form: Form, stored: Stored) -> None:
    row = add(stored, 1, {"j": 7})
    with stored.store.opened([row]) as (source,):
        kept = Kept(source, np.array([True, False, True]))
        smaller = stored.store.rewrite([kept], TENANT, row.cut_id, 0)
    assert smaller is not None
    found = manifest_of(stored, smaller)
    assert found.replaces == (row.block_id,)
    assert found.journals == {"j": 7}


def test_a_merged_block_names_all_of_them_and_the_newest_positions(
    form: Form, stored: Stored
) -> None:
    positions = [{"j": 3}, {"j": 9, "old": 4}, {}, {"j": 5, "old": 2}]
    rows = [add(stored, number, journals) for number, journals in enumerate(positions)]
    assert compact(stored.catalog, stored.store) == 3
    (merged,) = stored.rows()
    found = manifest_of(stored, merged)
    assert set(found.replaces) == {row.block_id for row in rows}
    assert found.journals == {"j": 9, "old": 4}


@pytest.mark.parametrize("version", sorted(STORED.glob("block-*")), ids=lambda path: path.name)
def test_manifests_from_before_say_nothing_of_either(version: Path) -> None:
    objects = LocalObjects(version)
    (key,) = filter(is_commit, objects.list("blocks/"))
    found = read_manifest(objects, key.rpartition("/")[0])
    assert (found.row.tenant, found.row.block_id) == (TenantId("t"), "stored")
    index = objects.size(key) if key.endswith(INDEX) else 0
    assert found.row.stored_bytes == sum(found.objects.values()) + index > 0
    assert (found.replaces, found.journals) == ((), {})


GOOD = {
    "format_version": 2,
    "block_id": "b",
    "tenant": "t",
    "cut_id": "c",
    "level": 0,
    "created_ns": 1,
    "min_ts": 1,
    "max_ts": 2,
    "rows": 1,
    "line_bytes": 3,
    "objects": {"lines.parquet": 9},
}


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": 5},
        {"rows": "1"},
        {"rows": True},
        {"objects": None},
        {"objects": {"lines.parquet": "9"}},
        {"replaces": "b"},
        {"replaces": [1]},
        {"journals": {"j": None}},
    ],
    ids=str,
)
def test_a_manifest_that_says_something_else_is_damaged(change: dict[str, object]) -> None:
    assert parse_manifest("k", json.dumps(GOOD).encode()).row.rows == 1
    with pytest.raises(DamagedBlockError, match=r"^k is damaged"):
        parse_manifest("k", json.dumps(GOOD | change).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"{}"])
def test_bytes_that_are_no_manifest_are_damaged(data: bytes) -> None:
    with pytest.raises(DamagedBlockError):
        parse_manifest("k", data)
