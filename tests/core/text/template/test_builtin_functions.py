"""Do the functions of every Go template behave as there, with any kinds of values?"""

import pytest

from tests.core.text.template.outcomes import outcome

COMPARING = [
    ("{{ eq 1 1 }}", "true"),
    ("{{ eq 1 2 3 1 }}", "true"),
    (
        "{{ eq 1 1.0 }}",
        "!<eq 1 1.0>: error calling eq: incompatible types for comparison: int and float64",
    ),
    (
        '{{ eq 1 "a" }}',
        '!<eq 1 "a">: error calling eq: incompatible types for comparison: int and string',
    ),
    ('{{ eq 1 1 "a" }}', "true"),
    ('{{ eq "a" "a" }}', "true"),
    (
        "{{ eq .n 5 }}",
        "!<eq .n 5>: error calling eq: incompatible types for comparison: string and int",
    ),
    ("{{ eq (int 1) (add 1) }}", "true"),
    ("{{ eq (index .x 0) 97 }}", "true"),
    ("{{ eq (index .x 0) (len .x) }}", "false"),
    ("{{ eq true true }}", "true"),
    ("{{ eq 2i 2i }}", "true"),
    ("{{ eq nil nil }}", "true"),
    ("{{ eq nil 1 }}", "false"),
    ('{{ eq (fromJson "null") nil }}', "true"),
    ("{{ eq (fromJson .j).zz nil }}", "true"),
    (
        "{{ eq . . }}",
        (
            "!<eq . .>: error calling eq: non-comparable type map[a:[1,2,3] bad:a\udcffb e: "
            'f:3.7 j:{"a":{"b":[1,2.5,"x",null,true]},"k":"v","n":null} n:5 u:\xe5sa \xd6berg '
            "x:abc]: map[string]string"
        ),
    ),
    (
        "{{ eq (fromJson .a) 1 }}",
        (
            "!<eq (fromJson .a) 1>: error calling eq: incompatible types for comparison: "
            "[]interface {} and int"
        ),
    ),
    (
        "{{ eq (fromJson .a) (fromJson .a) }}",
        (
            "!<eq (fromJson .a) (fromJson .a)>: error calling eq: non-comparable type "
            "[%!s(float64=1) %!s(float64=2) %!s(float64=3)]: []interface {}"
        ),
    ),
    (
        "{{ eq (fromJson .a) . }}",
        (
            "!<eq (fromJson .a) .>: error calling eq: non-comparable types [%!s(float64=1) "
            "%!s(float64=2) %!s(float64=3)]: []interface {}, map[string]string: map[a:[1,2,3] "
            'bad:a\udcffb e: f:3.7 j:{"a":{"b":[1,2.5,"x",null,true]},"k":"v","n":null} n:5 '
            "u:\xe5sa \xd6berg x:abc]"
        ),
    ),
    ("{{ eq 1 }}", "!<eq 1>: error calling eq: missing argument for comparison"),
    ("{{ eq }}", "!<eq>: wrong number of args for eq: want at least 1 got 0"),
    ("{{ ne 1 2 }}", "true"),
    (
        '{{ ne "a" 1 }}',
        '!<ne "a" 1>: error calling ne: incompatible types for comparison: string and int',
    ),
    ("{{ ne 1 2 3 }}", "!<ne>: wrong number of args for ne: want 2 got 3"),
    ("{{ lt 1 2 }}", "true"),
    ('{{ lt "a" "b" }}', "true"),
    ('{{ lt "B" "a" }}', "true"),
    (
        "{{ lt 1 1.5 }}",
        "!<lt 1 1.5>: error calling lt: incompatible types for comparison: int and float64",
    ),
    (
        '{{ lt 1 "a" }}',
        '!<lt 1 "a">: error calling lt: incompatible types for comparison: int and string',
    ),
    ("{{ lt true false }}", "!<lt true false>: error calling lt: invalid type for comparison"),
    ("{{ lt nil 1 }}", "!<lt nil 1>: error calling lt: invalid type for comparison"),
    ("{{ lt . . }}", "!<lt . .>: error calling lt: invalid type for comparison"),
    ("{{ lt 1 2 3 }}", "!<lt>: wrong number of args for lt: want 2 got 3"),
    ("{{ lt -1 (index .x 0) }}", "true"),
    ("{{ lt (index .x 0) -1 }}", "false"),
    ('{{ lt (float64 "nan") 1.0 }}', "false"),
    (
        "{{ le 1 1 }} {{ le 2 1 }} {{ gt 2 1 }} {{ gt 1 1 }} {{ ge 1 1 }} {{ ge 0 1 }}",
        "true false true false true false",
    ),
    ('{{ le (float64 "nan") 1.0 }} {{ gt (float64 "nan") 1.0 }}', "false true"),
]


@pytest.mark.parametrize(("template", "expected"), COMPARING)
def test_comparing(template: str, expected: str) -> None:
    assert outcome(template) == expected


