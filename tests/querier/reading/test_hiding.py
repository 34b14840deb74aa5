"""Is an entry that a pending delete request means answered by nothing, and every other one by all?

Against a slow twin (`tests/reference/deleted.py`): the answers are those over what it leaves.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.columns import I64
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryBytesError, QueryCancelledError
from querier.engine import Engine
from querier.executors.deleted_rows import DeletedRows
from querier.executors.local import LocalExecutor
from querier.explore.index_stats import index_stats, stats_scan
from querier.explore.pattern_merge import Pattern
from querier.explore.patterns import patterns_of, patterns_scan
from querier.explore.volume import VolumeQuestion, volume_groups, volumes
from querier.query import Direction, QueryOptions
from querier.reading.deletes import Deletion, check_query, deletion_of
from querier.reading.duplicates import DuplicateIndex
from querier.reading.hiding import HiddenEntries
from querier.reading.kept_sizes import ExcludedSizes
from querier.reading.pending import PendingDeletes
from querier.reading.reading import Hiding
from querier.reading.view import Listed as Listing
from querier.reading.view import View, take_view
from querier.reading.view import view_of as view_over
from querier.result import QueryStats, StreamsResult
from querier.rules import ALL_RULES, Rules
from querier.service import QueryService, TimeRange
from storage.batch import LogBatch
from storage.catalog.delete_log import DeleteLog, DeleteRequest
from storage.memory_source import MemorySource
from storage.objects.base import Allow, BadObjectError
from storage.scan import BlockProvider, Columns, Found, LogSource, ReadStats, RowGroup, ScanRequest
from storage.sorting import merge_batches
from tests.querier.executors.test_leaf import Elsewhere
from tests.querier.reading.test_view import Sources
from tests.querier.test_engine import (
    METRICS,
    PARTS,
    RULES,
    SHAPED,
    check_log_query,
    check_metric_query,
    engine_of,
)
from tests.reference.budget import examples
from tests.reference.deleted import Asked, left
from tests.reference.frames import batch_of
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import (
    LABEL_FILTERS,
    LOG_QUERIES,
    SELECTORS,
    line_filters,
    range_aggregations,
)
from tests.storage.blocks import block_of, small_groups

TENANT = TenantId("t")
ALL = (Matcher("app", MatchOp.RE, ".+"),)
FILTERS: st.SearchStrategy[ast.Stage] = st.one_of(
    line_filters(), line_filters(), st.builds(ast.LabelFilterStage, LABEL_FILTERS)
)


def _can_be_made(query: ast.LogQuery) -> bool:
    """Patterns that are none are refused when the request is made."""
    try:
        check_query(format_expr(query))
        left([({"app": "api"}, {}, 0, b"x")], [Asked(query, 0, 0)])
    except Exception:  # noqa: BLE001 - whatever the reference says of it
        return False
    return True


DELETES = st.builds(ast.LogQuery, SELECTORS, st.lists(FILTERS, max_size=2).map(tuple)).filter(
    _can_be_made
)
TIMES = st.integers(-1, 42).map(lambda k: START_NS + k * NS // 2)
REQUESTS = st.lists(
    st.builds(lambda q, a, b: Asked(q, min(a, b), max(a, b)), DELETES, TIMES, TIMES)
    | st.builds(lambda q: Asked(q, 0, START_NS + 100 * NS), DELETES),
    max_size=3,
)


class Listed(DeleteLog):
    """A log in memory."""

    def __init__(self, requests: Sequence[DeleteRequest]) -> None:
        self.listed, self.changes = requests, 0

    def pending(self, tenant: TenantId) -> Sequence[DeleteRequest]:
        """As given."""
        return [request for request in self.listed if request.tenant == tenant]

    def changed_since(self, version: int) -> dict[TenantId, int]:
        """All at once."""
        return {} if version else {request.tenant: 1 for request in self.listed}


def request_of(asked: Asked, number: int = 0) -> DeleteRequest:
    """As a client makes it."""
    text = format_expr(asked.query)
    return request(text, asked.start_ns, asked.end_ns, f"{number:08x}")


def request(
    query: str, start_ns: int = 0, end_ns: int = 2 * START_NS, request_id: str = "1"
) -> DeleteRequest:
    """Of a text."""
    return DeleteRequest(
        tenant=TENANT,
        request_id=request_id,
        query=query,
        start_ns=start_ns,
        end_ns=end_ns,
        created_ns=0,
    )


def hiding_of(requests: Sequence[Asked]) -> Hiding:
    """What a server has."""
    made = [request_of(asked, number) for number, asked in enumerate(requests)]
    return Hiding(PendingDeletes(Listed(made)), DeletedRows().find)


def what_is_left(parts: Sequence[list[Entry]], requests: Sequence[Asked]) -> list[list[Entry]]:
    """Of each part."""
    return [left(part, requests) for part in parts]


@settings(max_examples=examples(150), deadline=None)
@given(
    PARTS,
    REQUESTS,
    LOG_QUERIES,
    st.none() | SHAPED,
    st.sampled_from(Direction),
    st.sampled_from([1, 3, 1000]),
    RULES,
)
def test_log_queries(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    requests: list[Asked],
    query: ast.LogQuery,
    shaped: int | None,
    direction: Direction,
    limit: int,
    rules: Rules,
) -> None:
    with small_groups(2 if shaped else None):
        engine = engine_of(parts, executor, shaped, hiding_of(requests))
    check_log_query(engine, what_is_left(parts, requests), query, direction, limit, rules)
    check_log_query(engine, what_is_left(parts, requests), query, direction, limit, rules)


@settings(max_examples=examples(150), deadline=None)
@given(
    PARTS,
    REQUESTS,
    METRICS | range_aggregations(),
    st.none() | SHAPED,
    st.sampled_from([1, 3, 7]),
    st.integers(0, 25),
    RULES,
)
def test_metric_queries(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    requests: list[Asked],
    expr: ast.MetricExpr,
    shaped: int | None,
    step_s: int,
    first_s: int,
    rules: Rules,
) -> None:
    steps = [START_NS + (first_s + k * step_s) * NS for k in range(5)]
    with small_groups(2 if shaped else None):
        engine = engine_of(parts, executor, shaped, hiding_of(requests))
    check_metric_query(engine, what_is_left(parts, requests), expr, steps, rules)


def view_of(
    parts: Sequence[list[Entry]], times: tuple[int, int], requests: Sequence[Asked]
) -> View:
    """The first part as a block, the others as heads."""
    runs = {number: merge_batches([batch_of(part)]) for number, part in enumerate(parts) if part}
    blocks = [block_of(run, 1, "b0") for number, run in runs.items() if number == 0]
    heads = [MemorySource(run, f"s{k}", f"s{k}") for k, run in runs.items() if k]
    made = {TENANT: [deletion_of(request_of(a, k)) for k, a in enumerate(requests)]}
    hidden = HiddenEntries(made, DeletedRows().find, Budget())
    return take_view(Sources(heads), Sources(blocks), DuplicateIndex(), TENANT, times, ALL, hidden)


EVERYTHING = (START_NS - NS, START_NS + 100 * NS)


def patterns(view: View, times: tuple[int, int]) -> list[Pattern]:
    """Over the whole range at once; the same in whatever process its leaf tasks run."""
    scan = patterns_scan(ALL, times, ALL_RULES)
    with contextlib.closing(LocalExecutor(1)) as here:
        found = patterns_of(view, scan, 100 * NS, Budget(), here)
    budget, elsewhere = Budget(), Elsewhere([one.source for one in view.sources])
    assert patterns_of(view, scan, 100 * NS, budget, elsewhere) == found
    return found


@settings(max_examples=examples(150), deadline=None)
@given(
    PARTS,
    REQUESTS,
    st.just(EVERYTHING) | st.tuples(TIMES, TIMES).filter(lambda t: t[0] < t[1]),
    st.lists(st.sampled_from(["app", "env", "level", "pod"]), max_size=2, unique=True),
    st.booleans(),
)
def test_volumes_statistics_and_patterns(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    requests: list[Asked],
    times: tuple[int, int],
    targets: list[str],
    by_name: bool,
) -> None:
    """As if the entries had never been pushed."""
    view = view_of(parts, times, requests)
    never = view_of(what_is_left(parts, requests), times, [])
    edges = np.linspace(times[0], times[1], 4).astype(np.int64)
    edges[-1] = times[1]
    options = volume_groups(ALL, targets, by_name)
    asked = VolumeQuestion(matchers=ALL, edges=edges, options=options)
    found, wanted = (
        {v.labels: v.bytes for v in volumes(one, asked, Budget(), executor)}
        for one in (view, never)
    )
    assert found.keys() == wanted.keys()
    for labels, sizes in wanted.items():
        np.testing.assert_allclose(found[labels], sizes)
    scan = stats_scan(ALL, times)
    counted, expected = (index_stats(one, scan, Budget(), executor) for one in (view, never))
    assert (counted.entries, counted.bytes) == (expected.entries, expected.bytes)
    if times == EVERYTHING:
        assert counted == expected
        assert view.count_streams() == never.count_streams()
    assert patterns(view, times) == patterns(never, times)


LINES: list[Entry] = [
    ({"app": app}, {}, START_NS + k * NS, b"%s %s" % (app.encode(), word))
    for k, word in enumerate([b"secret", b"good", b"secret", b"good"])
    for app in ("a", "b")
]


class Watched(MemorySource):
    """A source that tells when rows are read, and can stop a reader."""

    reads = 0

    def read(self, row_group: RowGroup, request: ScanRequest) -> LogBatch:
        """As always."""
        self.reads += 1
        return super().read(row_group, request)


def watched(entries: Sequence[Entry] = LINES) -> Watched:
    """One source."""
    return Watched(merge_batches([batch_of(entries)]), "s", "s")


def deletion(query: str) -> Deletion:
    """Of a request that is called as its query."""
    return deletion_of(request(query, request_id=query))


def hidden(source: LogSource, find: DeletedRows, *asked: Deletion) -> tuple[list[bool], list[int]]:
    """(streams, rows) that nobody sees."""
    every = np.ones(len(source.table), np.bool_)
    found = HiddenEntries({TENANT: asked}, find.find, Budget()).of(source, every, EVERYTHING)
    return ([], []) if found is None else (found.streams.tolist(), found.rows.tolist())


def test_whole_streams_are_hidden_without_a_look_at_their_rows() -> None:
    source = watched()

    def refuse(*_: object) -> I64:
        raise AssertionError("no row is looked for")

    every = np.ones(len(source.table), np.bool_)
    found = HiddenEntries({TENANT: [deletion('{app="a"}')]}, refuse, Budget()).of(
        source, every, EVERYTHING
    )
    assert found is not None
    assert (found.streams.tolist(), len(found.rows)) == ([True, False], 0)


def test_requests_together_hide_a_stream_as_a_whole() -> None:
    both = deletion('{app="a"} |= "secret"'), deletion('{app="a"} |= "good"')
    assert hidden(watched(), DeletedRows(), *both) == ([True, False], [])


def test_streams_that_are_not_asked_for_cost_nothing() -> None:
    source, find = watched(), DeletedRows()
    streams = source.table.select((Matcher("app", MatchOp.EQ, "b"),))
    one = HiddenEntries({TENANT: [deletion('{app="a"} |= "secret"')]}, find.find, Budget())
    assert one.of(source, streams, EVERYTHING) is None
    assert source.reads == 0


def test_rows_are_looked_for_once() -> None:
    source, find = watched(), DeletedRows()
    asked = deletion('{app=~".+"} |= "secret"')
    for _ in range(3):
        assert hidden(source, find, asked) == ([False, False], [0, 2, 4, 6])
    assert source.reads == 1
    nothing = deletion('{app=~".+"} |= "nowhere"')
    for _ in range(3):
        assert hidden(source, find, nothing) == ([], [])
    assert source.reads == 2


def test_a_search_that_is_stopped_goes_on_where_it_was() -> None:
    with small_groups(2):
        block = block_of(merge_batches([batch_of(LINES)]), 100)
    asked, find = deletion('{app=~".+"} |= "secret"'), DeletedRows()
    reads = 0
    read = block.read

    def counted(row_group: RowGroup, request: ScanRequest) -> LogBatch:
        nonlocal reads
        reads += 1
        if reads == 3:
            budget.cancel()
        return read(row_group, request)

    block.read = counted  # type: ignore[method-assign]
    budget = Budget()
    with pytest.raises(QueryCancelledError):
        find.find(block, asked, budget)
    budget.close()
    budget = Budget()
    assert find.find(block, asked, budget).tolist() == [0, 2, 4, 6]
    assert reads == 3 + 2  # of four row groups the third one again


def test_many_who_need_the_same_rows_find_them_once() -> None:
    source, find = watched(), DeletedRows()
    asked = deletion('{app=~".+"} |= "secret"')
    found: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda: found.append(find.find(source, asked, Budget()).tolist()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[0, 2, 4, 6]] * 8
    assert source.reads == 1


def test_who_waits_for_others_looks_at_the_time() -> None:
    find, source = DeletedRows(), watched()
    asked = deletion('{app=~".+"} |= "secret"')
    find._busy.add((source.source_id, asked.request_id))
    budget = Budget()
    budget.cancel()
    with pytest.raises(QueryCancelledError):
        find.find(source, asked, budget)


def test_what_is_found_is_charged() -> None:
    source, find = watched(), DeletedRows()
    asked = deletion('{app=~".+"} |= "secret"')
    for _ in range(2):
        budget = Budget()
        find.find(source, asked, budget)
        assert budget.used == 4 * 8
        budget.close()


def test_what_is_read_for_it_is_counted_once() -> None:
    source, find = watched(), DeletedRows()
    asked = deletion('{app=~".+"} |= "secret"')
    stats, again = QueryStats(), QueryStats()
    find.find(source, asked, Budget(), stats)
    find.find(source, asked, Budget(), again)
    size = sum(len(line) for _, _, _, line in LINES)
    assert (stats.lines_scanned, stats.bytes_scanned) == (len(LINES), size)
    assert (again.lines_scanned, again.bytes_scanned) == (0, 0)
    budget = Budget()
    budget.begin(Limits().with_changes(max_query_bytes_read=size - 1))
    with pytest.raises(QueryBytesError):
        DeletedRows().find(source, asked, budget)


def test_what_a_query_reads_for_hidden_rows_is_in_its_statistics(executor: LocalExecutor) -> None:
    """The first one finds them; the second one knows them."""
    made = request('{app=~".+"} |= "secret"')
    hiding = Hiding(PendingDeletes(Listed([made])), DeletedRows().find)
    engine = engine_of([LINES], executor, 100, hiding)
    asked = QueryOptions(
        tenants=(TENANT,), start_ns=EVERYTHING[0], end_ns=EVERYTHING[1], step_ns=NS, limits=Limits()
    )
    first, second = (engine.run('{app=~".+"} |= "good"', asked).stats for _ in range(2))
    assert first.lines_scanned == second.lines_scanned + len(LINES)
    assert first.bytes_scanned > second.bytes_scanned


def test_lengths_of_hidden_lines_are_read_once(executor: LocalExecutor) -> None:
    """By index/stats and volumes together; other hidden rows are other sums."""
    fetched: list[int] = []

    class Fetching(Watched):
        def fetch(
            self,
            rows: I64,
            columns: Columns,
            stats: ReadStats | None = None,
            charge: Callable[[int], None] | None = None,
        ) -> LogBatch:
            fetched.append(len(rows))
            return super().fetch(rows, columns, stats, charge)

    source = Fetching(merge_batches([batch_of(LINES)]), "s", "s")
    known, scan = ExcludedSizes(), stats_scan(ALL, EVERYTHING)
    options = volume_groups(ALL, [], False)
    volume = VolumeQuestion(matchers=ALL, edges=np.array(EVERYTHING), options=options)
    for word, many in (("secret", 4), ("b secret", 2)):
        asked = {TENANT: [deletion(f'{{app=~".+"}} |= "{word}"')]}
        hides = HiddenEntries(asked, DeletedRows().find, Budget())
        view = view_over(Listing((source,)), None, EVERYTHING, ALL, hides)
        fetched.clear()
        sizes = [len(line) for _, _, _, line in LINES if word.encode() not in line]
        for _ in range(3):
            stats = index_stats(view, scan, Budget(), executor, known)
            assert (stats.entries, stats.bytes) == (len(sizes), sum(sizes))
            found = volumes(view, volume, Budget(), executor, known)
            assert sum(float(one.bytes.sum()) for one in found) == sum(sizes)
        assert fetched == [many]


@pytest.mark.parametrize("share", [1, 40])
def test_remembered_rows_are_those_that_were_found(share: int) -> None:
    """Few are kept as numbers, many as a bit each."""
    entries: list[Entry] = [
        ({"app": "a"}, {}, START_NS + k, b"secret" if k % share == 0 else b"good")
        for k in range(500)
    ]
    source, find = watched([*entries, ({"app": "a"}, {}, START_NS + 500, b"good")]), DeletedRows()
    asked = deletion('{app="a"} |= "secret"')
    first, again = (find.find(source, asked, Budget()).tolist() for _ in range(2))
    assert first == again == list(range(0, 500, share))


class PerTenant:
    """A source for each tenant, of its name."""

    def __init__(self, sources: Sequence[LogSource]) -> None:
        self._sources = sources

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """The tenant's."""
        return [source for source in self._sources if source.source_id == tenant]

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """The same: nothing is damaged."""
        return Found(self.sources(tenant, start_ns, end_ns))

    def reading(self) -> AbstractContextManager[BlockProvider]:
        """Itself: nothing goes away."""
        return nullcontext(self)

    def judge(self, error: BadObjectError, *, again: bool, allow: Allow) -> None:
        """Nothing is damaged."""


