"""Is a query answered whole whose blocks are dropped under it, and is a lost block told?"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from logql.parser import parse_selector
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.budget import Budget, QueryTimeoutError
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.volume_leaves import VolumeOptions
from querier.query import QueryOptions
from querier.result import StreamsResult
from querier.service import QueryService, TimeRange
from storage.block.folders import delete_objects
from storage.block.layout import block_prefix
from storage.objects.base import Allow, BadObjectError
from storage.scan import BlockProvider, Found, LogSource
from storage.store import BlockStore
from tests.storage.stored import DAY, NOW, TENANT, Stored
from tests.upkeep.fresh import worker_of
from upkeep.garbage import GarbageCollector

DAYS = (3, 2, 1)
LINE = b"user %02d has logged in"
A_DAY = 20
ALL = len(DAYS) * A_DAY
LIMITS = Limits()
SPAN = (NOW - 9 * DAY, NOW)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Stored]:
    """A folder with a block a day."""
    found = Stored(tmp_path)
    for days_ago in DAYS:
        first = NOW - days_ago * DAY
        found.add([("a", first + k, LINE % k, {}) for k in range(A_DAY)])
    yield found
    found.close()


class Nothing:
    """No heads."""

    def sources(self, tenant: TenantId, start_ns: int, end_ns: int) -> Sequence[LogSource]:
        """None."""
        return []


class Meanwhile:
    """Blocks to which something happens as soon as a reader has got them."""

    def __init__(self, stored: Stored, happen: Callable[[], None]) -> None:
        # a cache of its own: what another reader has read is remembered and needs no object
        self._store, self._happen = BlockStore(stored.services, 0), happen

    @contextmanager
    def reading(self) -> Iterator[BlockProvider]:
        """A reader of its own."""
        with self._store.reading() as blocks:
            yield _Interrupted(blocks, self._happen)

    def judge(self, error: BadObjectError, *, again: bool, allow: Allow) -> None:
        """As the store does."""
        self._store.judge(error, again=again, allow=allow)


class _Interrupted:
    def __init__(self, blocks: BlockProvider, happen: Callable[[], None]) -> None:
        self._blocks, self._happen = blocks, happen

    def found(self, tenant: TenantId, start_ns: int, end_ns: int) -> Found:
        """The blocks that were visible a moment ago."""
        found = self._blocks.found(tenant, start_ns, end_ns)
        self._happen()
        return found


@contextmanager
def service(stored: Stored, happen: Callable[[], None]) -> Iterator[QueryService]:
    """Over the blocks alone."""
    executor = LocalExecutor(1)
    blocks = Meanwhile(stored, happen)
    engine = Engine(Nothing(), blocks, executor)
    yield QueryService(engine, lambda tenant: LIMITS)
    executor.close()


def options(limits: Limits = LIMITS) -> QueryOptions:
    """All of the time."""
    return QueryOptions(
        tenants=(TENANT,), start_ns=SPAN[0], end_ns=SPAN[1], step_ns=DAY, limits=limits
    )


WHERE = TimeRange((TENANT,), *SPAN)
MATCHERS = parse_selector('{app="a"}').matchers
EDGES = np.array(SPAN, np.int64)
VOLUME = VolumeOptions(None, by_name=False)


def ask_query(queries: QueryService) -> int:
    """Lines."""
    result = queries.query('{app="a"}', options()).result
    assert isinstance(result, StreamsResult)
    return sum(len(stream.entries) for stream in result.streams)


def ask_two_selectors(queries: QueryService) -> int:
    """Lines of two listings, of which the second one has a block less."""
    text = 'sum(count_over_time({app="a"}[9d])) + sum(count_over_time({job="test"}[20d]))'
    instant = QueryOptions(
        tenants=(TENANT,), start_ns=NOW, end_ns=NOW, step_ns=0, limits=LIMITS, instant=True
    )
    result = queries.query(text, instant).result
    (sample,) = result.samples  # type: ignore[union-attr]
    return int(sample.value)


def ask_stats(queries: QueryService) -> int:
    """Entries."""
    return queries.index_stats(WHERE, MATCHERS, Budget()).value.entries


def ask_volume(queries: QueryService) -> int:
    """Line bytes."""
    found = queries.volume(WHERE, MATCHERS, EDGES, VOLUME, Budget()).value
    return sum(int(volume.bytes.sum()) for volume in found)


def ask_patterns(queries: QueryService) -> int:
    """Lines."""
    found = queries.patterns(WHERE, MATCHERS, DAY, Budget()).value
    return sum(pattern.hits for pattern in found)


def ask_series(queries: QueryService) -> int:
    """Streams."""
    return len(queries.series(WHERE, [MATCHERS], Budget()).value)


QUESTIONS: dict[Callable[[QueryService], int], int] = {
    ask_query: ALL,
    ask_two_selectors: 2 * ALL - A_DAY,
    ask_stats: ALL,
    ask_volume: ALL * len(LINE % 0),
    ask_patterns: ALL,
    ask_series: 1,
}


@pytest.mark.parametrize("ask", QUESTIONS)
def test_what_was_seen_is_answered_and_goes_afterwards(
    stored: Stored, ask: Callable[[QueryService], int]
) -> None:
    garbage = GarbageCollector(stored.services, 0, worker_of(stored.catalog, stored.store))
    drops = 1

    def drop_one() -> None:
        nonlocal drops
        if drops:
            drops -= 1
            (oldest,) = stored.catalog.oldest(1)
            stored.catalog.replace([oldest.block_id], [])
        garbage.collect()
        assert len(stored.folders()) == len(DAYS)

    with service(stored, drop_one) as queries:
        assert ask(queries) == QUESTIONS[ask]
    assert stored.services.pins.count() == 0
    assert garbage.collect() == 1
    assert stored.folders() == {row.block_id for row in stored.rows()}
    assert len(stored.rows()) == len(DAYS) - 1


WITHOUT_ONE: dict[Callable[[QueryService], int], int] = {
    ask_query: ALL - A_DAY,
    ask_two_selectors: 2 * (ALL - A_DAY),
    ask_stats: ALL - A_DAY,
    ask_volume: (ALL - A_DAY) * len(LINE % 0),
    ask_patterns: ALL - A_DAY,
    ask_series: 1,
}


@pytest.mark.parametrize("ask", WITHOUT_ONE)
def test_a_block_that_somebody_else_deleted_is_told(
    stored: Stored, ask: Callable[[QueryService], int]
) -> None:
    row = stored.rows()[0]
    delete_objects(stored.objects, block_prefix(row.tenant, row.min_ts, row.block_id))
    with service(stored, lambda: None) as queries:
        assert ask(queries) == WITHOUT_ONE[ask]
        (warning,) = queries.index_stats(WHERE, MATCHERS, Budget()).warnings
        assert row.block_id in warning
    assert stored.services.pins.count() == 0


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_block_that_went_after_it_was_listed_is_no_damage(
    stored: Stored, ask: Callable[[QueryService], int]
) -> None:
    """Somebody who knows no pins dropped it: the question is asked again."""
    drops = 1

    def drop_one() -> None:
        nonlocal drops
        if drops:
            drops -= 1
            (oldest,) = stored.catalog.oldest(1)
            stored.catalog.replace([oldest.block_id], [])
            delete_objects(
                stored.objects, block_prefix(oldest.tenant, oldest.min_ts, oldest.block_id)
            )

    with service(stored, drop_one) as queries:
        found = ask(queries)
        assert found in (QUESTIONS[ask], WITHOUT_ONE[ask]), "never a half"
        assert queries.index_stats(WHERE, MATCHERS, Budget()).warnings == ()
    assert stored.services.pins.count() == 0


def test_several_tenants_are_values_of_their_label(stored: Stored) -> None:
    """Those that ask, whether they have streams or not."""
    both = TimeRange((TENANT, TenantId("nobody")), *SPAN)
    with service(stored, lambda: None) as queries:
        values = queries.label_values(both, "__tenant_id__", "", Budget()).value
        assert values == sorted([TENANT, "nobody"])
        alone = TimeRange((TENANT,), *SPAN)
        assert queries.label_values(alone, "__tenant_id__", "", Budget()).value == []
        assert "__tenant_id__" in queries.label_names(both, "", Budget()).value
        assert queries.label_names(both, '{app="nosuch"}', Budget()).value == ["__tenant_id__"]
        assert "__tenant_id__" not in queries.label_names(alone, "", Budget()).value


def test_a_query_that_takes_too_long_holds_nothing_any_more(stored: Stored) -> None:
    short = LIMITS.with_changes(query_timeout_ns=1)
    with service(stored, lambda: None) as queries, pytest.raises(QueryTimeoutError):
        queries.query('{app="a"}', options(short))
    assert stored.services.pins.count() == 0
