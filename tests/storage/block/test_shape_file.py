"""Do similar lines come back from shape files as they went in, and is nothing pruned wrongly?"""

import itertools
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.block.identity import Layout
from storage.block.shapes.encode import MIN_ROWS
from storage.scan import Columns, ScanRequest
from storage.sorting import merge_batches
from tests.querier.shaped import similar_entries
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.similar import THRESHOLDS, look_alikes, sprinkle, thresholds
from tests.storage.blocks import LAYOUTS, block_of, merged, rows_in, small_groups
from tests.storage.lines.test_shaped import needles

LOGHUB = Path("/work/shared/data/loghub")
Limits = tuple[int, int, int] | None


@settings(max_examples=examples(80))
@given(
    similar_entries(12),
    st.sampled_from([1, 1, 2, 5, MIN_ROWS]),
    st.sampled_from(LAYOUTS),
    THRESHOLDS,
    st.booleans(),
    st.integers(0, 1 << 16),
)
def test_a_block_gives_back_its_rows(
    entries: list[Entry], least: int, layout: Layout, limits: Limits, plain: bool, seed: int
) -> None:
    random = Random(seed)
    run = merge_batches([batch_of(entries)])
    everything = rows_in(run)
    with thresholds(limits), small_groups(random.choice([None, 1, 2, 5])):
        source = block_of(run, least, layout=layout)
    streams = np.array([random.random() < 0.8 for _ in range(len(source.table))], np.bool_)
    start = START_NS + random.choice([0, 0, 1, 3]) * NS // 2
    end = START_NS + random.choice([100, 100, 2, 5]) * NS // 2
    chosen = {source.table.labels[k].pairs for k in np.flatnonzero(streams).tolist()}
    wanted = {n: r for n, r in everything.items() if r[0] in chosen and start <= r[1] < end}
    request = ScanRequest(
        streams=streams, start_ns=start, end_ns=end, columns=Columns(), plain=plain
    )
    parts = source.row_groups(request)
    batches = [source.read(row_group, request) for row_group in parts]
    for part, batch in zip(parts, batches, strict=True):
        assert part.pieces is not None
        sizes = part.pieces.high - part.pieces.low
        rises = np.diff(batch.rows) > 0
        rises[np.cumsum(sizes)[:-1] - 1] = True  # from a piece to the next
        assert rises.all()
    assert merged([rows_in(batch) for batch in batches]) == wanted
    some = [row for row in everything if random.random() < 0.6]
    if some:
        fetched = source.fetch(np.array(some, np.int64), Columns())
        assert fetched.rows.tolist() == some
        assert rows_in(fetched) == {row: everything[row] for row in some}
    for needle in needles([e[3] for e in entries], random):
        request = ScanRequest(
            streams=streams, start_ns=start, end_ns=end, columns=Columns(), needles=(needle,)
        )
        read = [source.read(row_group, request) for row_group in source.row_groups(request)]
        hits = {row for row, found in wanted.items() if needle in found[2]}
        assert hits <= merged([rows_in(batch) for batch in read]).keys(), needle


def logs_of(lines: list[bytes]) -> list[Entry]:
    """The lines, one a second."""
    return [({"app": "api"}, {}, START_NS + n * NS, line) for n, line in enumerate(lines)]


def check(lines: list[bytes], least: int, limits: Limits = None) -> None:
    run = merge_batches([batch_of(logs_of(lines))])
    for layout in LAYOUTS:
        with thresholds(limits):
            source = block_of(run, least, layout=layout)
        found = source.fetch(np.arange(len(run)), Columns())
        assert found.lines is not None
        assert found.lines.spans().to_list() == lines


@pytest.mark.parametrize(
    ("name", "lines"), look_alikes(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_known_kinds_of_logs(name: str, lines: list[bytes]) -> None:
    for seed in range(4):
        changed = sprinkle(lines, seed)
        for least in (1, 5):
            check(changed, least, [None, (1, 8192, 4)][seed % 2])


@pytest.mark.skipif(not LOGHUB.exists(), reason=f"{LOGHUB} is not on this machine")
def test_loghub() -> None:
    files = sorted(LOGHUB.glob("*.log"))
    assert files
    for seed, file in enumerate(files):
        lines = file.read_bytes().splitlines()
        check(sprinkle(lines, seed), [MIN_ROWS, 5][seed % 2])


def test_every_row_of_its_own_shape() -> None:
    lines = [b"{%s}" % b",".join(b'"k%d":%d' % (k, n) for k in range(n % 60)) for n in range(3000)]
    lines += [b"(" * (n % 70) + b"x%d" % n + b")" * (n // 70) for n in range(3000)]
    check(lines, 1)


def test_fields_named_as_columns() -> None:
    """No member of a line becomes a column of ours, nor structured metadata."""
    keys = (b"metadata", b"metadata_rest", b"stream", b"ts", b"row", b"line", rb"\ud83d")
    lines = [b'{"%s":%d}' % (key, n) for key in keys for n in range(3)]
    lines += [b'{"%s":{"id":%d}}' % (key, n) for key in keys for n in range(3)]
    lines += [b'{"%s":{"id":"took %d ms for %d"}}' % (k, n, n) for k in keys for n in range(300)]
    lines += [b"%s=%d metadata.x=%d" % (key, n, n) for key in keys for n in range(3)]
    run = merge_batches([batch_of(logs_of(lines))])
    for limits, layout in itertools.product((None, (1, 8192, 4)), LAYOUTS):
        with thresholds(limits):
            source = block_of(run, 1, layout=layout)
        assert source.metadata_names() == frozenset()
        assert rows_in(source.fetch(np.arange(len(run)), Columns())) == rows_in(run)


def test_lines_at_the_limits() -> None:
    """Lines as long as are cut, and longer; and numbers of holes around the limit."""
    sizes = (65_535, 65_536, 65_537, 262_144)
    lines = [b'{"a":"' + b"x" * (size - 8) + b'"}' for size in sizes for _ in range(3)]
    lines += [b"a=" + b"x" * (size - 7) + b" b=%03d" % k for size in sizes for k in range(3)]
    lines += [b"w " * (size // 2) + b"%d" % k for size in sizes for k in range(3)]
    for count in (62, 63, 64, 65):
        lines += [b"{%s}" % b",".join(b'"k%d":%d' % (k, n) for k in range(count)) for n in range(3)]
        lines += [b" ".join(b"k%d=%d" % (k, n) for k in range(count)) for n in range(3)]
        lines += [b" ".join(b"w%d" % (k + n) for k in range(count)) for n in range(3)]
        lines += [b" ".join(b"w%d" % (k + n) for k in range(count)) + b'"x y"' for n in range(3)]
        lines += [b",".join(b'"w%d"' % (k + n) for k in range(count)) for n in range(3)]
        lines += [b"/".join(b"w%d" % (k + n) for k in range(count)) for n in range(3)]
    for depth in (58, 59, 60, 61, 64, 65, 66):
        lines += [b'{"a":' * depth + b"%d" % n + b"}" * depth for n in range(3)]
        lines += [b'{"a":' + b"[" * depth + b"%d" % n + b"]" * depth + b"}" for n in range(3)]
    check(lines, 1)
    check(lines, 1, (1, 2, 1))
