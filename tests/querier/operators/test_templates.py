"""Is a template over columns what it is row by row, whatever of an entry it reads?"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.limits import Limits
from querier.budget import Budget
from querier.operators.base import Demand
from querier.operators.frame import frame_of
from querier.operators.pipeline import build_pipeline
from tests.querier.operators.test_pipeline import expected, found, stages_of
from tests.reference.budget import examples
from tests.reference.frames import batch_of
from tests.reference.logs import START_NS, Entry

PARTS = (
    "{{.a}}",
    "{{.nosuch}}",
    "{{.app}}:{{.meta}}",
    "{{ __line__ | trunc 5 }}",
    "{{ __timestamp__.Unix }}",
    "{{ .a | int | add 1 }}",
    '{{ div .a "0" }}',
    "{{ div 6 .a }}",
    "{{ if eq .a .b }}same{{ else }}{{ .b }}{{ end }}",
    "{{ with .a }}{{ . }}{{ $.b }}{{ else }}{{ .b }}{{ end }}",
    "{{ range $k, $v := . }}{{ $k }}={{ $v }};{{ end }}",
    '{{ index . "b" }}',
    '{{ define "t" }}{{ .a }}{{ end }}{{ template "t" . }}',
    "{{ block `c` .b }}<{{ . }}>{{ end }}",
    "{{ $x := . }}{{ $x.b }}",
    "{{ $x := .a }}{{ range 2 }}{{ $x }}{{ end }}",
    "{{ . | len }}",
    "{{ .__error__ }}",
    "{{ fromJson .b }}",
    "{{ alignLeft (int .a) .b }}|",
    '{{ regexReplaceAll "[0-9]" .b "<$0>" }}',
    "{{ .b.c }}",
    "{{ __line__ }}",
    "{{ len __line__ }}",
    "{{ .a | len }}",
    "{{ .nosuch | len }};",
    "{{ repeat 3 __line__ }}",
    "{{ __line__ | repeat 700000 | len }}",
    "{{ repeat 500000 .b }}",
    "{{ .b | repeat 2 | repeat (3) }}{{ `x` }}",
    "{{ (repeat 0 .a) }}",
    "{{ repeat -1 .a }}",
    "{{ repeat 2 .__error__ }}",
)
VALUES = ("", "0", "2", "010", "x", "[1,2]", "-1", "\u00e5", "9223372036854775807")


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Entries of two streams, with the same few values again and again."""
    made: list[Entry] = []
    for number in range(draw(st.integers(0, 12))):
        pairs = [f"{name}={draw(st.sampled_from(VALUES))}" for name in ("a", "b")]
        line = " ".join(pairs[: draw(st.integers(0, 2))]).encode()
        labels = {"app": draw(st.sampled_from(("api", "db")))}
        metadata = {"meta": draw(st.sampled_from(VALUES[1:]))} if draw(st.booleans()) else {}
        made.append((labels, metadata, START_NS + draw(st.integers(0, 2)) * 10**9 + number, line))
    return made


@settings(max_examples=examples(200), deadline=None)
@given(entries(), st.lists(st.sampled_from(PARTS), min_size=1, max_size=3), st.booleans())
@example([({"app": "api"}, {}, START_NS, b"a=0 b=x")], ["{{ div 6 .a }}"], True)
@example([({"app": "api"}, {}, START_NS, b"a=0 b=x")], ["{{ div 6 .a }}"], False)
def test_columns_are_rows(rows: list[Entry], parts: list[str], is_label: bool) -> None:
    template = "".join(dict.fromkeys(parts)).replace("\\", "\\\\").replace('"', '\\"')
    stage = f'label_format c="{template}"' if is_label else f'line_format "{template}"'
    stages = stages_of(f"| logfmt | {stage}")
    assert found(rows, stages, [3]) == expected(rows, stages)


LONG = b"a=12 b=" + b"x" * 3000
"""Five hundred times as long it is more than a template may make."""


@pytest.mark.parametrize("template", ["{{ repeat 500 __line__ }}", "{{ repeat 500 .b }}{{ .a }}"])
@pytest.mark.parametrize("is_label", [True, False])
def test_rows_that_are_too_long_fail_alone(template: str, *, is_label: bool) -> None:
    rows: list[Entry] = [
        ({"app": "api"}, {}, START_NS + n, line)
        for n, line in enumerate((b"a=1 b=y", LONG, b"", LONG, b"b=z"))
    ]
    stage = f'label_format c="{template}"' if is_label else f'line_format "{template}"'
    stages = stages_of(f"| logfmt | {stage}")
    made = found(rows, stages, [1, 2])
    assert made == expected(rows, stages)
    assert [bool(made[row][3]) for row in range(5)] == [False, True, False, True, False]


@pytest.mark.parametrize(
    "template", ["{{ repeat 500 __line__ }}", "{{ .app }} {{ __line__ | repeat 500 }}"]
)
def test_lengths_of_long_lines_need_no_memory(template: str) -> None:
    """100 MB of text in a budget of 1 MB: only lengths are asked for."""
    budget = Budget()
    budget.begin(Limits(max_query_memory=1 << 20))
    rows: list[Entry] = [({"app": "api"}, {}, START_NS + n, b"x" * 200) for n in range(1000)]
    pipeline = build_pipeline(stages_of(f'| line_format "{template}"'), Demand(frozenset()))
    with budget.account() as account:
        frame = pipeline.apply(frame_of(batch_of(rows), account))
        lengths = frame.lines.lengths()
    assert lengths.sum() >= 100_000_000
    assert budget.peak < 1 << 16


def test_the_length_of_a_line_is_a_number_and_no_text() -> None:
    rows: list[Entry] = [({"app": "api"}, {}, START_NS + n, b"x" * n) for n in range(100)]
    pipeline = build_pipeline(
        stages_of('| label_format n="{{ len __line__ }}"'), Demand(frozenset(("n",)))
    )
    numbers = pipeline.apply(frame_of(batch_of(rows))).label("n").numbers()
    assert numbers is not None
    assert numbers.tolist() == list(range(100))