LOGIC = [
    ("{{ and 1 0 2 }}", "0"),
    ('{{ and 1 "" }}|', "|"),
    ("{{ and 1 2 }}", "2"),
    ("{{ and nil }}", "<no value>"),
    ("{{ and }}", "!<and>: wrong number of args for and: want at least 1 got 0"),
    ('{{ or 0 "" "x" }}', "x"),
    ('{{ or 0 "" }}|', "|"),
    ("{{ or nil nil }}", "<no value>"),
    ("{{ or }}", "!<or>: wrong number of args for or: want at least 1 got 0"),
    ("{{ and 0 (div 1 0) }}", "0"),
    ("{{ or 1 (div 1 0) }}", "1"),
    (
        "{{ and 1 (div 1 0) }}",
        "!<div 1 0>: error calling div: runtime error: integer divide by zero",
    ),
    ("{{ 5 | and 1 }}", "5"),
    ("{{ 5 | and 0 }}", "0"),
    ("{{ 0 | or 0 }}", "0"),
    (
        (
            '{{ not 0 }} {{ not "" }} {{ not "0" }} {{ not nil }} {{ not 0.0 }} {{ not 0i }} '
            "{{ not false }}"
        ),
        "true true false true true true true",
    ),
    (
        (
            '{{ not . }} {{ not (fromJson "[]") }} {{ not (fromJson "{}") }} {{ not (fromJson '
            '"[0]") }}'
        ),
        "false true true false",
    ),
    ("{{ not }}", "!<not>: wrong number of args for not: want 1 got 0"),
    ("{{ not 1 2 }}", "!<not>: wrong number of args for not: want 1 got 2"),
]


@pytest.mark.parametrize(("template", "expected"), LOGIC)
def test_logic(template: str, expected: str) -> None:
    assert outcome(template) == expected


LENGTHS_AND_INDEXES = [
    ('{{ len "é" }} {{ len (fromJson .a) }} {{ len (fromJson .j) }}', "2 3 3"),
    ("{{ len 5 }}", "!<len 5>: error calling len: len of type int"),
    (
        "{{ len nil }}",
        "!<len nil>: error calling len: reflect: call of reflect.Value.Type on zero Value",
    ),
    (
        "{{ len (fromJson .j).zz }}",
        "!<len (fromJson .j).zz>: error calling len: len of nil pointer",
    ),
    ("{{ len true }}", "!<len true>: error calling len: len of type bool"),
    ("{{ len __timestamp__ }}", "!<len __timestamp__>: error calling len: len of type time.Time"),
    ("{{ index .x 0 }}", "97"),
    ("{{ index .x 2 }}", "99"),
    ("{{ index .x 3 }}", "!<index .x 3>: error calling index: reflect: string index out of range"),
    ("{{ index .x 4 }}", "!<index .x 4>: error calling index: index out of range: 4"),
    ("{{ index .x -1 }}", "!<index .x -1>: error calling index: index out of range: -1"),
    (
        '{{ index .x "0" }}',
        '!<index .x "0">: error calling index: cannot index slice/array with type string',
    ),
    (
        "{{ index .x 1.0 }}",
        "!<index .x 1.0>: error calling index: cannot index slice/array with type float64",
    ),
    (
        "{{ index .x nil }}",
        "!<index .x nil>: error calling index: cannot index slice/array with nil",
    ),
    ("{{ index .x }}", "abc"),
    ("{{ index }}", "!<index>: wrong number of args for index: want at least 1 got 0"),
    ('{{ index . "x" }}', "abc"),
    ('{{ index . "zz" }}|', "|"),
    ("{{ index . 1 }}", "!<index . 1>: error calling index: value has type int; should be string"),
    (
        "{{ index . nil }}",
        "!<index . nil>: error calling index: value is nil; should be of type string",
    ),
    ("{{ index nil 1 }}", "!<index nil 1>: error calling index: index of untyped nil"),
    ("{{ index 5 1 }}", "!<index 5 1>: error calling index: can't index item of type int"),
    ("{{ index (fromJson .a) 1 }}", "2"),
    (
        "{{ index (fromJson .a) 3 }}",
        "!<index (fromJson .a) 3>: error calling index: reflect: slice index out of range",
    ),
    (
        "{{ index (fromJson .a) 4 }}",
        "!<index (fromJson .a) 4>: error calling index: index out of range: 4",
    ),
    ('{{ index (fromJson .j) "a" "b" 2 }}', "x"),
    ('{{ index (fromJson .j) "zz" }}', "<no value>"),
    (
        '{{ index (fromJson .j) "zz" "b" }}',
        '!<index (fromJson .j) "zz" "b">: error calling index: index of nil pointer',
    ),
    ('{{ index (fromJson .j) "k" 0 }}', "118"),
    ("{{ .x | index . }}", ""),
]


@pytest.mark.parametrize(("template", "expected"), LENGTHS_AND_INDEXES)
def test_lengths_and_indexes(template: str, expected: str) -> None:
    assert outcome(template) == expected


