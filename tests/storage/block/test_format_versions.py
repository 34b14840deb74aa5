"""Is every stored block of an older format still read? And by somebody else's reader?"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from storage.block.describe import NotABlockError, describe_block
from storage.block.dump import dump_block
from storage.block.layout import NEWEST_VERSION
from storage.block.manifest import read_manifest
from storage.block.reader import open_block
from storage.block.shape_file import template_of
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.lines.template import HoleKind, Template
from storage.objects.base import ObjectError
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from tests.format_versions.make_block import EXPECTED
from tests.storage.batches import Entry, entries_of

STORED = Path(__file__).parents[2] / "format_versions"
VERSIONS = sorted(STORED.glob("block-*"))


def folder_of(version: Path) -> Path:
    """The folder of the stored block."""
    return next(version.rglob("streams.parquet")).parent


def expected(version: Path) -> list[Entry]:
    """What was stored."""
    return EXPECTED[int(version.name.removeprefix("block-"))]


def template_in(file: Path) -> Template:
    """The template of a shape's file."""
    template = template_of(pq.read_metadata(file))
    assert template is not None
    return template


def row_of(version: Path) -> BlockRow:
    """The catalog's row, from the manifest."""
    folder = folder_of(version)
    return read_manifest(LocalObjects(folder.parent), folder.name).row


def test_the_current_version_is_stored() -> None:
    assert {STORED / f"block-{n}" for n in range(1, NEWEST_VERSION + 1)} == set(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_every_entry_comes_back(version: Path) -> None:
    source = open_block(
        row_of(version), LocalObjects(version), ByteCache(1 << 20), ByteCache(1 << 20)
    )
    batch = source.fetch(np.arange(int(source.table.rows.sum())), Columns())
    assert sorted(entries_of(batch), key=repr) == sorted(expected(version), key=repr)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_it_is_plain_parquet(version: Path) -> None:
    folder = folder_of(version)
    files = [*folder.glob("shape-*.parquet"), *folder.glob("lines.parquet")]
    files += folder.glob("family-*.parquet")
    streams = pq.read_table(folder / "streams.parquet")
    rows = len(expected(version))
    assert sum(pq.read_table(file).num_rows for file in files) == rows
    assert pc.sum(streams.column("rows")).as_py() == rows


def test_every_kind_of_hole_is_stored() -> None:
    kinds = {
        hole.type.kind
        for file in folder_of(STORED / "block-2").glob("shape-*.parquet")
        for hole in template_in(file).holes
    }
    assert kinds == set(HoleKind)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_it_can_be_inspected(version: Path) -> None:
    text = dump_block(folder_of(version))
    assert "web" in text


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_bytes_and_rows_are_told(version: Path) -> None:
    found = describe_block(folder_of(version))
    files = {file["name"]: file for file in found["files"]}
    assert found["rows"] == len(expected(version))
    holding = [f for name, f in files.items() if name not in ("streams.parquet", "rows.parquet")]
    shaped = sum(shape["rows"] for file in holding for shape in file["shapes"])
    assert found["plain_rows"] == found["rows"] - shaped
    assert found["shapes"] == sum(len(file["shapes"]) for file in holding)
    assert found["streams"] == len({app for app, *_ in expected(version)})
    for name, file in files.items():
        size = (folder_of(version) / name).stat().st_size
        assert file["bytes"] == found["objects"][name] == size
        assert 0 < sum(column["bytes"] for column in file["columns"]) < size
    with pytest.raises(NotABlockError, match="is not a block"):
        describe_block(version)


def test_families_say_which_shape_a_row_has() -> None:
    """Nothing but Parquet is needed: rows joined by `row` are the entries, `shape` their shapes."""
    folder = folder_of(STORED / "block-3")
    rows = pq.read_table(folder / "rows.parquet")
    for file in describe_block(folder)["files"]:
        if "family" in file:
            family = pq.read_table(folder / file["name"])
            assert family["row"].to_numpy().max() < rows.num_rows
            shape = family["shape"]
            counts = [pc.sum(pc.equal(shape, k)).as_py() for k in range(len(file["shapes"]))]
            assert counts == [found["rows"] for found in file["shapes"]]
            assert shape.null_count == file["plain_rows"]
            assert family["line"].null_count == file["rows"] - file["plain_rows"]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    row = replace(row_of(VERSIONS[-1]), format_version=NEWEST_VERSION + 1)
    with pytest.raises(ObjectError, match="this version reads up to"):
        open_block(row, LocalObjects(tmp_path), ByteCache(1 << 20), ByteCache(1 << 20))
