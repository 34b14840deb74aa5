"""Are patterns of stored shapes those of the lines? And are lines with words told apart?"""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from querier.patterns import LEVEL, Pattern, PatternCounts
from storage.block.reader import BlockSource
from storage.block.writer import BlockIdentity, write_run
from storage.cache import ByteCache
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns, ScanRequest
from storage.sorting import merge_batches
from tests.reference.budget import examples
from tests.storage.batches import Entry, batch_of

ROWS = 40
STEP, BUCKETS = 10, 16


def patterns_of(entries: list[Entry], *, plain: bool) -> list[Pattern]:
    """The patterns of a stored block."""
    with tempfile.TemporaryDirectory() as folder:
        objects = LocalObjects(Path(folder))
        identity = BlockIdentity("b", TenantId("t"), "cut", 0, 0)
        row = write_run(merge_batches([batch_of(entries)]), identity, objects, 8)
        source = BlockSource(row, objects, ByteCache(1 << 20), ByteCache(1 << 20))
        every = np.ones(len(source.table), np.bool_)
        columns = Columns(metadata=frozenset((LEVEL,)))
        request = ScanRequest(every, 0, 1 << 62, columns, plain=plain)
        counts = PatternCounts(0, STEP, BUCKETS)
        decoded = 0
        for segment in source.segments(request):
            batch = source.read(segment, request)
            assert batch.lines is not None
            decoded += batch.lines.shape() is None
            counts.add(batch)
        if not plain:
            assert decoded <= 1, "only lines of no shape are read"
        return counts.patterns()


def shown(patterns: list[Pattern]) -> list[tuple[str, str, list[int]]]:
    """To compare."""
    return [(p.text, p.level, p.counts.tolist()) for p in patterns]


VALUES: tuple[st.SearchStrategy[str], ...] = (
    st.integers(0, 10**6).map(str),
    st.integers(0, 10**6).map("{:07d}".format),
    st.integers(0, 10**6).map(lambda n: f"{n / 4}"),
    st.integers(0, 255).map("10.0.7.{}".format),
    st.uuids(version=4).map(str),
    st.integers(0, 59).map("2026-11-24T09:00:{:02d}.123Z".format),
    st.sampled_from(["GET", "POST", "q1", "q2", "/a/b", "é", "a b", ""]),
    st.integers(0, 10**9).map("user{}".format),
)
HOLES = st.sampled_from(VALUES).flatmap(lambda v: st.lists(v, min_size=ROWS, max_size=ROWS))
AROUND = ('{"a":"%s","b":"x"}', "k=%s end=now", "took %s ms, then %s", 'm="%s" x', "/p%s/q%s.html")


@given(st.lists(st.tuples(st.sampled_from(AROUND), HOLES, HOLES), min_size=1, max_size=3))
@settings(max_examples=examples(60))
def test_shapes_have_the_patterns_of_their_lines(
    groups: list[tuple[str, list[str], list[str]]],
) -> None:
    lines = [
        around.replace("%s", a, 1).replace("%s", b, 1)
        for around, left, right in groups
        for a, b in zip(left, right, strict=True)
    ]
    entries: list[Entry] = [
        ("x", ts, line.encode(), {LEVEL: ("info", "warn")[ts % 2]} if ts % 3 else {})
        for ts, line in enumerate(lines)
    ]
    assert shown(patterns_of(entries, plain=False)) == shown(patterns_of(entries, plain=True))


def test_words_are_told_apart_and_values_are_not() -> None:
    messages = ("cache miss", "user logged in now")
    entries: list[Entry] = [
        (
            "x",
            k,
            f'level=info msg="{messages[k % 2]}" took={k}ms name={"zyxwv"[k % 5]}q{k}'.encode(),
            {},
        )
        for k in range(120)
    ]
    found = patterns_of(entries, plain=False)
    assert [(p.text, p.hits) for p in found] == [
        ('level=info msg="cache miss" took=<_> name=<_>', 60),
        ('level=info msg="user logged in now" took=<_> name=<_>', 60),
    ]
    assert found[0].counts.tolist() == [5] * 12 + [0] * 4


def test_texts_that_never_repeat_are_a_hole() -> None:
    digits = str.maketrans("0123456789", "abcdefghij")
    entries: list[Entry] = [
        ("x", k, f'n={k} text="{str(k * k * 7919).translate(digits)}"'.encode(), {})
        for k in range(400)
    ]
    found = [(p.text, p.hits) for p in patterns_of(entries, plain=False)]
    assert found == [('n=<_> text="<_>"', 400)]
