"""What does the language itself do: blanks, branches, loops, variables, templates, fields?"""

import pytest

from tests.core.text.template.outcomes import outcome

BLANKS = [
    ("a {{- .x -}} b", "aabcb"),
    ("a {{- /* c */ -}} b", "ab"),
    ("a{{/* c */}}b", "ab"),
    ("{{.x -}}  \\n {{- .n}}", "abc\\n5"),
    ("{{-1}}", "-1"),
    ("{{- 1 -}} x", "1x"),
    ('{{"{{"}}{{`}}`}}', "{{}}"),
    ("}}", "}}"),
    ("{{.x}}}}", "abc}}"),
    ("{ {.x}}", "{ {.x}}"),
]


@pytest.mark.parametrize(("template", "expected"), BLANKS)
def test_blanks(template: str, expected: str) -> None:
    assert outcome(template) == expected


BRANCHES = [
    ("{{ if .x }}a{{ end }}{{ if .e }}b{{ end }}{{ if .nosuch }}c{{ end }}", "a"),
    ('{{ if 0 }}a{{ else if "" }}b{{ else if 1 }}c{{ else }}d{{ end }}', "c"),
    ("{{ with .e }}a{{ else with .x }}b{{ . }}{{ else }}c{{ end }}", "babc"),
    ("{{ with .e }}a{{ else }}{{ .x }}{{ end }}", "abc"),
    ("{{ with $y := .x }}{{ $y }}{{ . }}{{ end }}", "abcabc"),
    ("{{ with . }}{{ .x }}{{ end }}", "abc"),
    ("{{ if nil }}{{ end }}", "!<nil>: nil is not a command"),
    ("{{ if not nil }}a{{ end }}", "a"),
    ("{{ if __timestamp__ }}a{{ end }}", "a"),
    ('{{ if fromJson "{}" }}a{{ else }}b{{ end }}', "b"),
    (
        "{{ if div 1 0 }}{{ end }}",
        "!<div 1 0>: error calling div: runtime error: integer divide by zero",
    ),
    ("{{ with fromJson .j }}{{ .k }}{{ $.x }}{{ end }}", "vabc"),
]


@pytest.mark.parametrize(("template", "expected"), BRANCHES)
def test_branches(template: str, expected: str) -> None:
    assert outcome(template) == expected


LOOPS = [
    ("{{ range fromJson .a }}{{ . }},{{ end }}", "1,2,3,"),
    ('{{ range fromJson "[]" }}a{{ else }}none{{ end }}', "none"),
    ("{{ range $i, $v := fromJson .a }}{{ $i }}={{ $v }};{{ end }}", "0=1;1=2;2=3;"),
    ("{{ range $v := fromJson .a }}{{ $v }}{{ end }}", "123"),
    (
        "{{ range $k, $v := fromJson .j }}{{ $k }}={{ $v }};{{ end }}",
        "a=map[b:[1 2.5 x <nil> true]];k=v;n=<no value>;",
    ),
    ("{{ range fromJson .j }}{{ . }};{{ end }}", "map[b:[1 2.5 x <nil> true]];v;<no value>;"),
    ("{{ range $k, $v := . }}{{ $k }},{{ end }}", "a,bad,e,f,j,n,u,x,"),
    ("{{ range 3 }}{{ . }}{{ end }}", "012"),
    ("{{ range $i := 3 }}{{ $i }}{{ end }}", "012"),
    (
        "{{ range $i, $v := 3 }}{{ end }}",
        "!<3>: can't use 3 to iterate over more than one variable",
    ),
    ("{{ range -1 }}a{{ else }}b{{ end }}", "b"),
    (
        "{{ range __timestamp__.Month }}{{ . }},{{ end }}",
        "%!Month(0),January,February,March,April,May,June,July,August,September,",
    ),
    ("{{ range nil }}{{ end }}", "!<nil>: nil is not a command"),
    ("{{ range .x }}{{ end }}", "!<.x>: range can't iterate over abc"),
    ("{{ range 1.5 }}{{ end }}", "!<1.5>: range can't iterate over 1.5"),
    ("{{ range true }}{{ end }}", "!<true>: range can't iterate over true"),
    ('{{ range fromJson "null" }}a{{ else }}b{{ end }}', "b"),
    ("{{ range fromJson .a }}{{ if eq . 2.0 }}{{ break }}{{ end }}{{ . }}{{ end }}", "1"),
    ("{{ range fromJson .a }}{{ if eq . 2.0 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "13"),
    (
        "{{ range fromJson .a }}{{ range fromJson .a }}{{ break }}{{ end }}{{ . }}{{ end }}",
        "!<.a>: can't evaluate field a in type interface {}",
    ),
    ('{{ range $i, $v := fromJson "[]" }}{{ else }}[{{ $i }}{{ $v }}]{{ end }}', "[[][]]"),
    ("{{ $v := 0 }}{{ range $v = fromJson .a }}{{ end }}{{ $v }}", "3"),
    ("{{ $i := 0 }}{{ $v := 0 }}{{ range $i, $v = fromJson .a }}{{ end }}{{ $i }}{{ $v }}", "23"),
    ("{{ $x := 5 }}{{ range 3 }}{{ $x = add $x 1 }}{{ end }}{{ $x }}", "8"),
    (
        "{{ range fromJson .a }}{{ .y }}{{ end }}",
        "!<.y>: can't evaluate field y in type interface {}",
    ),
]


@pytest.mark.parametrize(("template", "expected"), LOOPS)
def test_loops(template: str, expected: str) -> None:
    assert outcome(template) == expected


VARIABLES = [
    ('{{ $x := 1 }}{{ $x }}{{ $x = "a" }}{{ $x }}', "1a"),
    ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}", "32"),
    ("{{ $x = 1 }}", "!<1>: undefined variable: $x"),
    ("{{ $.x }}{{ $ | len }}", "abc8"),
    ("{{ $x := .x }}{{ $x.y }}", "!<$x.y>: can't evaluate field y in type string"),
    ("{{ $x := 1 }}{{ $x 2 }}", "!<$x>: can't give argument to non-function $x"),
    ("{{ $x := 1 }}{{ 2 | $x }}", "!<$x>: can't give argument to non-function $x"),
    ("{{ ($y := .x) }}{{ $y }}", "abcabc"),
    ("{{ $é := 1 }}{{ $é }}", "1"),
]


