"""Is what a template costs bounded? What asks for more fails for its entry, in little time."""

import time

import pytest

from narfi.core.text.template.bounds import MAX_TEXT
from narfi.core.text.template.parser import MAX_NESTING
from narfi.core.text.template.render import MAX_DEPTH
from tests.core.text.template.outcomes import outcome

TOO_MUCH = f"output of more than {MAX_TEXT} characters is not allowed"
GROWING = '{{ $x := "aaaaaaaaaa" }}{{ range 100 }}{{ $x = %s }}{{ end }}'


@pytest.mark.parametrize(
    "template",
    [
        '{{ repeat 1000000000 "a" }}',
        f'{{{{ repeat {MAX_TEXT + 1} "a" }}}}',
        '{{ repeat 9223372036854775807 "ab" }}',
        '{{ indent 1000000000 "a" }}',
        '{{ nindent 9223372036854775807 "a" }}',
        '{{ indent 2000 "%s" }}' % (1000 * r"\n"),
        "{{ alignLeft 1000000000 .x }}",
        "{{ alignRight 9223372036854775807 .x }}",
        '{{ printf "%9999999d" 1 }}',
        '{{ printf "%.9999999f" 1.5 }}',
        '{{ printf "%*d%*d" 1000000 1 1000000 1 }}',
        '{{ fromJson (print "[" (repeat 20000 "1,") "1]") | printf "%100d" }}',
        '{{ replace "" (repeat 100000 "b") (repeat 100000 "a") }}',
        '{{ Replace (repeat 100000 "a") "a" (repeat 100000 "b") -1 }}',
        '{{ regexReplaceAll "" (repeat 100000 "a") (repeat 100000 "b") }}',
        '{{ regexReplaceAll "(a+)" (repeat 100000 "a") (repeat 100 "$1") }}',
        '{{ js (repeat 900000 "<") }}',
        '{{ html (repeat 900000 "<") }}',
        '{{ repeat 900000 "<" | urlencode }}',
        GROWING % "print $x $x",
        GROWING % 'replace "a" "aa" $x',
        GROWING % 'printf "%s%s" $x $x',
    ],
)
def test_texts_end(template: str) -> None:
    assert outcome(template).endswith(TOO_MUCH)


def test_the_largest_texts_are_made() -> None:
    assert outcome(f'{{{{ repeat {MAX_TEXT} "a" | len }}}}') == str(MAX_TEXT)
    assert outcome('{{ printf "%*d" 1000000 1 | len }}') == "1000000"
    assert outcome("{{ alignLeft 1000000 .x | len }}") == "1000000"


def test_the_output_ends() -> None:
    made = outcome('{{ range 100 }}{{ repeat 1000000 "a" }}{{ end }}')
    assert made.endswith("output of more than 4194304 characters is not allowed")


@pytest.mark.parametrize(
    "template",
    [
        "{{ range 9223372036854775807 }}{{ end }}",
        "{{ range 100000 }}{{ range 100000 }}{{ end }}{{ end }}",
        '{{ $x := repeat 1000000 "a" }}{{ range 900000 }}{{ $y := upper $x }}{{ end }}',
    ],
)
def test_work_ends(template: str) -> None:
    began = time.process_time()
    assert outcome(template).endswith("template takes too long")
    assert time.process_time() - began < 60  # for ever, without a bound


def test_templates_in_templates_end() -> None:
    made = outcome('{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}')
    assert made.endswith(f"exceeded maximum template depth ({MAX_DEPTH})")
    assert outcome('{{ template "line" }}').endswith(f"template depth ({MAX_DEPTH})")


def test_nesting_ends() -> None:
    fits, beyond = MAX_NESTING, MAX_NESTING + 1
    assert outcome("{{ " + "(" * fits + "1" + ")" * fits + " }}") == "1"
    refused = outcome("{{ " + "(" * beyond + "1" + ")" * beyond + " }}")
    assert refused == "!template: line:1: max expression depth exceeded"
    assert outcome("{{ if 1 }}" * fits + "a" + "{{ end }}" * fits) == "a"
    refused = outcome("{{ if 1 }}" * beyond + "{{ end }}" * beyond)
    assert refused == "!template: line:1: template is nested too deeply"


def test_deep_json_is_an_error() -> None:
    made = outcome('{{ fromJson "%s" }}' % ("[" * 50_000 + "]" * 50_000))
    assert made.endswith("error calling fromJson: JSON is nested too deeply")
    made = outcome('{{ fromJson "%s" | print }}' % ("[" * 400 + "]" * 400))
    assert made.endswith("nested too deeply")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('{{ int "%s" }}', "0"),
        ('{{ float64 "%s" }}', "0"),
        ("{{ fromJson `%s` }}", "<no value>"),  # as Go: beyond a float
        ("{{ fromJson `1e%s` }}", "<no value>"),
    ],
)
def test_endless_digits_are_no_number(template: str, expected: str) -> None:
    assert outcome(template % ("9" * 50_000)) == expected


@pytest.mark.parametrize(
    "template", ['{{ duration "%sh" }}', '{{ bytes "%s" }}', '{{ unixToTime "%s" }}', "{{ %s }}"]
)
def test_endless_digits_are_refused(template: str) -> None:
    assert outcome(template % ("9" * 50_000)).startswith("!")


def test_long_chains_of_decimals_are_refused() -> None:
    factors = " 1.2345678901234567" * 3000
    made = outcome("{{ mulf" + factors + " }}")
    assert made.endswith("decimal has too many digits")
