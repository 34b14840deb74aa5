"""Does the matcher read nothing behind the lines, and end texts where the cut ends them?"""

import ctypes
import mmap
import random
import subprocess
import sys

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels import shape_match as sm
from narfi.core.kernels.shape_scan import (
    H_ARRAY,
    H_LITERAL,
    H_QUOTED,
    H_STRING,
    H_VALUE,
    H_WORD,
)
from narfi.core.kernels.sorting import rows_by_stream
from narfi.core.labels import Labels
from narfi.core.tenant import TenantId
from storage.block.shapes.cut import cut
from storage.block.shapes.run import Run
from storage.block.shapes.warm import WarmEncoder
from tests.reference.similar import damaged, similar_lines

PAGE = mmap.PAGESIZE
ENDS = {
    H_STRING: sm.BY_STRING,
    H_LITERAL: sm.BY_LITERAL,
    H_ARRAY: sm.BY_ARRAY,
    H_VALUE: sm.BY_VALUE,
    H_QUOTED: sm.BY_QUOTE,
    H_WORD: sm.BY_WORD,
}


@given(similar_lines())
@example([b"2024-01-01 10:00:00,123: a. b: 2024-01-01 10:00:0"])
@example([rb'{"a":[[],{"b":["]"]}],"c":-1e5,"d":"\"","e":""}'])
def test_texts_end_where_the_cut_ends_them(lines: list[bytes]) -> None:
    for fine in (False, True):
        found = cut(Spans.of(lines), fine=fine)
        for line in range(len(lines)):
            text = np.frombuffer(lines[line] or b"\0", np.uint8)
            first = int(found.hole_from[line])
            for k, kind in enumerate(found.kinds(line)):
                ends = sm.BY_RUN if fine else ENDS.get(kind)
                if ends is None:
                    continue  # the rest of a line with too many words: never remembered
                start, size = int(found.hole_start[first + k]), int(found.hole_length[first + k])
                assert sm.text_end(text, start, len(lines[line]), ends, 0) == start + size


def read_before_a_wall(seed: int, blocks: int) -> None:
    """Blocks of lines, damaged and cut off, that end where memory ends which may be read."""
    pages = 8
    area = mmap.mmap(-1, (pages + 1) * PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(base + pages * PAGE), PAGE, 0) == 0, ctypes.get_errno()
    r = random.Random(seed)
    encoder, labels = WarmEncoder(), [Labels.of({"a": "b"})]
    made = [
        b'{"id":%d,"user":"u%d","tags":[%d],"at":"2024-01-02T03:04:%02dZ","ok":true}',
        b'level=info id=%d msg="took %d ms" hash=%08x n=%d',
        b"[%d] GET /a/%d/b %d from 10.0.0.%d",
    ]
    kept = 0
    for block in range(blocks):
        lines = [r.choice(made) % (r.randrange(99), r.randrange(9), block, 7) for _ in range(150)]
        lines = [damaged(line, r) if block and r.random() < 0.3 else line for line in lines]
        lines[-1] = lines[-1][: r.randrange(len(lines[-1]))]
        packed = Spans.of(lines)
        size = len(packed.data)
        view = np.frombuffer(area, np.uint8)[pages * PAGE - size : pages * PAGE]
        view[:] = packed.data
        spans = Spans(view, packed.start, packed.length)
        run = Run(TenantId("t"), labels, np.zeros(150, np.int32), spans)
        kept += sum(len(shape.rows) for shape in encoder.shapes(run, 10))
    assert kept > 80 * blocks
    print("read", kept)


def test_nothing_behind_the_lines_is_read() -> None:
    code = f"from {__name__} import read_before_a_wall; read_before_a_wall(5, 60)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("read")


@given(st.lists(st.tuples(st.integers(-1, 5), st.integers(0, 1 << 16))))
def test_lines_are_counted_and_put_in_order_by_shape(lines: list[tuple[int, int]]) -> None:
    shape = np.array([shape for shape, _ in lines], np.int32)
    length = np.array([size for _, size in lines], np.int32)
    sizes, nbytes = np.zeros(6, np.int64), np.zeros(6, np.int64)
    sm.count_shapes(shape, length, sizes, nbytes)
    rows = [[i for i, (mine, _) in enumerate(lines) if mine == t] for t in range(6)]
    assert sizes.tolist() == [len(mine) for mine in rows]
    assert nbytes.tolist() == [sum(lines[i][1] for i in mine) for mine in rows]
    order = np.empty(int(sizes.sum()), np.int64)
    rows_by_stream(shape, np.cumsum(sizes) - sizes, order)
    assert order.tolist() == [i for mine in rows for i in mine]
