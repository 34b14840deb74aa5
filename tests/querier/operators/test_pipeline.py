"""Are the columns' stages those of the reference? Any pipeline over any entries, however cut."""

import itertools
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_stage
from logql.parser import parse
from logql.stage_rules import check_stages
from narfi.core.errors import AppError
from narfi.core.label_column import CodedColumn
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.pipeline import build_pipeline, metadata_names
from tests.reference.budget import examples
from tests.reference.frames import Plain, batch_of, rows_of
from tests.reference.logs import ENTRIES, START_NS, Entry
from tests.reference.pipeline import run_pipeline
from tests.reference.queries import NAMES, PIPELINES

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


@settings(max_examples=examples(300))
@given(ENTRIES, PIPELINES, st.frozensets(NAMES, max_size=3))
@example(one(b"10.0.0.7 x", __error__="e"), stages_of('| pod=ip("10.0.0.1")'), frozenset())
def test_few_labels_equal_the_reference(
    entries: list[Entry], stages: Stages, names: frozenset[str]
) -> None:
    """The rows that stay, their demanded labels, errors and lines, from the metadata asked for."""
    if not is_valid(stages):
        return
    pipeline = build_pipeline(stages, Demand(names))
    batch = batch_of(entries)
    wanted = metadata_names(pipeline.stages, Demand(names))
    assert batch.metadata is not None
    if wanted is not None:
        batch = replace(batch, metadata=batch.metadata.select(wanted))
    frame = pipeline.apply(frame_of(batch))
    lines = frame.lines.spans().to_list()
    labels = {name: frame.label(name).spans.to_list() for name in names}
    errors = (frame.error or CodedColumn.absent(len(frame))).spans.to_list()
    answer = {
        number: ({n: labels[n][row] for n in names}, errors[row] or b"", lines[row])
        for row, number in enumerate(frame.rows.tolist())
    }
    slow = {}
    for number, (stream, extra, ts, line) in enumerate(entries):
        row = run_pipeline(stream, extra, ts, line, stages)
        if row is not None:
            values = {name: row.get(name) for name in names}
            told = {n: None if v is None else as_bytes(v) for n, v in values.items()}
            slow[number] = (told, row.error.encode(), row.line)
    assert answer == slow, " ".join(format_stage(stage) for stage in stages)


def as_bytes(text: str) -> bytes:
    """The bytes that the text stands for."""
    return text.encode("utf-8", "surrogateescape")


def is_valid(stages: Stages) -> bool:
    """Whether a query with these stages is accepted."""
    try:
        for stage in stages:
            check_stages([stage])
    except AppError:
        return False
    return True
