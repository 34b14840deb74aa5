"""Is a leaf task a pure function of its spec? Pickled, elsewhere, it gives the same partial."""

import dataclasses
import itertools
import pickle
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from logql.parser import parse
from narfi.core.columns import Spans
from narfi.core.errors import AppError
from narfi.core.labels import Labels
from querier.budget import Allowance, Budget, QueryTimeoutError
from querier.engine import Engine
from querier.executors.leaf import Compute, Leaf, LeafContext, SourceOpener, run_leaf
from querier.executors.local import LocalExecutor
from querier.http_api.encode import encode_answer
from querier.logs.leaves import FetchRows, FindEnds
from querier.metrics import range_aggregation
from querier.plan.build import log_plan
from querier.plan.spec import LeafSpec, Rows, packed_rows, runs_of, unpacked_rows
from querier.plan.tasks import plan_tasks, source_tasks
from querier.query import Direction
from querier.reading.duplicates import DuplicateIndex
from querier.reading.view import SourceView, take_view
from querier.result import QueryStats
from querier.rules import ALL_RULES, Rule, Rules
from storage.batch import LogBatch, StreamTable
from storage.block.identity import Layout
from storage.lines.plain import PlainLines
from storage.metadata import Metadata
from storage.scan import LogSource
from storage.sorting import merge_batches
from tests.querier.executors.leaf_worker import store_in
from tests.querier.test_engine import METRICS, PARTS, RULES, TENANT, _Sources, options
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES
from tests.storage.blocks import block_of, small_groups

P = TypeVar("P")
ROOT = Path(__file__).parents[3]
TIMES = (START_NS, START_NS + 100 * NS)
MOST_BYTES = 4096
"""Of a pickled spec of an ordinary query."""


class Elsewhere:
    """An executor that sends each spec through pickle to a context of its own, and keeps it."""

    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._sources = {source.source_id: source for source in sources}
        self.specs: list[LeafSpec[Compute[object]]] = []

    def leaves(self, specs: Iterable[LeafSpec[Compute[P]]], context: LeafContext) -> Iterator[P]:
        """Results in the order of the specs."""
        for spec in specs:
            self.specs.append(spec)
            sent: LeafSpec[Compute[P]] = pickle.loads(pickle.dumps(spec))
            assert sent == spec
            found = run_leaf(sent, LeafContext(Budget(), SourceOpener(self._sources.__getitem__)))
            context.budget.charge(getattr(found, "charged", 0))
            back: P = pickle.loads(pickle.dumps(found))
            yield back


def sources_of(parts: Sequence[list[Entry]]) -> list[LogSource]:
    """Stored blocks of both formats with small row groups, in which two lines make a shape."""
    with small_groups(2):
        return [
            block_of(merge_batches([batch_of(part)]), 2, f"b{k}", Layout(3 - k % 2))
            for k, part in enumerate(parts)
        ]


@settings(max_examples=examples(120), deadline=None)
@given(
    PARTS.map(lambda parts: [part for part in parts if part]).filter(bool),
    LOG_QUERIES | METRICS,
    st.sampled_from(Direction),
    st.sampled_from([1, 3, 1000]),
    RULES,
)
def test_answers_are_the_same_with_leaves_elsewhere(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    expr: ast.Expr,
    direction: Direction,
    limit: int,
    rules: Rules,
) -> None:
    text, sources = format_expr(expr), sources_of(parts)
    end_ns = START_NS + 20 * NS
    asked = options(START_NS, end_ns, rules, direction=direction, limit=limit)
    answers = []
    for where in (executor, Elsewhere(sources)):
        engine = Engine(_Sources([]), _Sources(sources), where)
        try:
            body = encode_answer(engine.run(text, replace(asked, budget=Budget())))
            answers.append(body.split(b',"stats":')[0])
        except AppError as error:
            answers.append(str(error).encode())
    assert answers[0] == answers[1], text


@given(st.sets(st.integers(0, 1 << 40) | st.integers(0, 30)))
def test_packed_rows_come_back(numbers: set[int]) -> None:
    rows = np.array(sorted(numbers), np.int64)
    assert unpacked_rows(packed_rows(rows)).numbers.tolist() == rows.tolist()
    assert pickle.loads(pickle.dumps(Rows(rows))) == Rows(rows)


@given(st.sets(st.integers(0, 30)))
def test_runs_hold_the_numbers(numbers: set[int]) -> None:
    runs = runs_of(sorted(numbers))
    assert [n for run in runs for n in range(*run)] == sorted(numbers)
    assert all(end < first for (_, end), (first, _) in itertools.pairwise(runs))


