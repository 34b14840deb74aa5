"""Do slices give the rows of the batch, and no more memory than the budget has?"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logql.ast import LogQuery
from logql.parser import parse
from narfi.core.limits import Limits
from querier.budget import Budget, QueryMemoryError, QueryTimeoutError
from querier.executors.slices import FIRST_ROWS, Slices
from querier.operators.base import Demand
from querier.operators.pipeline import Pipeline, build_pipeline
from storage.batch import LogBatch
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import Entry

MIB = 1 << 20


def pipeline_of(stages: str) -> Pipeline:
    query = parse(f'{{app="a"}} {stages}')
    assert isinstance(query, LogQuery)
    return build_pipeline(query.stages, Demand())


def lines(count: int, size: int = 0) -> LogBatch:
    """Lines `0`, `1` and so on, filled up."""
    texts = [str(n).encode().ljust(size, b".") for n in range(count)]
    return batch_of([({"app": "a"}, {}, n, text) for n, text in enumerate(texts)])


def shown(batch: LogBatch, pipeline: Pipeline, budget: Budget) -> list[bytes | None]:
    return [
        line
        for frame in Slices(pipeline, budget).of(batch)
        for line in frame.lines.spans().to_list()
    ]


@settings(max_examples=examples(30), deadline=None)
@given(count=st.integers(0, 3 * FIRST_ROWS), repeat=st.sampled_from([1, 2, 20_000]))
def test_rows_come_once_and_in_order(count: int, repeat: int) -> None:
    budget = Budget()
    budget.begin(Limits())
    batch = lines(count)
    pipeline = pipeline_of(f'| line_format "{{{{ repeat {repeat} __line__ }}}}" != "7"')
    expected = [str(n).encode() * repeat for n in range(count) if "7" not in str(n)]
    assert shown(batch, pipeline, budget) == expected
    assert budget.used == 0


def test_a_batch_that_does_not_fit_is_cut() -> None:
    """300 times 100 KB of text in 8 MB; each line alone is small."""
    budget = Budget()
    budget.begin(Limits(max_query_memory=8 * MIB))
    pipeline = pipeline_of('| line_format "{{ repeat 500 __line__ }}" |= "never"')
    assert shown(lines(300, size=200), pipeline, budget) == []
    assert MIB < budget.peak <= 8 * MIB


def test_a_line_that_does_not_fit_is_refused() -> None:
    budget = Budget()
    budget.begin(Limits(max_query_memory=MIB))
    pipeline = pipeline_of('| line_format "{{ repeat 2000 __line__ }}"')
    with pytest.raises(QueryMemoryError, match="set by max_query_memory"):
        shown(lines(3, size=400), pipeline, budget)
    assert budget.used == 0


def test_labels_of_every_name_are_charged() -> None:
    """Each line has a label of its own: a column for each, which is rows times rows."""
    entries: list[Entry] = [({"app": "a"}, {}, n, b'{"k%d": 1}' % n) for n in range(2000)]
    whole = Budget()
    whole.begin(Limits())
    assert len(shown(batch_of(entries), pipeline_of("| json"), whole)) == 2000
    assert whole.peak > 2000 * 2000 * 12
    cut = Budget()
    cut.begin(Limits(max_query_memory=8 * MIB))
    assert len(shown(batch_of(entries), pipeline_of("| json"), cut)) == 2000
    assert cut.peak <= 8 * MIB


def test_templates_look_at_the_deadline() -> None:
    budget = Budget()
    budget.begin(Limits(query_timeout_ns=1))
    with pytest.raises(QueryTimeoutError):
        shown(lines(1), pipeline_of('| line_format "x"'), budget)
