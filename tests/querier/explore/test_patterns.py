"""Are patterns those of the lines, wherever these lie? And do they find the lines they count?"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.tenant import TenantId
from narfi.core.text.pattern import compile_filter_pattern, matches
from querier.budget import Budget
from querier.explore.pattern_merge import MIN_HITS, Pattern
from querier.explore.patterns import LEVEL, PatternCounts, bucket_edges, level_groups
from querier.operators.frame import frame_of
from storage.block.identity import BlockIdentity
from storage.block.reader import open_block
from storage.block.writer import write_run
from storage.cache import ByteCache
from storage.memory_source import MemorySource
from storage.objects.filesystem import LocalObjects
from storage.scan import Columns, LogSource, ScanRequest
from storage.sorting import merge_batches
from tests.reference import patterns as slow
from tests.reference.budget import examples
from tests.storage.batches import Entry, batch_of

ROWS = 40
STEP, BUCKETS = 10, 16
SPLITS = {"head": (0,), "block": (1,), "blocks": (1, 1), "both": (1, 0), "many": (0, 1, 1, 0, 1)}
"""Where the lines go, in turn: 1 is a block of their shapes, 0 a head."""


def counts_of(entries: Sequence[Entry], where: Sequence[int], *, plain: bool) -> PatternCounts:
    """What was counted of entries that are dealt out to heads and blocks."""
    counts = PatternCounts(edges=bucket_edges(0, STEP, BUCKETS))
    with tempfile.TemporaryDirectory() as folder:
        objects = LocalObjects(Path(folder))
        for number, is_block in enumerate(where):
            mine = entries[number :: len(where)]
            if not mine:
                continue
            run = merge_batches([batch_of(mine)])
            source: LogSource = MemorySource(run, f"h{number}", f"h{number}")
            if is_block:
                identity = BlockIdentity(
                    block_id=f"b{number}",
                    tenant=TenantId("t"),
                    cut_id=f"cut{number}",
                    level=0,
                    created_ns=0,
                )
                row = write_run(run, identity, objects, 8)
                source = open_block(row, objects, ByteCache(1 << 20), ByteCache(1 << 20))
            _add(counts, source, plain=plain)
    return counts


def _add(counts: PatternCounts, source: LogSource, *, plain: bool) -> None:
    every = np.ones(len(source.table), np.bool_)
    columns = Columns(metadata=frozenset((LEVEL,)))
    request = ScanRequest(
        streams=every, start_ns=-(2**63), end_ns=2**63 - 1, columns=columns, plain=plain
    )
    for row_group in source.row_groups(request):
        counts.add(level_groups(frame_of(source.read(row_group, request))))


def patterns_of(
    lines: Sequence[str | bytes], where: str = "block", *, min_hits: int = MIN_HITS
) -> list[Pattern]:
    """The patterns of lines without a level, one a nanosecond."""
    entries: list[Entry] = [
        ("x", ts, line.encode() if isinstance(line, str) else line, {})
        for ts, line in enumerate(lines)
    ]
    return counts_of(entries, SPLITS[where], plain=False).patterns(min_hits)


def shown(patterns: list[Pattern]) -> list[tuple[str, str, int]]:
    """To compare."""
    return [(p.text, p.level, p.hits) for p in patterns]


VALUES: tuple[st.SearchStrategy[str], ...] = (
    st.integers(0, 10**6).map(str),
    st.integers(-5, 5).map(str),
    st.integers(0, 10**6).map("{:07d}".format),
    st.integers(0, 10**6).map(lambda n: f"{n / 4}"),
    st.integers(0, 255).map("10.0.7.{}".format),
    st.uuids(version=4).map(str),
    st.integers(0, 16**8).map("{:08x}".format),
    st.integers(0, 59).map("2026-11-24T09:00:{:02d}.123Z".format),
    st.integers(0, 59).map("2026-11-24 09:00:{:02d}".format),
    st.tuples(st.sampled_from(["Oct", "Nov"]), st.integers(0, 59)).map(
        lambda t: f"[01/{t[0]}/2026:13:55:{t[1]:02d} +0000]"
    ),
    st.sampled_from(["GET", "POST", "q1", "q2", "/a/b", "é", "a b", "", "7", "a,b", "a.", ".5"]),
    st.sampled_from(["GET /x/1 HTTP/1.1", "GET /y HTTP/1.1", "PUT /x/2 HTTP/1.1", "-"]),
    st.text('ab .-:5é"', max_size=6),
    st.integers(0, 10**9).map("user{}".format),
    st.just("Mozilla/5.0 (X11)"),
)
HOLES = st.sampled_from(VALUES).flatmap(
    lambda v: st.lists(v, min_size=ROWS, max_size=ROWS) | v.map(lambda constant: [constant] * ROWS)
)
AROUND = (
    '{"a":"%s","b":"x"}',
    "k=%s end=now,%s",
    "took %s ms, then %s",
    'm="%s" x',
    "/p%s/q%s.html",
    "%s %s",
    "a%s5 %s.",
)
GROUPS = st.lists(st.tuples(st.sampled_from(AROUND), HOLES, HOLES), min_size=1, max_size=3)
Groups = list[tuple[str, list[str], list[str]]]


def entries_of(groups: Groups) -> list[Entry]:
    """Entries of two levels and of none."""
    lines = [
        around.replace("%s", a, 1).replace("%s", b, 1)
        for around, left, right in groups
        for a, b in zip(left, right, strict=True)
    ]
    return [
        ("x", ts, line.encode(), {LEVEL: ("info", "warn")[ts % 2]} if ts % 3 else {})
        for ts, line in enumerate(lines)
    ]


@given(GROUPS, st.sampled_from(sorted(SPLITS)), st.sampled_from([1, 3, 10]))
@settings(max_examples=examples(40), deadline=None)
def test_patterns_are_those_of_the_lines(groups: Groups, where: str, min_hits: int) -> None:
    entries = entries_of(groups)
    lines = [(line.decode(), metadata.get(LEVEL, "")) for _, _, line, metadata in entries]
    wanted = slow.patterns(lines, min_hits)
    found = counts_of(entries, SPLITS[where], plain=False).patterns(min_hits)
    assert shown(found) == [(text, level, len(mine)) for text, level, mine in wanted]
    for text, _, mine in wanted:
        nodes = compile_filter_pattern(text)
        for line in mine:
            assert matches(nodes, line.encode()), (text, line)


@given(GROUPS)
@settings(max_examples=examples(30), deadline=None)
def test_shapes_have_the_counts_of_their_lines(groups: Groups) -> None:
    entries = entries_of(groups)
    found = [
        [(p.text, p.level, p.counts.tolist()) for p in counts.patterns(3)]
        for counts in (
            counts_of(entries, (1,), plain=False),
            counts_of(entries, (1,), plain=True),
            counts_of(entries, (0, 1, 0), plain=False),
        )
    ]
    assert found[0] == found[1] == found[2]


ODD = st.text("<>_ab5 .,:\t\ufffd\ufdd0é", max_size=12).map(str.encode) | st.binary(max_size=8)


@given(st.lists(ODD, min_size=1, max_size=12))
@example([b"<a>5", b"<a>6", b"<b>6"])
@example([b"x<foo>o"])
@example([b"caf\xe9 5", b"caf\xe9 6"])
@example([b"a 5.", b"a 5.1."])
@example(["\ufdd0 5".encode(), b"\xff"])
def test_patterns_are_filters_of_any_lines(lines: list[bytes]) -> None:
    """Each is a filter that compiles; together they count every line, and find it."""
    found = patterns_of(lines, "head", min_hits=1)
    assert sum(p.hits for p in found) == len(lines)
    filters = [compile_filter_pattern(pattern.text) for pattern in found]
    for line in lines:
        assert any(matches(nodes, line) for nodes in filters), line


NGINX = '10.0.0.{} - - [24/Nov/2026:13:55:{:02d} +0000] "GET /item/{} HTTP/1.1" 200 {} "-" "{}"'


@pytest.mark.parametrize("where", sorted(SPLITS))
def test_words_of_nginx_that_never_vary_stay_words(where: str) -> None:
    lines = [NGINX.format(k % 7, k % 60, k, 100 + k, "Mozilla/5.0 (X11)") for k in range(300)]
    assert shown(patterns_of(lines, where)) == [
        (
            '<_> - - [24/Nov/<_> +0000] "GET /item/<_> HTTP/1.1" 200 <_> "-" "Mozilla/5.0 (X11)"',
            "",
            300,
        )
    ]


@pytest.mark.parametrize("where", sorted(SPLITS))
def test_one_other_value_anywhere_makes_a_hole(where: str) -> None:
    lines = [f"GET /index.html HTTP/1.1 took {k} ms" for k in range(200)]
    assert shown(patterns_of(lines, where)) == [("GET /index.html HTTP/1.1 took <_> ms", "", 200)]
    lines[137] = lines[137].replace("1.1", "1.0")
    assert shown(patterns_of(lines, where)) == [("GET /index.html HTTP/<_> took <_> ms", "", 200)]


@pytest.mark.parametrize("where", sorted(SPLITS))
def test_words_are_told_apart_and_values_are_not(where: str) -> None:
    messages = ("cache miss", "user logged in now")
    lines = [
        f'level=info msg="{messages[k % 2]}" took={k}ms name={"zyxwv"[k % 5]}q{k}'
        for k in range(120)
    ]
    assert shown(patterns_of(lines, where)) == [
        ('level=info msg="cache miss" took=<_> name=<_>', "", 60),
        ('level=info msg="user logged in now" took=<_> name=<_>', "", 60),
    ]


@pytest.mark.parametrize("where", sorted(SPLITS))
def test_texts_that_never_repeat_are_a_hole(where: str) -> None:
    digits = str.maketrans("0123456789", "abcdefghij")
    lines = [f'n={k} text="{str(k * k * 7919).translate(digits)}"' for k in range(400)]
    assert shown(patterns_of(lines, where)) == [('n=<_> text="<_>"', "", 400)]


def test_frequent_words_have_patterns_of_their_own_and_rare_ones_share_one() -> None:
    words = ["STORED"] * 60 + ["END"] * 40 + ["alpha", "beta", "gamma"] * 10
    lines = [f"conn {k} says {word} now" for k, word in enumerate(words)]
    assert shown(patterns_of(lines, "head")) == [
        ("conn <_> says STORED now", "", 60),
        ("conn <_> says END now", "", 40),
        ("conn <_> says <_> now", "", 30),
    ]
    assert shown(patterns_of(lines[:60] + lines[100:129], "head")) == [
        ("conn <_> says STORED now", "", 60)  # the other 29 are too few
    ]


def test_words_built_differently_are_a_hole_from_the_first_difference() -> None:
    urls = ["/a/b", "/a/b?x=y", "/c?z", "/e", "/d?q=r&s=t"]
    lines = [f'GET "{urls[k % 5]}" from host {k}' for k in range(50)]
    assert [p.text for p in patterns_of(lines, min_hits=30)] == ['GET "/<_> from host <_>']


def test_members_of_json_are_words() -> None:
    files = [
        f'{{"level":"debug","ts":{k},"msg":"opening","file":"/srv/{chr(97 + k % 26)}x"}}'
        for k in range(60)
    ]
    assert [p.text for p in patterns_of(files)] == [
        '{"level":"debug","ts":<_>,"msg":"opening","file":"/srv/<_>"}'
    ]


def test_counts_by_bucket_and_level() -> None:
    entries: list[Entry] = [
        ("x", k, f"done {k}".encode(), {LEVEL: "info"} if k % 2 else {}) for k in range(120)
    ]
    for where in SPLITS.values():
        found = counts_of(entries, where, plain=False).patterns()
        assert [(p.text, p.level) for p in found] == [("done <_>", ""), ("done <_>", "info")]
        assert [p.counts.tolist() for p in found] == [[5] * 12 + [0] * 4] * 2


def test_times_at_the_ends_of_64_bits() -> None:
    low, high = -(2**63), 2**63 - 1
    counts = PatternCounts(edges=bucket_edges(low - 7, 2**62, 5))
    run = merge_batches([batch_of([("x", ts, b"done", {}) for ts in (low, -1, 0, high - 1)])])
    _add(counts, MemorySource(run, "h", "h"), plain=False)
    # the buckets begin at low - 7, low / 2 - 7, -7, 2^62 - 7 and 2^63 - 7
    assert [p.counts.tolist() for p in counts.patterns(1)] == [[1, 0, 2, 0, 1]]


def test_counts_are_charged_as_they_are() -> None:
    """Those of the first masks before there is one, and each time that they grow."""
    buckets, budget = 1_000, Budget()
    counts = PatternCounts(edges=bucket_edges(0, STEP, buckets), budget=budget)
    assert budget.used == counts._counts.nbytes > 0
    lines = [" ".join(["word"] * n) for n in range(1, 300)]
    run = merge_batches([batch_of([("x", n, line.encode(), {}) for n, line in enumerate(lines)])])
    _add(counts, MemorySource(run, "h", "h"), plain=False)
    assert len(counts._counts) > len(lines)
    assert budget.used >= counts._counts.nbytes + sum(map(len, lines))
    assert budget.peak >= 1.5 * counts._counts.nbytes, "the old ones while they are copied"