def test_tenants_that_are_asked_together_hide_each_its_own(executor: LocalExecutor) -> None:
    run = merge_batches([batch_of(LINES)])
    heads = PerTenant([MemorySource(run, name, name) for name in ("t", "u")])
    made = request('{app="a"} |= "secret"')
    hiding = Hiding(PendingDeletes(Listed([made])), DeletedRows().find)
    engine = Engine(heads, PerTenant([]), executor, hiding=hiding)
    tenants = (TENANT, TenantId("u"))
    limits = Limits().with_changes(split_queries_by_interval_ns=0)
    result = engine.run(
        '{app="a"} |= "secret"',
        QueryOptions(
            tenants=tenants,
            start_ns=EVERYTHING[0],
            end_ns=EVERYTHING[1],
            step_ns=NS,
            limits=limits,
        ),
    ).result
    assert isinstance(result, StreamsResult)
    assert {dict(stream.labels)["__tenant_id__"] for stream in result.streams} == {"u"}


def test_labels_and_series_are_those_of_the_streams(executor: LocalExecutor) -> None:
    """As in Loki: they come from the index, which a request changes when it is done."""
    hiding = hiding_of([Asked(check_query('{app="a"}'), 0, 2 * START_NS)])
    service = QueryService(engine_of([LINES], executor, 1, hiding), lambda _: Limits())
    where = TimeRange((TENANT,), *EVERYTHING)
    assert service.label_values(where, "app", "", Budget()).value == ["a", "b"]
    assert service.index_stats(where, ALL, Budget()).value.streams == 1
