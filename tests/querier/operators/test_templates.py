"""Is a template over columns what it is row by row, whatever of an entry it reads?"""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.querier.operators.test_pipeline import expected, found, stages_of
from tests.reference.budget import examples
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
