"""Are stages over typed columns those over bytes? Similar lines as shapes, through any pipeline."""

from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_stage
from narfi.core.errors import AppError
from narfi.core.text.pattern import compile_parser_pattern, extract
from querier.operators.base import Demand
from querier.operators.frame import ERROR, ERROR_DETAILS, Frame, frame_of
from querier.operators.pipeline import Pipeline, build_pipeline
from querier.operators.shape_pattern import capture_pieces
from querier.operators.unwrap import unwrap_values
from tests.querier.operators.test_pipeline import expected, is_valid, stages_of
from tests.querier.shaped import (
    Stages,
    fitting_pattern,
    fitting_pipelines,
    shaped_parts,
    similar_entries,
)
from tests.reference.budget import examples
from tests.reference.frames import Plain, batch_of, rows_of
from tests.reference.logs import START_NS, Entry
from tests.reference.queries import NAMES, UNWRAPS
from tests.reference.similar import THRESHOLDS

Limits = tuple[int, int, int] | None
Case = tuple[list[Entry], Stages]
CASES: st.SearchStrategy[Case] = similar_entries().flatmap(
    lambda entries: st.tuples(st.just(entries), fitting_pipelines([e[3] for e in entries]))
)


def pipeline_of(stages: Stages, demand: Demand) -> Pipeline | None:
    """None when a stage's pattern is refused."""
    if not is_valid(stages):
        return None
    try:
        return build_pipeline(stages, demand)
    except AppError:
        return None


def text_of(stages: Stages) -> str:
    """For messages."""
    return " ".join(format_stage(stage) for stage in stages)


def case(lines: list[bytes], stages: str) -> Case:
    """The lines of one stream."""
    return [({"app": "api"}, {}, START_NS, line) for line in lines], stages_of(stages)


def numbered(line: bytes, count: int = 2) -> list[bytes]:
    """The line with numbers in its place."""
    return [line.replace(b"%d", b"%d" % n).replace(b"%07x", b"%07x" % n) for n in range(count)]


CUT: Limits = (1, 8192, 4)
NULLS = [b'{"a":null,"a":1}', b'{"a":2,"a":3}']


@settings(max_examples=examples(250))
@given(CASES, THRESHOLDS)
@example(case(NULLS, "| json"), None)
@example(case([b"[1,2]", b"[3,4]"], '| json level="level"'), None)
@example(case([b'"a" 1', b'"b" 2'], '| json level="level"'), None)
@example(case(numbered(rb'{"\ud800":"x%d"}'), "| json"), None)
@example(case([b'{"q\\"\xff":"0"}', b'{"q\\"\xff":"1"}', b'{"\xe2\x82":"1"}'], "| json"), None)
@example(case(numbered(rb'{"a":"x%d\f%d"}'), "| json"), CUT)
@example(case(numbered(rb'{"a":"\f%07x"}', 300), "| json"), None)
@example(case(numbered(rb'b=%d a="x%d\f%d"'), "| logfmt"), CUT)
@example(
    case([b"2026-11-24 09:00:0%d,123 {INFO} [t] took %d ms" % (k, k) for k in range(9)], "| json"),
    None,
)
@example(case([b"[24/Nov/2026:09:00:0%d +0000] a" % k for k in range(9)], "| json"), None)
@example(case([b"%08x%08x {INFO}" % (k * 99999999, k) for k in range(9)], '| json a="a"'), None)
@example(case([b"{ }\xff"], '| pattern "<_>}<level>" | drop level=~"a.*b"'), None)
def test_shapes_equal_the_reference(case: Case, limits: Limits) -> None:
    entries, stages = case
    pipeline = pipeline_of(stages, Demand())
    if pipeline is None:
        return
    found: dict[int, Plain] = {}
    for part in shaped_parts(entries, 1, limits):
        found |= rows_of(pipeline.apply(frame_of(part)))
    assert found == expected(entries, stages), text_of(stages)


