"""Which filters run before stages that are written before them? Those that see the same there."""

import pytest

from logql.format import format_stage
from querier.operators.order import run_order
from tests.querier.operators.test_pipeline import stages_of


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ('| json | label_format p="{{.a}}" | s>=5', '| json | s>=5 | label_format p="{{.a}}"'),
        ('| json | line_format "{{.m}}" | s="x"', '| json | s="x" | line_format "{{.m}}"'),
        ('| json | drop a | keep s, b="x" | s=~"x"', '| json | s=~"x" | drop a | keep s, b="x"'),
        ('| json | decolorize | s=1 |= "x"', '| json | s=1 | decolorize |= "x"'),
        ("| logfmt | json |= `x`", "|= `x` | logfmt | json"),
        ("| decolorize | json |= `x`", "| decolorize |= `x` | json"),
    ],
)
def test_filters_that_see_the_same_come_first(written: str, run: str) -> None:
    assert _text(run_order(stages_of(written))) == _text(stages_of(run))


@pytest.mark.parametrize(
    "written",
    [
        '| json | label_format s="{{.a}}" | s="x"',
        '| json | label_format s=a | s="x"',
        '| json | label_format a=s | s=""',
        '| json | label_format p="{{.a}}", s=b | a="x" or s="y"',
        '| json | label_format p="{{.__error__}}" | s>=5',
        '| json | label_format p="{{ . }}" | s>=5',
        '| json | line_format "{{.__error__}}!" | s>=5',
        '| json | line_format "{{ range $k, $v := . }}{{$k}}{{ end }}" | s>=5',
        '| json | label_format p="{{ div 1 0 }}" | __error__=""',
        '| json | label_format p="{{ div 1 0 }}" | s=ip("10.0.0.1")',
        '| json | drop s | s=""',
        '| json | drop s="x" | s=""',
        "| json | drop __error__ | s>=5",
        '| json | keep a | s=""',
        '| json | keep a, s="x" | s=""',
        '| s="" | json | s=""',
        '| json | unpack | s="x"',
        '| decolorize |= "x"',
        '| unpack |= "x"',
        '| line_format "{{.m}}" |= "x"',
    ],
)
def test_others_stay_where_they_are(written: str) -> None:
    stages = stages_of(written)
    assert _text(run_order(stages)) == _text(stages)


def _text(stages: object) -> list[str]:
    assert isinstance(stages, tuple)
    return [format_stage(stage) for stage in stages]
