"""Are the agent's template functions Sprig's, and values missing as in Promtail?

The expected values were decided by Sprig under Go's text/template.
"""

import pytest

from narfi.core.text.template.errors import TemplateExecError
from narfi.core.text.template.parser import parse_template
from narfi.core.text.template.render import execute
from promtail_agent.stages.template_functions import AGENT_FUNCTIONS, ALL_FUNCTIONS

_PLACE = ' executing "pipeline_template" at '
CASES = [
    ('{{ camelcase "http_server" }}', "HttpServer"),
    (
        '{{ duration "95" }} {{ duration (add 90 5) }} {{ duration 95 }} {{ duration "x" }}',
        "1m35s 1m35s 0s 0s",
    ),
    ('{{ b64dec "YQ" }} {{ b64dec "YQ==" }}', "illegal base64 data at input byte 0 a"),
    ('{{ quote "a\\"b" 1 nil 1.5 }}', '"a\\"b" "1" "1.5"'),
    ('{{ squote "a" nil 2 }}', "'a' '2'"),
    ('{{ cat "a" nil 1 true }}', "a 1 true"),
    ('{{ coalesce "" 0 nil "x" }} {{ coalesce }}', "x <no value>"),
    ('{{ ternary "a" "b" true }} {{ ternary "a" "b" false }}', "a b"),
    ('{{ ternary "a" "b" "x" }}', '!<"x">: expected bool; found "x"'),
    (
        '{{ first (list) }}|{{ last (list 1 2) }}|{{ first "x" }}',
        '!<first "x">: error calling first: Cannot find first on type string',
    ),
    ('{{ has 1 (list 1 2) }} {{ has "1" (list 1 2) }} {{ has 1 nil }}', "true false false"),
    ('{{ join "-" (list 1 nil "a" 2.5) }} {{ join "-" "x" }}', "1-a-2.5 x"),
    ('{{ sortAlpha (list "b" 3 "a") }}', "[3 a b]"),
    ('{{ uniq (list 1 1 "1" 1.0) }}', "[1 1 1]"),
    ("{{ reverse (list 1 2 3) }}", "[3 2 1]"),
    ('{{ splitList "" "aé" }} {{ splitList "," "" | len }}', "[a é] 1"),
    (
        '{{ atoi "12" }} {{ atoi " 12" }} {{ atoi "99999999999999999999" }} {{ atoi "0x1" }}',
        "12 0 9223372036854775807 0",
    ),
    ('{{ abbrev 5 "hello" }} {{ abbrev 5 "hello!" }} {{ abbrev 3 "hello" }}', "hello he... hello"),
    ('{{ plural "one" "many" 1 }} {{ plural "one" "many" 0 }}', "one many"),
    ('{{ plural "one" "many" "1" }}', '!<"1">: expected integer; found "1"'),
    ('{{ regexMatch "(" "a" }} {{ regexMatch "b+" "abb" }}', "false true"),
    (
        '{{ regexFind "(" "a" }}',
        (
            '!<regexFind "(" "a">: error calling regexFind: regexp: Compile(`(`): error '
            "parsing regexp: missing closing ): `(`"
        ),
    ),
    ('{{ b32dec "NBUQ====" }} {{ b32dec "!!" }}', "hi illegal base32 data at input byte 0"),
    (
        (
            '{{ swapcase "aB c" }} {{ untitle "Hello World" }} {{ initials "First Try" }} {{ '
            'nospace " a b\\t" }}'
        ),
        "Ab C hello world FT ab",
    ),
    (
        (
            '{{ toString 1.5 }} {{ toString (list 1) }} {{ empty "" }} {{ empty (list) }} {{ '
            "empty 1 }}"
        ),
        "1.5 [1] true true false",
    ),
    ("{{ .nosuch }}|{{ .nosuch.a }}", "<no value>|<no value>"),
    ("{{ upper .nosuch }}", "!<.nosuch>: invalid value; expected string"),
    ("{{ .x.y }}", "!<.x.y>: can't evaluate field y in type interface {}"),
    ('{{ Hash "s" "v" | len }} {{ Sha2Hash "s" "v" | len }}', "64 64"),
    (
        '{{ add 9223372036854775807 1 }} {{ int "010" }} {{ trunc -2 "abc" }}',
        "-9223372036854775808 8 bc",
    ),
    (
        '{{ printf "%T" (splitList "," "a") }} {{ printf "%T" . }}',
        "[]string map[string]interface {}",
    ),
    ('{{ round 2.5 0 }} {{ date "2006" 0 }} {{ default "d" .nosuch }}', "3 1970 d"),
]


@pytest.mark.parametrize(("template", "expected"), CASES)
def test_functions(template: str, expected: str) -> None:
    parsed = parse_template(template, "pipeline_template", AGENT_FUNCTIONS)
    try:
        made = execute(
            parsed, {"x": "abc"}, "line", 0, missing_is_empty=False, functions=ALL_FUNCTIONS
        )
    except TemplateExecError as error:
        made = "!" + str(error).split(_PLACE, 1)[1]
    assert made == expected