SLICES = [
    ("{{ slice .x 1 }}", "bc"),
    ("{{ slice .x 1 2 }}", "b"),
    ("{{ slice .x }}", "abc"),
    ("{{ slice .x 3 }}|", "|"),
    ("{{ slice .x 4 }}", "!<slice .x 4>: error calling slice: index out of range: 4"),
    ("{{ slice .x 2 1 }}", "!<slice .x 2 1>: error calling slice: invalid slice index: 2 > 1"),
    ("{{ slice .x -1 }}", "!<slice .x -1>: error calling slice: index out of range: -1"),
    (
        '{{ slice .x "1" }}',
        '!<slice .x "1">: error calling slice: cannot index slice/array with type string',
    ),
    (
        "{{ slice .x 0 1 2 }}",
        "!<slice .x 0 1 2>: error calling slice: cannot 3-index slice a string",
    ),
    (
        "{{ slice .x 0 1 2 3 }}",
        "!<slice .x 0 1 2 3>: error calling slice: too many slice indexes: 4",
    ),
    ('{{ slice .u 0 1 | printf "%+q" }}', '"\\xc3"'),
    ("{{ slice (fromJson .a) 1 2 }}", "[2]"),
    ("{{ slice (fromJson .a) 1 2 3 }}", "[2]"),
    (
        "{{ slice (fromJson .a) 1 2 1 }}",
        "!<slice (fromJson .a) 1 2 1>: error calling slice: invalid slice index: 2 > 1",
    ),
    (
        "{{ slice (fromJson .a) 9 }}",
        "!<slice (fromJson .a) 9>: error calling slice: index out of range: 9",
    ),
    (
        "{{ slice . 1 }}",
        "!<slice . 1>: error calling slice: can't slice item of type map[string]string",
    ),
    ("{{ slice nil }}", "!<slice nil>: error calling slice: slice of untyped nil"),
    ("{{ slice 5 1 }}", "!<slice 5 1>: error calling slice: can't slice item of type int"),
    (
        '{{ slice .x (fromJson "1") }}',
        (
            '!<slice .x (fromJson "1")>: error calling slice: cannot index slice/array with '
            "type float64"
        ),
    ),
]


@pytest.mark.parametrize(("template", "expected"), SLICES)
def test_slices(template: str, expected: str) -> None:
    assert outcome(template) == expected


PRINTING = [
    ("{{ print }}|", "|"),
    ('{{ print 1 2 "a" "b" 3 4 }}', "1 2ab3 4"),
    ('{{ print nil nil "a" nil }}', "<nil> <nil>a<nil>"),
    ('{{ print 1.0 true "x" . | len }}', "115"),
    ("{{ println }}|", "\n|"),
    ('{{ println 1 "a" nil }}|', "1 a <nil>\n|"),
    ("{{ print (fromJson .j) }}", "map[a:map[b:[1 2.5 x <nil> true]] k:v n:<nil>]"),
    ("{{ . | len }}", "8"),
    ('{{ html "<a href=\'x\'>&\\"\\x00" }}', "&lt;a href=&#39;x&#39;&gt;&amp;&#34;�"),
    ('{{ html 1 2 "a" nil }}', "1 2a&lt;no value&gt;"),
    ("{{ html }}|", "|"),
    (
        '{{ js "a\'b\\"c\\\\<>&=\\n\\x00\\x1f\\x7f" }}',
        "a\\'b\\\"c\\\\\\u003C\\u003E\\u0026\\u003D\\u000A\\u0000\\u001F\x7f",
    ),
    (
        '{{ js "\\u202e\\u2028\\ufeffé\\u00a0😀\\U000e0001" }}',
        "\\u202E\\u2028\\uFEFFé\\u00A0😀\\uE0001",
    ),
    ('{{ js .bad | printf "%+q" }}', '"a\\xffb"'),
    ('{{ js 1 2 "x" nil }}', "1 2x\\u003Cno value\\u003E"),
    ('{{ urlquery "a b&c/é~" }}', "a+b%26c%2F%C3%A9~"),
    ('{{ urlquery 1 2 nil "x" }}', "1+2%3Cno+value%3Ex"),
]


@pytest.mark.parametrize(("template", "expected"), PRINTING)
def test_printing(template: str, expected: str) -> None:
    assert outcome(template) == expected


CALLS = [
    ("{{ call .x }}", "!<call .x>: error calling call: non-function .x of type string"),
    ("{{ call nil }}", "!<call nil>: error calling call: call of nil"),
    ("{{ call 5 1 }}", "!<call 5 1>: error calling call: non-function 5 of type int"),
    ("{{ .x | call }}", "!<call>: error calling call: non-function abc of type string"),
    ("{{ 5 | call }}", "!<call>: error calling call: non-function <int Value> of type int"),
    ("{{ call }}", "!<call>: wrong number of args for call: want at least 1 got 0"),
    ("{{ call . }}", "!<call .>: error calling call: non-function . of type map[string]string"),
]


@pytest.mark.parametrize(("template", "expected"), CALLS)
def test_calls(template: str, expected: str) -> None:
    assert outcome(template) == expected
