"""Volumes and sums equal counting entries one by one, over heads and blocks, with duplicates."""

import pickle
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget
from querier.executors.local import LocalExecutor
from querier.explore import entries
from querier.explore.index_stats import IndexStats, index_stats, stats_scan
from querier.explore.volume import Volume, VolumeQuestion, volume_groups, volumes
from querier.explore.volume_leaves import Edges, VolumeOptions
from querier.reading.duplicates import DuplicateIndex
from querier.reading.view import View, take_view
from querier.result import LabelPairs
from storage.block.shapes.encode import MIN_ROWS
from storage.memory_source import MemorySource
from storage.scan import LogSource
from storage.sorting import merge_batches
from tests.querier.executors.test_leaf import Elsewhere
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


@pytest.fixture(autouse=True)
def _few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole sources go to the executor as well."""
    monkeypatch.setattr(entries, "FEW_ROWS", -1)


def volumes_of(
    view: View, edges: Sequence[int], options: VolumeOptions, executor: LocalExecutor
) -> list[Volume]:
    """Of the selector; by leaf tasks here, and by pickled ones in a context of their own."""
    times = np.array(edges, np.int64)
    asked = VolumeQuestion(matchers=SELECTOR, edges=times, options=options)
    there, budget = Elsewhere([one.source for one in view.sources]), Budget()
    found = volumes(view, asked, Budget(), executor)
    again = volumes(view, asked, budget, there)
    assert [v.labels for v in again] == [v.labels for v in found]
    assert [v.bytes.tolist() for v in again] == [v.bytes.tolist() for v in found]
    assert len(there.specs) >= len(view.sources)
    budget.close()
    return found


def stats_of(view: View, times: tuple[int, int], executor: LocalExecutor) -> IndexStats:
    """Of the selector; in both ways, and nothing stays charged."""
    scan, there = stats_scan(SELECTOR, times), Elsewhere([one.source for one in view.sources])
    budget = Budget()
    found = index_stats(view, scan, budget, executor)
    assert budget.used == 0
    assert index_stats(view, scan, budget, there) == found
    assert budget.used == 0
    return found


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
    executor: LocalExecutor,
    parts: list[list[Entry]],
    edges: list[int],
    targets: list[str],
    by_name: bool,
) -> None:
    times = (edges[0], edges[-1])
    view = view_of(parts, times)
    options = volume_groups(SELECTOR, targets, by_name)
    found = volumes_of(view, edges, options, executor)
    assert {v.labels: [round(size, 6) for size in v.bytes.tolist()] for v in found} == slow_volumes(
        once(parts, times), edges, targets, by_name=by_name
    )
    assert [v.bytes.sum() for v in found] == sorted([v.bytes.sum() for v in found], reverse=True)


@given(st.lists(ENTRIES, min_size=1, max_size=3), st.tuples(st.integers(0, 41), st.integers(0, 41)))
@settings(max_examples=examples(150), deadline=None)
def test_index_stats(
    executor: LocalExecutor, parts: list[list[Entry]], times: tuple[int, int]
) -> None:
    found = stats_of(view_of(parts, times), times, executor)
    wanted = once(parts, times)
    assert (found.entries, found.bytes) == (len(wanted), sum(len(e[3]) for e in wanted))
    assert found.chunks <= len(parts)
    assert found.streams == len({repr(e[0]) for e in wanted})


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1).map(sorted))
def test_edges_come_back(times: list[int]) -> None:
    edges = Edges(np.array(times, np.int64))
    assert pickle.loads(pickle.dumps(edges)) == edges
    assert pickle.loads(pickle.dumps(edges)).times.tolist() == times


def test_edges_of_equal_gaps_are_small() -> None:
    edges = Edges(np.arange(11_000, dtype=np.int64) * 60_000_000_000)
    assert len(pickle.dumps(edges)) < 500


def test_a_part_that_was_pushed_again_counts_once(executor: LocalExecutor) -> None:
    part: list[Entry] = [({"app": "a"}, {"level": "info"}, ts, b"x" * ts) for ts in range(1, 5)]
    view = view_of([part, part, part], (0, 100))
    assert stats_of(view, (0, 100), executor) == IndexStats(1, 1, 10, 4)
    options = volume_groups(SELECTOR, ["level"], False)
    (by_level,) = volumes_of(view, [0, 3, 100], options, executor)
    assert (by_level.labels, by_level.bytes.tolist()) == ((("level", "info"),), [3, 7])
    found = volumes_of(view, [0, 100], volume_groups(SELECTOR, (), False), executor)
    assert [(v.labels, v.bytes.tolist()) for v in found] == [((("app", "a"),), [10])]
