"""Is every stored block of an older format still read? And by somebody else's reader?"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from narfi.core.tenant import TenantId
from storage.block.dump import dump_block
from storage.block.layout import FORMAT_VERSION, NEWEST_VERSION
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
    return next(version.rglob("manifest.json")).parent


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
    known = json.loads((folder_of(version) / "manifest.json").read_text())
    return BlockRow(
        block_id=known["block_id"],
        tenant=TenantId(known["tenant"]),
        cut_id=known["cut_id"],
        min_ts=known["min_ts"],
        max_ts=known["max_ts"],
        rows=known["rows"],
        line_bytes=known["line_bytes"],
        stored_bytes=sum(known["objects"].values()),
        level=known["level"],
        format_version=known["format_version"],
        created_ns=known["created_ns"],
    )


def test_the_current_version_is_stored() -> None:
    assert STORED / f"block-{FORMAT_VERSION}" in VERSIONS


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
    files = [*folder.glob("shape-*.parquet"), folder / "lines.parquet"]
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


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    row = replace(row_of(VERSIONS[-1]), format_version=NEWEST_VERSION + 1)
    with pytest.raises(ObjectError, match="this version reads up to"):
        open_block(row, LocalObjects(tmp_path), ByteCache(1 << 20), ByteCache(1 << 20))
