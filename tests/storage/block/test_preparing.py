"""Does a query of a block that was prepared decode nothing, and answer as one of any other?"""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from storage.batch import LogBatch
from storage.block.identity import Layout
from storage.block.preparing import preparation
from storage.block.reader import BlockSource, open_block
from storage.cache import ByteCache
from storage.scan import Columns, ReadStats, ScanRequest
from storage.sorting import merge_batches
from storage.store import PREPARED
from tests.storage.batches import Entry, batch_of
from tests.storage.blocks import LAYOUTS, Row, block_of, rows_in, small_groups, stored
from tests.storage.families import APPS, line, programs
from tests.storage.stored import DAY, NOW, Stored

MIN_ROWS = 64
EVER = (-(2**62), 2**62)
PLAIN = [b"", b"?", b"only once, and nothing like it", b"\xff\x00"]


def some_plain() -> LogBatch:
    """Lines of programs, and some that are of no shape."""
    entries: list[Entry] = [
        (app, number, line(app, number), {"pod": f"p{number % 3}"} if number % 2 else {})
        for app in APPS
        for number in range(300)
    ]
    entries += [("api", 1000 + k, text, {"rare": "yes"}) for k, text in enumerate(PLAIN)]
    return merge_batches([batch_of(entries)])


class Gone(dict[str, bytes]):
    """Objects that nobody may read any more."""

    def __contains__(self, key: object) -> bool:
        raise AssertionError(f"{key} was read")

    def __getitem__(self, key: str) -> bytes:
        raise AssertionError(f"{key} was read")


def request(source: BlockSource, needle: bytes, stats: ReadStats) -> ScanRequest:
    """All streams and times, as a query asks that keeps what it reads."""
    return ScanRequest(
        streams=np.ones(len(source.table), np.bool_),
        start_ns=EVER[0],
        end_ns=EVER[1],
        columns=Columns(),
        needles=(needle,) if needle else (),
        keep=True,
        stats=stats,
    )


def scanned(source: BlockSource, needle: bytes, stats: ReadStats | None = None) -> dict[int, Row]:
    """The rows whose line has the needle, as a scan finds them."""
    wanted, found = request(source, needle, stats or ReadStats()), dict[int, Row]()
    for group in source.row_groups(wanted):
        batch = source.read(group, wanted)
        assert batch.lines is not None
        found |= rows_in(batch.take(batch.lines.contains(needle)))
    return found


@pytest.mark.parametrize("made", [programs, some_plain])
@pytest.mark.parametrize("group_rows", [None, 100])
@pytest.mark.parametrize("layout", [one for one in LAYOUTS if one.version > 2])
def test_what_was_prepared_is_not_read_again(
    made: Callable[[], LogBatch], group_rows: int | None, layout: Layout
) -> None:
    with small_groups(group_rows):
        row, objects = stored(made(), MIN_ROWS, layout=layout)
    source = open_block(row, objects, ByteCache(1 << 24), ByteCache(1 << 24))
    steps = sum(1 for _ in preparation(source))
    assert steps > len(source.index.files), "in steps"
    expected = block_of(made(), MIN_ROWS)
    objects.content = Gone()
    stats = ReadStats()
    for needle in (b"", b"nothing has it", b"took 49", b"like it", b"p1", b'"x7'):
        assert scanned(source, needle, stats) == scanned(expected, needle), needle
    every = np.arange(row.rows)
    assert rows_in(source.fetch(every, Columns(), stats)) == rows_in(
        expected.fetch(every, Columns())
    )
    sums = source.line_sums(load=False)
    assert sums is not None
    lengths = [len(one[2]) for _, one in sorted(scanned(expected, b"").items())]
    assert np.diff(sums).tolist() == lengths
    assert stats.bytes_read == 0


def test_of_format_2_the_order_is_known() -> None:
    row, objects = stored(programs(), MIN_ROWS, layout=Layout(2))
    source = open_block(row, objects, ByteCache(1 << 24), ByteCache(1 << 24))
    assert sum(1 for _ in preparation(source)) == 1
    objects.content = Gone()
    assert source.times().tolist() == block_of(programs(), MIN_ROWS).times().tolist()


def few(app: str, at: int) -> Sequence[Entry]:
    """Entries of a small block."""
    return [(app, at + k, b"line %d of %d" % (k, at), {}) for k in range(50)]


def test_a_store_prepares_blocks_in_the_order_given_until_a_cache_is_nearly_full(
    stored: Stored,
) -> None:
    rows = [stored.add(few("a", NOW - k * DAY)) for k in range(4)]
    store = stored.store
    order = [rows[k].block_id for k in (2, 0, 1, 3)]
    for _ in store.preparing(order[:2]):
        assert not store.columns.is_full_to(PREPARED)
    assert {key for key in order if (key, "order") in store.columns} == set(order[:2])
    size = store.columns.bytes
    store.columns.room = lambda: int((size + 1) / PREPARED) + 1
    steps = sum(1 for _ in store.preparing(order[2:]))
    assert store.columns.is_full_to(PREPARED)
    assert (order[3], "order") not in store.columns
    assert 0 < steps < 8
    assert (order[0], "order") in store.columns, "nothing was forgotten for it"
    assert sum(1 for _ in store.preparing(order)) == 0


def test_blocks_that_are_gone_or_damaged_are_left_out(stored: Stored) -> None:
    rows = [stored.add(few("a", NOW - k * DAY)) for k in range(4)]
    ids = [row.block_id for row in rows]
    stored.catalog.replace([ids[0]], [])
    for path in (stored.folder / "objects").rglob(f"{ids[1]}/*.parquet"):
        content = bytearray(path.read_bytes())
        content[4:-8] = bytes(len(content) - 12)
        path.write_bytes(content)
    (index,) = (stored.folder / "objects").rglob(f"{ids[2]}/index")
    index.write_bytes(b"nonsense")
    assert sum(1 for _ in stored.store.preparing(ids)) > 1
    assert {found.row.block_id for found in stored.store.quarantine.blocks()} == {ids[1], ids[2]}
    assert [(one, "order") in stored.store.columns for one in ids] == [False, False, False, True]
