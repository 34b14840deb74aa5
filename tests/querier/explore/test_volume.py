"""Volumes and sums equal counting entries one by one, over heads and blocks, with duplicates."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.explore.index_stats import IndexStats, index_stats
from querier.explore.volume import Volume, volume_groups, volumes
from querier.reading.duplicates import DuplicateIndex
from querier.reading.view import View, take_view
from querier.result import LabelPairs
from storage.block.shapes.encode import MIN_ROWS
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches
from tests.querier.reading.test_view import Sources
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import Entry
from tests.storage.blocks import block_of

TENANT = TenantId("t")
SELECTOR = (Matcher("app", MatchOp.RE, ".+"),)
# each line is as long as all others of its stream: proportions by entries are exact then
LINES = {"a": b"12345", "b": b"123"}
ENTRIES: st.SearchStrategy[list[Entry]] = st.lists(
    st.builds(
        lambda app, pod, level, ts: (
            {"app": app, **({"pod": pod} if pod else {})},
            {"level": level} if level else {},
            ts,
            LINES[app],
        ),
        st.sampled_from("ab"),
        st.sampled_from(["", "p"]),
        st.sampled_from(["", "info", "warn"]),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=30,
)
EDGES = st.lists(st.integers(0, 41), min_size=2, max_size=4, unique=True).map(sorted)
TARGETS = st.lists(
    st.sampled_from(["app", "pod", "level", "nosuch"]), min_size=0, max_size=2, unique=True
)


def view_of(parts: Sequence[list[Entry]], times: tuple[int, int]) -> View:
    """The first part as a block, the others as heads."""
    runs = [merge_batches([batch_of(part)]) for part in parts]
    blocks: list[LogSource] = [block_of(runs[0], MIN_ROWS, "cut")]
    heads = [MemorySource(run, f"s{k}", f"s{k}") for k, run in enumerate(runs[1:])]
    return take_view(Sources(heads), Sources(blocks), DuplicateIndex(), TENANT, times, SELECTOR)


def once(parts: Sequence[list[Entry]], times: tuple[int, int]) -> list[Entry]:
    """Every entry of the range once."""
    every = {repr(entry): entry for part in parts for entry in part}
    return [entry for entry in every.values() if times[0] <= entry[2] < times[1]]


def slow_volumes(
    entries: Sequence[Entry], edges: Sequence[int], targets: Sequence[str], *, by_name: bool
) -> dict[LabelPairs, list[int]]:
    """Bytes by group and bucket, by looking at each entry."""
    counts: dict[LabelPairs, Counter[int]] = {}
    for stream, metadata, ts, line in entries:
        labels = {**(metadata if targets else {}), **stream}
        if by_name:
            groups: list[LabelPairs] = [
                ((name, ""),) for name in labels if not targets or name in targets
            ]
        elif not targets:
            groups = [(("app", stream["app"]),)]
        elif all(labels.get(name) for name in targets if name != "app"):
            groups = [tuple(sorted((name, labels[name]) for name in targets))]
        else:
            groups = []
        for group in groups:
            bucket = sum(edge <= ts for edge in edges) - 1
            counts.setdefault(group, Counter())[bucket] += len(line)
    buckets = range(len(edges) - 1)
    return {group: [found[bucket] for bucket in buckets] for group, found in counts.items()}


@given(st.lists(ENTRIES, min_size=1, max_size=3), EDGES, TARGETS, st.booleans())
@settings(max_examples=examples(150), deadline=None)
def test_volumes(
    parts: list[list[Entry]],
    edges: list[int],
    targets: list[str],
    by_name: bool,
) -> None:
    times = (edges[0], edges[-1])
    view = view_of(parts, times)
    options = volume_groups(SELECTOR, targets, by_name)
    found = volumes(view, np.array(edges, np.int64), options, Budget())
    assert {v.labels: [round(size, 6) for size in v.bytes.tolist()] for v in found} == slow_volumes(
        once(parts, times), edges, targets, by_name=by_name
    )
    assert [v.bytes.sum() for v in found] == sorted([v.bytes.sum() for v in found], reverse=True)


@given(st.lists(ENTRIES, min_size=1, max_size=3), st.tuples(st.integers(0, 41), st.integers(0, 41)))
@settings(max_examples=examples(150), deadline=None)
def test_index_stats(parts: list[list[Entry]], times: tuple[int, int]) -> None:
    found = index_stats(view_of(parts, times), times, Budget())
    entries = once(parts, times)
    assert (found.entries, found.bytes) == (len(entries), sum(len(e[3]) for e in entries))
    assert found.chunks <= len(parts)
    assert found.streams >= len({repr(e[0]) for e in entries})


def test_a_part_that_was_pushed_again_counts_once() -> None:
    part: list[Entry] = [({"app": "a"}, {"level": "info"}, ts, b"x" * ts) for ts in range(1, 5)]
    view = view_of([part, part, part], (0, 100))
    assert index_stats(view, (0, 100), Budget()) == IndexStats(1, 1, 10, 4)
    edges = np.array([0, 3, 100], np.int64)
    (by_level,) = volumes(view, edges, volume_groups(SELECTOR, ["level"], False), Budget())
    assert (by_level.labels, by_level.bytes.tolist()) == ((("level", "info"),), [3, 7])
    edges = np.array([0, 100], np.int64)
    found: list[Volume] = volumes(view, edges, volume_groups(SELECTOR, (), False), Budget())
    assert [(v.labels, v.bytes.tolist()) for v in found] == [((("app", "a"),), [10])]