QUERIES = [
    '{app=~"app-.+", pod!=""} |= "GET" | json | status >= 400 | line_format "{{.status}}"',
    'sum by (app, status) (rate({app=~"app-.+"} | json | __error__="" [5m]))',
    'quantile_over_time(0.99, {app="app-8"} | json | unwrap ms | __error__="" [1m]) by (pod)',
    'sum by (app) (count_over_time({app=~"app-.+"}[1m]))',
]


def many_streams(block: int, streams: int = 3000) -> LogBatch:
    """An entry of each stream, and of every other stream one that all blocks have."""
    every, twice = np.arange(streams), np.arange(0, streams, 2)
    stream = np.concatenate([every, twice]).astype(np.int32)
    ts = np.concatenate([block * NS + every, twice]) + START_NS
    labels = tuple(Labels.of({"app": f"app-{n % 40}", "pod": f"pod-{n}"}) for n in range(streams))
    none = np.zeros(streams, np.int64)
    table = StreamTable(
        labels=labels, first_row=none, rows=none, first_ts=none, last_ts=none, line_bytes=none
    )
    lines = [b'{"status":%d,"ms":%d,"path":"GET /"}' % (200 + n % 300, n) for n in stream.tolist()]
    batch = LogBatch(
        table=table,
        stream=stream,
        ts=ts,
        rows=np.arange(len(stream)),
        lines=PlainLines(Spans.of(lines)),
        metadata=Metadata(),
    )
    return merge_batches([batch])


@pytest.fixture(scope="module")
def large() -> list[LogSource]:
    """Six blocks of 3,000 streams; all but the first have 1,500 rows that are there already."""
    return [block_of(many_streams(k), 2, f"{k:032x}") for k in range(1, 7)]


