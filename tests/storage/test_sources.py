"""A block and a run in memory answer every scan as a filter over all entries would."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.clock import ManualClock
from narfi.core.columns import Spans
from narfi.core.tenant import TenantId
from storage.block import layout
from storage.block.identity import Layout
from storage.block.reader import KEPT_FETCH_BYTES, open_block
from storage.cache import ByteCache
from storage.catalog.sql import SqlCatalog
from storage.lines.plain import PlainLines
from storage.memory_source import MemorySource
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns, LogSource, ScanRequest
from storage.sorting import merge_batches
from storage.store import BlockStore, StoreServices
from tests.reference.budget import examples
from tests.storage.batches import Entry, batch_of, entries_of
from tests.storage.blocks import DEFAULT, small_groups, stored

TENANT = TenantId("t")
LINES = [b"", b"x", b"a\x00b", b"\xff\xfe", "grüße".encode(), b"w" * 300_000]
LINES += [b"n=%d k=v%d" % (n, n % 3) for n in range(6)] + [b'{"n":%d}' % n for n in range(6)]

ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 30),
        st.sampled_from(LINES),
        st.dictionaries(
            st.sampled_from([f"name{i}" for i in range(80)]),
            st.sampled_from(["1", "2"]),
            max_size=3,
        ),
    ),
    min_size=1,
    max_size=60,
)


def block_source(
    root: Path, entries: list[Entry], shape_min_lines: int = 0, layout: Layout = DEFAULT
) -> LogSource:
    """The entries, written as a block and opened through the catalog."""
    root.mkdir(parents=True, exist_ok=True)
    catalog = SqlCatalog(f"sqlite:///{root}/catalog.db")
    services = StoreServices(catalog, LocalObjects(root / "objects"), ManualClock(1))
    store = BlockStore(services, 1 << 20, shape_min_lines, layout)
    store.publish([store.write(merge_batches([batch_of(entries)]), TENANT, "cut")], [])
    with store.reading() as blocks:
        (source,) = blocks.sources(TENANT, 0, 100)
    return source


def scan(source: LogSource, request: ScanRequest) -> list[Entry]:
    """Everything that a scan gives, by row."""
    found: list[tuple[int, Entry]] = []
    for row_group in source.row_groups(request):
        batch = source.read(row_group, request)
        assert batch.ts.min() >= row_group.min_ts
        assert batch.ts.max() <= row_group.max_ts
        found.extend(zip(batch.rows.tolist(), entries_of(batch), strict=True))
    assert len({row for row, _ in found}) == len(found)
    return [entry for _, entry in sorted(found, key=lambda item: item[0])]


def scan_without_lines(
    source: LogSource, request: ScanRequest
) -> list[tuple[str, int, dict[str, str]]]:
    """As `scan`, of a scan that asks for no lines."""
    request = replace(request, columns=Columns(lines=False))
    found = list[tuple[int, tuple[str, int, bytes, dict[str, str]]]]()
    for row_group in source.row_groups(request):
        batch = source.read(row_group, request)
        assert batch.lines is None
        assert row_group.min_ts <= batch.ts.min() <= batch.ts.max() <= row_group.max_ts
        assert len(batch) <= row_group.rows
        empty = PlainLines(Spans.of([b""] * len(batch)))
        rows = entries_of(replace(batch, lines=empty))
        found.extend(zip(batch.rows.tolist(), rows, strict=True))
    found.sort(key=lambda item: item[0])
    return [(name, ts, extra) for _, (name, ts, _, extra) in found]


@settings(max_examples=examples(25), deadline=None)
@given(
    ENTRIES,
    st.integers(0, 31),
    st.integers(0, 31),
    st.sets(st.integers(0, 3)),
    st.sampled_from([1, 3, 7]),
)
def test_scan_and_fetch_equal_a_filter(
    tmp_path_factory: object,
    entries: list[Entry],
    start: int,
    end: int,
    streams: set[int],
    group_rows: int,
) -> None:
    run = merge_batches([batch_of(entries)])
    everything = entries_of(run)
    root = tmp_path_factory.mktemp("blocks")  # type: ignore[attr-defined]
    with small_groups(group_rows):
        cut = block_source(root / "cut", entries, 1, Layout(3))
    sources = (
        cut,
        MemorySource(run, "id", "cut"),
        block_source(root / "plain", entries),
        block_source(root / "shaped", entries, 1),
        block_source(root / "family", entries, 1, Layout(3)),
    )
    for source in sources:
        mask = np.array([o in streams for o in range(len(source.table))], np.bool_)
        chosen = {source.table.labels[o].get("app") for o in np.flatnonzero(mask).tolist()}
        request = ScanRequest(streams=mask, start_ns=start, end_ns=end, columns=Columns())
        wanted = [e for e in everything if e[0] in chosen and start <= e[1] < end]
        assert scan(source, request) == wanted
        assert scan_without_lines(source, request) == [(e[0], e[1], e[3]) for e in wanted]
        rows = np.flatnonzero([e in wanted for e in everything]).astype(np.int64)
        if len(rows):
            assert entries_of(source.fetch(rows, Columns())) == [everything[r] for r in rows]


def test_rare_metadata_names_share_a_column(tmp_path: Path) -> None:
    entries: list[Entry] = [("a", i, b"x", {f"name{i}": "v", "all": "w"}) for i in range(100)]
    source = block_source(tmp_path, entries)
    assert source.metadata_names() == {"all", *(f"name{i}" for i in range(100))}
    some = Columns(metadata=frozenset(("name7", "name99", "nosuch")))
    request = ScanRequest(streams=np.ones(1, np.bool_), start_ns=0, end_ns=100, columns=some)
    found = [extra for _, _, _, extra in scan(source, request)]
    assert found[7]["name7"] == "v"
    assert found[99]["name99"] == "v"


def test_wide_blocks_have_many_row_groups(tmp_path: Path) -> None:
    rows = 3 * layout.ROW_GROUP_ROWS + 5
    entries: list[Entry] = [("ab"[i % 2], i, b"line %d" % i, {}) for i in range(rows)]
    source = block_source(tmp_path, entries, layout=Layout(2))
    only_b = np.array([False, True])
    request = ScanRequest(streams=only_b, start_ns=rows - 10, end_ns=rows, columns=Columns())
    row_groups = source.row_groups(request)
    assert [s.index for s in row_groups] == [3]
    assert scan(source, request) == [e for e in entries if e[0] == "b" and e[1] >= rows - 10]


def test_so_have_wide_families(tmp_path: Path) -> None:
    entries: list[Entry] = [("ab"[i % 2], i, b"line %d" % i, {}) for i in range(305)]
    with small_groups(100):
        source = block_source(tmp_path, entries, layout=Layout(3))
    only_b = np.array([False, True])
    request = ScanRequest(streams=only_b, start_ns=295, end_ns=305, columns=Columns())
    assert [found.index for found in source.row_groups(request)] == [3]
    assert scan(source, request) == [e for e in entries if e[0] == "b" and e[1] >= 295]


def read_back(root: Path, version: int) -> tuple[Path, list[dict[str, object]]]:
    """The folder of a block of two plain lines, and its streams."""
    entries: list[Entry] = [("a", 5, b"hello", {"level": "info"}), ("b", 6, b"world", {})]
    block_source(root, entries, layout=Layout(version))
    (folder,) = (path.parent for path in root.rglob(layout.STREAMS))
    return folder, pq.read_table(folder / layout.STREAMS).to_pylist()


def test_a_block_of_families_reads_as_plain_parquet(tmp_path: Path) -> None:
    folder, streams = read_back(tmp_path, 3)
    rows = pq.read_table(folder / layout.ROWS)
    assert rows.column("ts").type == pa.timestamp("ns")
    assert rows.column("ts").cast(pa.int64()).to_pylist() == [5, 6]
    assert rows.drop(["ts"]).to_pylist() == [
        {"row": 0, "stream": 0, "metadata.level": "info"},
        {"row": 1, "stream": 1, "metadata.level": None},
    ]
    lines = pq.read_table(folder / "family-0.parquet").to_pylist()
    assert lines == [
        {"row": 0, "shape": None, "line": "hello"},
        {"row": 1, "shape": None, "line": "world"},
    ]
    assert streams[0]["labels"] == [("app", "a"), ("job", "test")]


def test_a_block_of_shapes_reads_as_plain_parquet(tmp_path: Path) -> None:
    folder, streams = read_back(tmp_path, 2)
    lines = pq.read_table(folder / layout.LINES).to_pylist()
    assert lines == [
        {"stream": 0, "ts": 5, "row": 0, "line": "hello", "metadata.level": "info"},
        {"stream": 1, "ts": 6, "row": 1, "line": "world", "metadata.level": None},
    ]
    assert streams[0]["labels"] == [("app", "a"), ("job", "test")]


def test_columns_of_an_answer_of_wide_lines_are_not_remembered() -> None:
    """Of a few rows they are: those are asked for again and again."""
    lines = [b"%d" % n + b"w" * 300_000 for n in range(40)]
    row, objects = stored(
        merge_batches([batch_of([("a", n, x, {}) for n, x in enumerate(lines)])]), 0
    )
    remembered: ByteCache[object] = ByteCache(1 << 30)
    source = open_block(row, objects, ByteCache(1 << 20), remembered)
    found = source.fetch(np.arange(len(lines)), Columns())
    assert found.lines is not None
    assert found.lines.spans().to_list() == lines
    assert remembered.bytes < 1 << 20
    source.fetch(np.arange(KEPT_FETCH_BYTES // 300_000), Columns())
    assert remembered.bytes > KEPT_FETCH_BYTES // 2