def seen(frame: Frame, names: frozenset[str], *, errors: bool) -> dict[int, tuple[object, ...]]:
    """The demanded labels of each row."""
    columns = [frame.label(name) for name in sorted(names)]
    if errors:
        columns += [frame.shown(ERROR), frame.shown(ERROR_DETAILS)]
    texts = [column.spans.to_list() for column in columns]
    again = [[column.texts[c] if c >= 0 else None for c in column.codes] for column in columns]
    for one, other in zip(texts, again, strict=True):
        assert [t if t is None else t.decode("utf-8", "surrogateescape") for t in one] == other
    return {row: tuple(values[k] for values in texts) for k, row in enumerate(frame.rows.tolist())}


@settings(max_examples=examples(250))
@given(CASES, THRESHOLDS, st.frozensets(NAMES, max_size=3), st.booleans())
@example(case(NULLS, "| json"), None, frozenset("a"), False)
@example(case(numbered(rb'{"a":"x%d\f%d"}'), "| json"), CUT, frozenset("a"), False)
def test_few_labels_equal_those_of_plain_lines(
    case: Case, limits: Limits, names: frozenset[str], errors: bool
) -> None:
    entries, stages = case
    pipeline = pipeline_of(stages, Demand(names, errors=errors, lines=False))
    if pipeline is None:
        return
    plain = seen(pipeline.apply(frame_of(batch_of(entries))), names, errors=errors)
    found: dict[int, tuple[object, ...]] = {}
    for part in shaped_parts(entries, 1, limits):
        found |= seen(pipeline.apply(frame_of(part)), names, errors=errors)
    assert found == plain, text_of(stages)


@settings(max_examples=examples(150))
@given(similar_entries(), THRESHOLDS, st.integers(0, 1 << 16))
def test_captures_of_patterns_are_those_of_the_lines(
    entries: list[Entry], limits: Limits, seed: int
) -> None:
    random, lines = Random(seed), [line for _, _, _, line in entries]
    parts = shaped_parts(entries, 1, limits)
    for _ in range(8):
        pattern = fitting_pattern(lines, random)
        try:
            nodes = compile_parser_pattern(pattern)
        except AppError:
            continue
        for part in parts:
            assert part.lines is not None
            shape = part.lines.shape()
            pieces = None if shape is None else capture_pieces(nodes, shape.template)
            if shape is None or pieces is None:
                continue
            texts = {name: shape.text_between(found).spans for name, found in pieces.items()}
            found = {name: spans.to_list() for name, spans in texts.items()}
            for place, line in enumerate(part.lines.spans().to_list()):
                wanted = extract(nodes, line or b"")
                assert {n: v[place] for n, v in found.items() if n != "_"} == dict(wanted), pattern


def unwrapped(frame: Frame, unwrap: ast.Unwrap) -> dict[int, tuple[float, object]]:
    """The number and the error of each row that has one."""
    frame, values = unwrap_values(frame, unwrap)
    errors = frame.shown(ERROR).spans.to_list()
    assert len(values) == len(frame)
    return {
        row: (repr(value), errors[k])  # type: ignore[misc]
        for k, (row, value) in enumerate(zip(frame.rows.tolist(), values.tolist(), strict=True))
    }


@settings(max_examples=examples(150))
@given(similar_entries(), st.booleans(), THRESHOLDS, UNWRAPS, NAMES)
def test_unwrapped_numbers_equal_those_of_plain_lines(
    entries: list[Entry], json: bool, limits: Limits, unwrap: ast.Unwrap, name: str
) -> None:
    unwrap = ast.Unwrap(name, unwrap.conversion, unwrap.post_filters)
    parser = ast.JsonParser() if json else ast.LogfmtParser()
    pipeline = build_pipeline((parser,), Demand(frozenset((name,))))
    plain = unwrapped(pipeline.apply(frame_of(batch_of(entries))), unwrap)
    found: dict[int, tuple[float, object]] = {}
    for part in shaped_parts(entries, 1, limits):
        found |= unwrapped(pipeline.apply(frame_of(part)), unwrap)
    assert found == plain
