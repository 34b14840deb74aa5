"""Are stages over lines of many shapes those over bytes? Similar lines as families, in slices."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logql.ast import PatternParser
from narfi.core.columns import Spans
from querier.budget import Budget
from querier.executors.slices import Slices
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.json_parser import JsonWanted
from querier.operators.pattern import PatternOperator
from querier.operators.shared_fields import MAX_REMEMBERED, fields_of_lines
from storage.lines import mixed
from storage.lines.plain import PlainLines
from tests.querier.operators.test_pipeline import expected
from tests.querier.operators.test_shaped import (
    CASES,
    CUT,
    NULLS,
    Case,
    Limits,
    case,
    numbered,
    pipeline_of,
    seen,
    text_of,
)
from tests.querier.shaped import mixed_parts
from tests.reference.budget import examples
from tests.reference.families import made, mixed_lines
from tests.reference.frames import Plain, batch_of, rows_of
from tests.reference.queries import NAMES
from tests.reference.similar import THRESHOLDS

SLOW = [HealthCheck.too_slow]
MANY = st.sampled_from([1, 3, 1000])
ORDERS = [line % n for n in range(4) for line in (b'{"a":%d,"b":"x"}', b'{"b":null,"a":"%d"}')]
WORDS = [line % n for n in range(4) for line in (b"got %d in /a now", b"put a%d in b", b"%d in")]
PATTERN = "| pattern `<_> <a> in <b>`"
PAIRS = [line % n for n in range(4) for line in (b"a=%d level=info", b'level="b c" a=%d k=v')]


@settings(max_examples=examples(200), deadline=None, suppress_health_check=SLOW)
@given(CASES, THRESHOLDS, MANY)
@example(case(NULLS, "| json"), None, 1000)
@example(case(ORDERS, "| json"), None, 1000)
@example(case(PAIRS, "| logfmt"), None, 1000)
@example(case(WORDS, PATTERN), None, 1000)
@example(case(numbered(rb'{"a":"x%d\f%d"}'), "| json"), CUT, 1000)
def test_families_equal_the_reference(case: Case, limits: Limits, many: int) -> None:
    entries, stages = case
    pipeline = pipeline_of(stages, Demand())
    if pipeline is None:
        return
    found: dict[int, Plain] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed, "MANY_ROWS", many)
        for part in mixed_parts(entries, 1, limits):
            for frame in Slices(pipeline, Budget()).of(part):
                mine = rows_of(frame)
                assert not mine.keys() & found.keys()
                found |= mine
    assert found == expected(entries, stages), text_of(stages)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=SLOW)
@given(CASES, THRESHOLDS, MANY, st.frozensets(NAMES, max_size=3), st.booleans())
@example(case(NULLS, "| json"), None, 1000, frozenset("a"), False)
@example(case(ORDERS, "| json"), None, 1000, frozenset("ab"), True)
@example(case(PAIRS, "| logfmt"), None, 1000, frozenset(["a", "level"]), True)
@example(case(WORDS, PATTERN), None, 1000, frozenset("ab"), True)
@example(case(numbered(rb'{"a":"x%d\f%d"}'), "| json"), CUT, 1000, frozenset("a"), False)
def test_few_labels_equal_those_of_plain_lines(
    case: Case, limits: Limits, many: int, names: frozenset[str], errors: bool
) -> None:
    entries, stages = case
    pipeline = pipeline_of(stages, Demand(names, errors=errors, lines=False))
    if pipeline is None:
        return
    plain = seen(pipeline.apply(frame_of(batch_of(entries))), names, errors=errors)
    found: dict[int, tuple[object, ...]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixed, "MANY_ROWS", many)
        for part in mixed_parts(entries, 1, limits):
            for frame in Slices(pipeline, Budget()).of(part):
                found |= seen(frame, names, errors=errors)
    assert found == plain, text_of(stages)


def test_members_of_many_shapes_are_read_off_columns() -> None:
    """Of another order, of a null, of a number that is a string elsewhere: nothing is decoded."""
    (family,) = made([({}, ORDERS)])
    lines, parser = mixed_lines(family), JsonWanted(("a", "b"), errors=False)
    assert len(lines.used_shapes()) > 1
    found = fields_of_lines(lines, parser)
    assert found is not None
    rows = family.rows().tolist()
    assert found["a"].spans.to_list() == [b"%d" % (row // 2) for row in rows]
    assert found["b"].spans.to_list() == [None if row % 2 else b"x" for row in rows]
    assert fields_of_lines(PlainLines(Spans.of(ORDERS)), parser) is None


def test_captures_of_many_shapes_are_read_off_columns() -> None:
    """Also where a line has nothing behind the last literal, or a capture is of two pieces."""
    (family,) = made([({}, WORDS)])
    lines = mixed_lines(family)
    stage = PatternParser("<_> <a> in <b>")
    parser = PatternOperator(stage, Demand(frozenset("ab")))
    assert len(lines.used_shapes()) > 1
    found = fields_of_lines(lines, parser)
    assert found is not None
    plain = PatternOperator(stage, Demand()).apply(frame_of(batch_of(case(WORDS, PATTERN)[0])))
    rows = family.rows()
    for name in "ab":
        assert found[name].spans.to_list() == plain.parsed[name].take(rows).spans.to_list()


def test_what_is_remembered_of_a_template_is_bounded() -> None:
    (family,) = made([({}, ORDERS)])
    lines = mixed_lines(family)
    for n in range(2 * MAX_REMEMBERED):
        fields_of_lines(lines, JsonWanted((f"name{n}",), errors=False))
    for shape in lines.used_shapes():
        assert len(lines.shapes.templates[shape].remembered) <= MAX_REMEMBERED
