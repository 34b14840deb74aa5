"""Are merged blocks what a merge of their entries would be? Without a decoded line where alike."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.block.draft import ShapePart
from storage.block.format3.writer import write_families
from storage.block.identity import BlockIdentity, Layout
from storage.block.layout import STREAMS
from storage.block.merge import merge_blocks
from storage.block.merge_families import merge_families
from storage.block.merge_rows import Kept
from storage.block.reader import BlockSource, open_block
from storage.block.writer import write_block, write_run
from storage.cache import ByteCache
from storage.catalog.base import BlockRow
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns
from storage.sorting import merge_batches
from tests.reference.budget import examples
from tests.storage.batches import Entry, batch_of, entries_of
from tests.storage.blocks import DEFAULT, LAYOUTS
from tests.storage.stored import TENANT

LINES = st.one_of(
    st.builds(
        lambda n, w: b'{"n":%d,"w":"%s"}' % (n, w),
        st.integers(-5, 400),
        st.sampled_from([b"a", b"b\\n"]),
    ),
    st.builds(lambda n: b"took %d.%02d ms" % (n // 100, n % 100), st.integers(0, 999)),
    st.builds(lambda n: b"k=v id=%016x" % n, st.integers(0, 1 << 63)),
    st.binary(max_size=6),
)
ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 12),
        LINES,
        st.dictionaries(st.sampled_from(["m", "n"]), st.sampled_from(["1", "2"]), max_size=1),
    ),
    min_size=1,
    max_size=30,
)
BLOCKS = st.lists(ENTRIES, min_size=1, max_size=4)


def block(
    root: Path, number: int, entries: list[Entry], min_lines: int, layout: Layout = DEFAULT
) -> BlockSource:
    """The entries as a stored block."""
    objects = LocalObjects(root)
    identity = BlockIdentity(
        block_id=f"b{number}", tenant=TENANT, cut_id="cut", level=0, created_ns=number
    )
    run = merge_batches([batch_of(entries)])
    row = write_run(run, identity, objects, min_lines, layout=layout)
    return open_block(row, objects, ByteCache(1 << 20), ByteCache(1 << 20))


def all_of(source: BlockSource) -> list[Entry]:
    """All entries in row order."""
    return entries_of(source.fetch(np.arange(len(source.times())), Columns()))


def written(
    kept: list[Kept], least: int, identity: BlockIdentity, objects: LocalObjects, version: int
) -> BlockRow | None:
    """What is kept as one block; None when nothing is."""
    if version == 2:
        draft, parts = merge_blocks(kept, least)
        return write_block(draft, parts, identity, objects) if len(draft) else None
    merged = merge_families(kept, least)
    if not len(merged.draft):
        return None
    return write_families(
        merged.draft, merged.lengths, merged.metadata, merged.families, identity, objects
    )


@settings(deadline=None, max_examples=examples(60))
@given(BLOCKS, st.integers(0, 2), st.integers(0, 2), st.data())
def test_merged_blocks_equal_merged_entries(
    tmp_path_factory: object, parts: list[list[Entry]], before: int, after: int, data: st.DataObject
) -> None:
    root: Path = tmp_path_factory.mktemp("merge")  # type: ignore[attr-defined]
    drawn = [data.draw(st.sampled_from(LAYOUTS)) for _ in parts]
    sources = [block(root, k, e, before, drawn[k]) for k, e in enumerate(parts)]
    kept = []
    for source in sources:
        rows = len(source.times())
        keep = data.draw(st.none() | st.lists(st.booleans(), min_size=rows, max_size=rows))
        kept.append(Kept(source, None if keep is None else np.array(keep, np.bool_)))
    wanted = merge_batches(
        [
            batch_of([e for e, k in zip(all_of(one.source), mask, strict=True) if k])
            for one in kept
            for mask in [np.ones(len(one.source.times())) if one.rows is None else one.rows]
        ]
    )
    objects = LocalObjects(root)
    identity = BlockIdentity(block_id="merged", tenant=TENANT, cut_id="c", level=1, created_ns=9)
    row = written(kept, after, identity, objects, data.draw(st.sampled_from([2, 3])))
    assert (row is None) == (not len(wanted))
    if row is None:
        return
    merged = open_block(row, objects, ByteCache(1 << 20), ByteCache(1 << 20))
    assert all_of(merged) == entries_of(wanted)
    assert merged.table.line_bytes.tolist() == wanted.table.line_bytes.tolist()
    assert tuple(merged.table.labels) == tuple(wanted.table.labels)


def test_equal_shapes_are_merged_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[list[Entry]] = [
        [("a", 100 * k + n, b"took %d ms for %016x" % (n, n * k), {}) for n in range(1, 50)]
        for k in range(1, 4)
    ]
    sources = [block(tmp_path, k, entries, 10) for k, entries in enumerate(parts)]
    monkeypatch.setattr("storage.block.merge_rows.decode_lines", _not_wanted)
    _, found = merge_blocks([Kept(source, None) for source in sources], 10)
    (only,) = list(found)
    assert isinstance(only, ShapePart)
    assert len(only.rows) == 147


def _not_wanted(*_arguments: object) -> None:
    raise AssertionError("lines were decoded")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_words_of_dropped_rows_are_in_no_file(tmp_path: Path, layout: Layout, version: int) -> None:
    """A dictionary holds what rows hold, so a delete leaves nothing behind."""
    entries: list[Entry] = [
        ("a", n, b"user %s is number %d" % (b"gone" if n % 10 == 3 else b"kept", n), {})
        for n in range(60)
    ]
    source = block(tmp_path, 1, entries, 10, layout)
    keep = np.array([n % 10 != 3 for n in range(60)])
    objects = LocalObjects(tmp_path)
    identity = BlockIdentity(block_id="merged", tenant=TENANT, cut_id="c", level=1, created_ns=9)
    assert written([Kept(source, keep)], 10, identity, objects, version) is not None
    if not layout.packed:
        assert {"kept", "gone"} <= words_of(tmp_path, "b1")
    assert {"kept", "gone"} & words_of(tmp_path, "merged") == {"kept"}


def words_of(root: Path, block_id: str) -> set[str]:
    """All words of the dictionaries of a block that is not packed."""
    found: set[str] = set()
    for path in root.rglob("*.parquet"):
        if path.parent.name == block_id and path.name != STREAMS:
            names = pq.read_schema(path).names
            table = pq.ParquetFile(path, read_dictionary=names).read()
            for column in table.columns:
                for chunk in column.chunks:
                    if pa.types.is_dictionary(chunk.type):
                        found |= set(map(str, chunk.dictionary.to_pylist()))
    return found
