"""Are the columns' stages those of the reference? Any pipeline over any entries, however cut."""

import itertools

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_stage
from logql.parser import parse
from logql.stage_rules import check_stages
from narfi.core.errors import AppError
from querier.operators.base import Demand
from querier.operators.pipeline import build_pipeline
from querier.plan.tasks import frame_of
from tests.reference.budget import examples
from tests.reference.frames import Plain, batch_of, rows_of
from tests.reference.logs import ENTRIES, START_NS, Entry
from tests.reference.pipeline import run_pipeline
from tests.reference.queries import PIPELINES

Stages = tuple[ast.Stage, ...]


def stages_of(text: str) -> Stages:
    """The stages of `{app="a"} <text>`."""
    query = parse(f'{{app="a"}} {text}')
    assert isinstance(query, ast.LogQuery)
    return query.stages


def expected(entries: list[Entry], stages: Stages) -> dict[int, Plain]:
    """What the reference makes of the entries."""
    result = {}
    for number, (labels, metadata, ts, line) in enumerate(entries):
        row = run_pipeline(labels, metadata, ts, line, stages)
        if row is not None:
            seen = (row.stream, row.metadata, row.parsed, row.error, row.details, row.line)
            result[number] = seen
    return result


def found(entries: list[Entry], stages: Stages, cuts: list[int]) -> dict[int, Plain]:
    """What the pipeline makes of them, in batches cut at the given places."""
    pipeline = build_pipeline(stages, Demand())
    result: dict[int, Plain] = {}
    batch = batch_of(entries)
    edges = sorted({0, len(entries), *(cut % (len(entries) + 1) for cut in cuts)})
    for low, high in itertools.pairwise(edges):
        part = frame_of(batch.take(batch.rows[low:high]))
        result |= rows_of(pipeline.apply(part))
    return result


def one(line: bytes, **metadata: str) -> list[Entry]:
    """A single entry."""
    return [({"app": "api"}, metadata, START_NS, line)]


@settings(max_examples=examples(500))
@given(ENTRIES, PIPELINES, st.lists(st.integers(0, 20), max_size=3))
@example(one(b"level=error"), stages_of("| logfmt | level=`error`"), [])
@example(one(b"level=error msg=boom"), stages_of("| logfmt | label_format msg=level | msg==0"), [])
def test_pipeline_equals_the_reference(
    entries: list[Entry], stages: Stages, cuts: list[int]
) -> None:
    if not is_valid(stages):
        return
    text = " ".join(format_stage(stage) for stage in stages)
    assert found(entries, stages, cuts) == expected(entries, stages), text


def is_valid(stages: Stages) -> bool:
    """Whether a query with these stages is accepted."""
    try:
        for stage in stages:
            check_stages([stage])
    except AppError:
        return False
    return True
