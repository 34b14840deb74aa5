"""Where are the holes? Never over each other, never touching, and the same wherever a line lies."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.columns import Spans
from narfi.core.kernels import shape_scan as ss
from storage.block.shapes.cut import cut
from tests.reference.budget import examples
from tests.reference.similar import damaged, similar_lines

Cut = tuple[int, list[tuple[int, int, int]]]
LINES = st.one_of(similar_lines(6), st.lists(st.binary(max_size=30), min_size=1, max_size=4))


def placed(line: bytes, before: bytes, behind: bytes) -> Spans:
    """A line within other bytes."""
    data = np.frombuffer(before + line + behind, np.uint8)
    return Spans(data, np.array([len(before)]), np.array([len(line)], np.int32))


def cut_of(spans: Spans, *, fine: bool) -> Cut:
    """(how the line was cut, place, size and kind of its holes)."""
    found = cut(spans, fine=fine)
    count = found.count(0)
    start, length, fits = found.gather(np.zeros(1, np.int64), spans)
    assert fits[0]
    places = (start[:, 0] - int(spans.start[0])).tolist()
    assert len(places) == count
    return int(found.how[0]), list(zip(places, length[:, 0].tolist(), found.kinds(0), strict=True))


@settings(max_examples=examples(100))
@given(LINES, st.booleans(), st.integers(0, 1 << 16))
@example([b" ".join(b"w%d" % k for k in range(63)) + b'"x y"'], False, 0)
def test_holes_ascend_and_never_touch(lines: list[bytes], fine: bool, seed: int) -> None:
    random = Random(seed)
    for line in {*lines, *(damaged(line, random) for line in lines)}:
        how, holes = cut_of(placed(line, b"", b""), fine=fine)
        end = -1
        for place, size, _ in holes:
            assert place > end, "a byte lies between two holes"
            assert size >= 0
            end = place + size
        assert end <= len(line)
        for before, behind in ((b'"', b'"'), (b'{"a":1', b"}1\\"), (b"9", b"9 a=b")):
            assert cut_of(placed(line, before, behind), fine=fine) == (how, holes)


@settings(max_examples=examples(100))
@given(LINES, st.booleans())
def test_equal_hashes_are_equal_constants(lines: list[bytes], fine: bool) -> None:
    spans = Spans.of(lines)
    found_cut = cut(spans, fine=fine)
    cuts, skeleton = found_cut.how, found_cut.skeleton
    known: dict[object, int] = {}
    for line, how, found in zip(lines, cuts.tolist(), skeleton.tolist(), strict=True):
        if how == ss.PLAIN:
            continue
        _, holes = cut_of(placed(line, b"", b""), fine=fine)
        constants, at = [], 0
        for place, size, _ in holes:
            constants.append(line[at:place])
            at = place + size
        key = (how, *constants, line[at:], *(kind for _, _, kind in holes))
        assert known.setdefault(key, found) == found
    assert len(set(known.values())) == len(known)


FUZZ = """
import numpy as np
from random import Random
from narfi.core.columns import Spans
from narfi.core.kernels import shape_values as sv
from storage.block.shapes.cut import cut
from tests.reference.similar import NUMBERS, TIMES, HEX, ADDRESSES, damaged, look_alikes
random, rounds = Random({seed}), {rounds}
lines = [line for _, found in look_alikes() for line in found[:4]]
lines += [b'{{"a":tru', b'a="\\\\', b'"', b"\\\\", b'{{"a":"\\\\u12', b'{{"a":fals']
lines += [b"2023-11-14 22:13:2", b'a=b c="', b"w " * 70, b'"x" ' * 70]
values = [*NUMBERS, *TIMES, *HEX, *ADDRESSES]
for _ in range(rounds):
    line = random.choice(lines)
    for _ in range(random.randrange(3)):
        line = damaged(line, random)
    line = line[: random.randrange(len(line) + 1)]
    spans = Spans.of([line])
    for fine in (False, True):
        found = cut(spans, fine=fine)
        found.gather(np.zeros(1, np.int64), spans)
    value = damaged(random.choice(values), random)
    spans, out = Spans.of([value]), np.empty(1, np.int64)
    arguments = (spans.data, spans.start, spans.length)
    sv.profile(*arguments, np.zeros(sv.PROFILE_SIZE, np.int64))
    sv.parse_ipv4(*arguments, out)
    for layout in (b"DD/bbb/YYYY:hh:mm:ss", b"YYYY-MM-DD hh:mm:ss.fff"):
        sv.parse_times(*arguments, np.frombuffer(layout, np.uint8), out)
    sv.parse_hex(*arguments, np.frombuffer(b"xxxx-xxxx", np.uint8), np.empty((1, 4), np.uint8))
"""


@pytest.mark.slow
def test_no_kernel_reads_beyond_its_arrays() -> None:
    """Compiled with checks of every index, which takes seconds."""
    code = FUZZ.format(seed=1, rounds=examples(3000))
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": "."}
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
