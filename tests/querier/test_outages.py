"""Is an outage told as one by every question, and does damage cost neither budget nor a restart?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from narfi.core.errors import ErrorKind
from querier.budget import Budget, Total
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import QueryOptions
from querier.reading.partial import Partial, PartialAnswerError
from querier.result import StreamsResult
from querier.service import QueryService
from storage.block.layout import LINE_COLUMN, block_prefix
from storage.catalog.base import BlockRow
from storage.objects.base import BadObjectError, ObjectError
from storage.objects.faulty import Faults, FaultyObjects
from storage.store import BlockStore, StoreServices
from tests.querier.test_service import (
    A_DAY,
    ALL,
    DAYS,
    LIMITS,
    LINE,
    MATCHERS,
    QUESTIONS,
    SPAN,
    WHERE,
    Nothing,
    ask_query,
    options,
)
from tests.storage.form import Form
from tests.storage.stored import DAY, NOW, TENANT, Stored


@pytest.fixture
def stored(tmp_path: Path, form: Form) -> Iterator[Stored]:
    """A folder with a block a day, in each format."""
    found = Stored(tmp_path)
    for days_ago in DAYS:
        first = NOW - days_ago * DAY
        found.add([("a", first + k, LINE % k, {}) for k in range(A_DAY)])
    yield found
    found.close()


@contextmanager
def asked(
    stored: Stored, faults: Faults | None = None, partial: Partial = Partial.WARN
) -> Iterator[tuple[QueryService, BlockStore]]:
    """A service with empty caches; with `faults`, reads of objects are steps of them."""
    objects = FaultyObjects(stored.objects, faults or Faults(), reads=faults is not None)
    store = BlockStore(StoreServices(stored.catalog, objects, stored.clock), 1 << 20)
    executor = LocalExecutor(1)
    engine = Engine(Nothing(), store, executor, partial=partial)
    yield QueryService(engine, lambda tenant: LIMITS), store
    executor.close()


def lines_of(stored: Stored, form: Form, row: BlockRow) -> Path:
    """The file of a block's lines."""
    folder = stored.folder / "objects" / block_prefix(TENANT, row.min_ts, row.block_id)
    return folder / form.entries


def flip_page(path: Path) -> None:
    """Damage a page of lines, which is met late: the footer is whole."""
    group = pq.read_metadata(path).row_group(0)
    (chunk,) = (
        group.column(place)
        for place in range(group.num_columns)
        if group.column(place).path_in_schema == LINE_COLUMN
    )
    content = bytearray(path.read_bytes())
    first = chunk.dictionary_page_offset or chunk.data_page_offset
    content[first + chunk.total_compressed_size - 1] ^= 0x10  # behind all headers of pages
    path.write_bytes(content)


@pytest.mark.parametrize("ask", QUESTIONS)
@pytest.mark.parametrize("dead", [False, True])
def test_an_outage_at_any_read_is_told_by_every_question(
    stored: Stored, form: Form, ask: Callable[[QueryService], int], dead: bool
) -> None:
    counting = Faults()
    with asked(stored, counting) as (queries, _):
        wanted = ask(queries)
    to_open = 1 if form.commit == form.opening else 2
    assert counting.steps >= to_open * len(DAYS)
    for step in range(counting.steps):
        with asked(stored, Faults(step, dead=dead)) as (queries, store):
            with pytest.raises(ObjectError) as caught:
                ask(queries)
            assert not isinstance(caught.value, BadObjectError)
            assert caught.value.kind is ErrorKind.UNAVAILABLE
            assert len(store.quarantine) == 0
            if not dead:
                assert ask(queries) == wanted, "it is over"


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_store_that_is_away_is_an_outage(
    stored: Stored, ask: Callable[[QueryService], int]
) -> None:
    objects, aside = stored.folder / "objects", stored.folder / "aside"
    with asked(stored) as (queries, store):
        objects.rename(aside)
        with pytest.raises(ObjectError, match="not where it was"):
            ask(queries)
        assert len(store.quarantine) == 0
        aside.rename(objects)
        assert ask(queries) >= 1
        assert queries.index_stats(WHERE, MATCHERS, Budget()).warnings == ()


def test_a_block_comes_back_without_a_restart(stored: Stored, form: Form) -> None:
    path = lines_of(stored, form, stored.rows()[0])
    good = path.read_bytes()
    flip_page(path)
    with asked(stored) as (queries, store):
        assert ask_query(queries) == ALL - A_DAY
        assert store.quarantine.look_again() == 0
        path.write_bytes(good)
        assert store.quarantine.look_again() == 1
        assert ask_query(queries) == ALL
        assert queries.query('{app="a"}', options()).warnings == ()


def test_only_questions_that_needed_the_block_warn(stored: Stored, form: Form) -> None:
    damaged = next(row for row in stored.rows() if row.min_ts == NOW - 2 * DAY)
    stored.add([("b", NOW - 2 * DAY + k, b"other", {}) for k in range(A_DAY)])
    flip_page(lines_of(stored, form, damaged))
    with asked(stored) as (queries, store):
        (warning,) = queries.query('{app="a"}', options()).warnings
        assert f"block {damaged.block_id}" in warning
        assert f"its {A_DAY} entries" in warning
        assert damaged.block_id in store.quarantine
        assert queries.query('{app="b"}', options()).warnings == ()
        recent = QueryOptions(
            tenants=(TENANT,), start_ns=NOW - DAY, end_ns=NOW, step_ns=DAY, limits=LIMITS
        )
        found = queries.query('{app="a"}', recent)
        assert isinstance(found.result, StreamsResult)
        assert sum(len(stream.entries) for stream in found.result.streams) == A_DAY
        assert found.warnings == ()


@pytest.mark.parametrize("ask", QUESTIONS)
def test_whole_answers_or_none(
    stored: Stored, form: Form, ask: Callable[[QueryService], int]
) -> None:
    row = stored.rows()[0]
    (lines_of(stored, form, row).parent / form.opening).unlink()
    with asked(stored, partial=Partial.REFUSE) as (queries, _):
        with pytest.raises(PartialAnswerError, match=r"querier\.partial is refuse") as caught:
            ask(queries)
        assert row.block_id in caught.value.message
        assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_a_question_that_began_again_holds_what_its_answer_needs(
    stored: Stored, form: Form
) -> None:
    total = Total()
    budgets = [Budget(total), Budget(total)]
    flip_page(lines_of(stored, form, stored.rows()[0]))
    with asked(stored) as (queries, store):
        for budget in budgets:
            whole = QueryOptions(
                tenants=(TENANT,),
                start_ns=SPAN[0],
                end_ns=SPAN[1],
                step_ns=DAY,
                limits=LIMITS,
                budget=budget,
            )
            queries.query('{app="a"} |= "user"', whole)
        assert len(store.quarantine) == 1
        assert budgets[0].used == budgets[1].used > 0, "the first one began twice"
    for budget in budgets:
        budget.close()
    assert total.used == 0


def test_a_fault_of_the_program_is_no_damage(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked(stored) as (queries, store):
        monkeypatch.setattr("storage.block.reader.BlockSource.order", lambda self: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            ask_query(queries)
        assert len(store.quarantine) == 0