@pytest.mark.parametrize("text", QUERIES)
def test_specs_are_small_however_many_streams_and_blocks(
    large: list[LogSource], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(range_aggregation, "FEW_ROWS", 0)  # counts go to the executor
    where = Elsewhere(large)
    engine = Engine(_Sources([]), _Sources(large), where)
    rules = ALL_RULES - {Rule.EARLY_STOP}  # all blocks are read
    engine.run(text, options(START_NS, START_NS + 3600 * NS, rules, step=60 * NS))
    sizes = [len(pickle.dumps(spec)) for spec in where.specs]
    assert len(sizes) >= len(large)
    assert sum(len(spec.source.excluded) for spec in where.specs) >= 5 * 1500
    assert max(sizes) < MOST_BYTES, sizes


def test_a_fetch_of_an_answer_is_small() -> None:
    """A hundred rows of a million."""
    rows = Rows(np.arange(0, 1_000_000, 10_000))
    assert len(pickle.dumps(rows)) < 500


def run_of(entries: Sequence[Entry]) -> LogBatch:
    return merge_batches([batch_of(entries)])


def test_a_leaf_in_another_process_gives_the_same_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over stored blocks, a spawned process that knows nothing but specs and the folder."""
    monkeypatch.setattr(range_aggregation, "FEW_ROWS", 0)  # counts go to the executor
    catalog, store = store_in(tmp_path)
    lines: list[Entry] = [
        (
            {"app": "abc"[n % 3], "pod": str(n % 7)},
            {"trace": str(n % 5)},
            START_NS + n // 4 * NS,
            b'{"status":%d,"ms":%d}' % (200 + n % 3, n * n % 97),
        )
        for n in range(400)
    ]
    for k, part in enumerate([lines[:250], lines[200:]]):
        store.publish([store.write(run_of(part), TENANT, f"cut{k}")], [])
    with store.reading() as provider:
        sources = provider.sources(TENANT, START_NS, START_NS + 1000 * NS)
    where = Elsewhere(sources)
    engine = Engine(_Sources([]), store, where)
    asked = options(START_NS, START_NS + 100 * NS, ALL_RULES, step=10 * NS, limit=7)
    for text in (
        '{app=~"a|b"} | json | status > 200',
        'sum by (app) (count_over_time({app=~"a|b"} | json | status > 200 [20s]))',
        'sum_over_time({app="a"} | json | unwrap ms [20s])',
        'first_over_time({app="a"} | json | unwrap ms [20s]) by (app)',
        'quantile_over_time(0.9, {app=~".+"} | json | unwrap ms [20s])',
    ):
        engine.run(text, asked)
    counted = options(START_NS, START_NS + 100 * NS, ALL_RULES, step=10 * NS)
    engine.run('sum by (app) (count_over_time({app=~".+"}[20s]))', counted)
    specs = [*where.specs, *rows_of_the_answer(engine)]
    assert len(specs) > 10
    opener = SourceOpener({source.source_id: source for source in sources}.__getitem__)
    here = [run_leaf(spec, LeafContext(Budget(), opener)) for spec in specs]
    command = [sys.executable, "-m", "tests.querier.executors.leaf_worker", str(tmp_path)]
    done = subprocess.run(
        command, input=pickle.dumps(specs), capture_output=True, cwd=ROOT, timeout=120, check=True
    )
    there = pickle.loads(done.stdout)
    for spec, one, other in zip(specs, here, there, strict=True):
        assert comparable(one) == comparable(other), spec
    catalog.close()


def test_hidden_streams_and_rows_stay_hidden_elsewhere() -> None:
    """What a pending delete hides goes with the spec: matchers alone would select it again."""
    (source,) = sources_of(
        [[({"app": app}, {}, START_NS + n, b"x") for n, app in enumerate("abc")]]
    )
    view = SourceView(
        source=source,
        order=0,
        streams=np.array([True, False, True]),
        excluded=np.array([2]),
        left_out=np.array([1]),
    )
    query = parse('{app=~".+"}')
    assert isinstance(query, ast.LogQuery)
    scan = log_plan(query, options(*TIMES, ALL_RULES)).scan
    find = FindEnds(limit=10, backward=False)
    (spec,) = source_tasks([view], scan, find, Allowance()).specs
    opener = SourceOpener(lambda _: source)
    found = run_leaf(pickle.loads(pickle.dumps(spec)), LeafContext(Budget(), opener))
    assert found.candidates.row.tolist() == [0]


def test_what_can_hold_no_needle_by_what_is_known_elsewhere_is_not_read() -> None:
    """Filters are not the same in all processes: some are made of lines that were read again."""
    with small_groups(2):
        lines = [b"took=%d" % n for n in range(8)]
        rows: list[Entry] = [({"app": "a"}, {}, START_NS + n, x) for n, x in enumerate(lines)]
        source = block_of(merge_batches([batch_of(rows)]), 2)
    query = parse('{app="a"} |= "absent"')
    assert isinstance(query, ast.LogQuery)
    scan = log_plan(query, options(*TIMES, ALL_RULES - {Rule.LITERAL_PRUNING})).scan
    view = take_view(
        _Sources([]), _Sources([source]), DuplicateIndex(), TENANT, TIMES, query.selector.matchers
    )
    find = FindEnds(limit=10, backward=False)
    tasks = plan_tasks(view, scan, find, Allowance(), QueryStats(), whole=True)
    (spec,) = tasks.specs
    context = LeafContext(Budget(), SourceOpener(lambda _: source))
    assert sum(len(batch) for batch in Leaf(spec, context).batches()) == 8
    knowing = replace(spec, scan=replace(spec.scan, needles=(b"absent",)))
    assert list(Leaf(knowing, context).batches()) == []


def rows_of_the_answer(engine: Engine) -> list[LeafSpec[Compute[object]]]:
    """Tasks that the engine runs itself: the ends of streams, and rows by their numbers."""
    query = parse('{app="a"} | json | status > 200')
    assert isinstance(query, ast.LogQuery)
    scan = log_plan(query, options(*TIMES, ALL_RULES)).scan
    found = engine.read(
        (TENANT,), Budget(), lambda reading, _: reading.view(query.selector.matchers, TIMES)
    )
    view = found.value
    fetch = FetchRows(rows=Rows(np.arange(0, 100, 7)), categorized=True)
    ends = FindEnds(limit=3, backward=True)
    return [
        *source_tasks(view.sources, scan, fetch, Allowance()).specs,
        *source_tasks(view.sources, scan, ends, Allowance()).specs,
    ]


def comparable(value: object) -> object:
    """A partial as plain values, arrays as bytes; what reading cost depends on the caches."""
    if isinstance(value, QueryStats):
        return value.lines_scanned, value.lines_after_filter, value.row_groups, value.sources_read
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if dataclasses.is_dataclass(value):
        fields = dataclasses.fields(value)
        return [type(value).__name__, *(comparable(getattr(value, f.name)) for f in fields)]
    if isinstance(value, tuple | list):
        return [comparable(one) for one in value]
    return value


def test_an_allowance_bounds_a_leaf_elsewhere() -> None:
    with pytest.raises(QueryTimeoutError):
        Allowance(deadline_ns=5).budget(now_ns=9).check()
    budget = Allowance(memory_bytes=100, deadline_ns=0).budget(now_ns=9)
    budget.check()
    assert budget.left_s() is None
    with pytest.raises(AppError, match="max_query_memory"):
        budget.charge(101)


def test_an_allowance_is_what_is_left() -> None:
    budget = Budget()
    assert budget.allowance() == Allowance()
    asked = options(START_NS, START_NS, ALL_RULES)
    budget.begin(asked.limits)
    left = budget.allowance()
    assert left.memory_bytes == asked.limits.max_query_memory
    assert left.deadline_ns > 0