@pytest.mark.parametrize(("template", "expected"), VARIABLES)
def test_variables(template: str, expected: str) -> None:
    assert outcome(template) == expected


TEMPLATES = [
    (
        (
            '{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" .x }}{{ template "t" }}{{ '
            'template "t" 5 }}'
        ),
        "[abc][<no value>][5]",
    ),
    ('{{ block "b" .x }}<{{ . }}>{{ end }}{{ template "b" .n }}', "<abc><5>"),
    ('{{ template "zz" }}', '!<{{template "zz"}}>: template "zz" not defined'),
    ('{{ template "zz" .x }}', '!<{{template "zz" .x}}>: template "zz" not defined'),
    ('{{ define "t" }}{{ $.x }}{{ .x }}{{ end }}{{ template "t" . }}', "abcabc"),
    ('{{ define "t" }}{{ .y }}{{ end }}{{ template "t" }}', "<no value>"),
    ('{{ define "t" }} {{ end }}{{ define "t" }}b{{ end }}{{ template "t" }}', "b"),
    ('{{ define "line" }}x{{ end }}', "x"),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_templates(template: str, expected: str) -> None:
    assert outcome(template) == expected


FIELDS = [
    ("{{ .nosuch }}|", "|"),
    ("{{ .x.y }}", "!<.x.y>: can't evaluate field y in type string"),
    ("{{ .nosuch.y }}", "!<.nosuch.y>: can't evaluate field y in type string"),
    ("{{ .x 1 }}", "!<.x>: x is not a method but has arguments"),
    ("{{ 1 | .x }}", "!<.x>: x is not a method but has arguments"),
    ('{{ . | printf "%T" }}', "map[string]string"),
    ("{{ . 1 }}", "!<.>: can't give argument to non-function ."),
    ("{{ (.x).y }}", "!<.x>: can't evaluate field y in type string"),
    ('{{ (index . "x").y }}', '!<"x">: can\'t evaluate field y in type string'),
    ("{{ (len .x).y }}", "!<.x>: can't evaluate field y in type int"),
    ("{{ __line__ }}|{{ __line__ | upper }}", "the line|THE LINE"),
    ("{{ __line__ 1 }}", "!<__line__>: wrong number of args for __line__: want 0 got 1"),
    ("{{ __line__.x }}", "!<__line__>: can't evaluate field x in type string"),
]


@pytest.mark.parametrize(("template", "expected"), FIELDS)
def test_fields(template: str, expected: str) -> None:
    assert outcome(template) == expected


CONSTANTS = [
    ("{{ 010 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 0X_1f }}", "8 31 5 15 1000 31"),
    (
        ("{{ 'a' }} {{ '\\n' }} {{ '\\x41' }} {{ '\\u00e9' }} {{ '\\377' }} {{ 'é' }} {{ '\\'' }}"),
        "97 10 65 233 255 233 39",
    ),
    (
        (
            "{{ 1e3 }} {{ 1.5e-7 }} {{ .5 }} {{ 5. }} {{ 0x1p4 }} {{ 0x1.8p1 }} {{ -0x1e }} {{ "
            "0x1e }}"
        ),
        "1000 1.5e-07 0.5 5 16 3 -30 30",
    ),
    (
        "{{ 1i }} {{ 1+2i }} {{ 0i }} {{ 1.5-2.5i }} {{ -1i }}",
        "(0+1i) (1+2i) (0+0i) (1.5-2.5i) (0-1i)",
    ),
    ("{{ -1 }} {{ +1 }} {{ -0 }} {{ -0.0 }}", "-1 1 0 -0"),
    (
        "{{ 9223372036854775807 }} {{ -9223372036854775808 }}",
        "9223372036854775807 -9223372036854775808",
    ),
    ("{{ 9223372036854775808 }}", "!<9223372036854775808>: 9223372036854775808 overflows int"),
    ('{{ "\\u00e9\\x41\\101\\U0001F600\\t\\"" }}', '\xe9AA\U0001f600\t"'),
    ('{{ `raw\\n"` }}', 'raw\\n"'),
    ('{{ "\\xff" | len }}', "1"),
    ("{{ true }} {{ false }}", "true false"),
    ("{{ nil }}", "!<nil>: nil is not a command"),
    ("{{ print nil }}", "<nil>"),
    ("{{ 1 2 }}", "!<1>: can't give argument to non-function 1"),
    ('{{ "a" 2 }}', '!<"a">: can\'t give argument to non-function "a"'),
]


@pytest.mark.parametrize(("template", "expected"), CONSTANTS)
def test_constants(template: str, expected: str) -> None:
    assert outcome(template) == expected
