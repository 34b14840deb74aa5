"""Do JSON, defaults and dates become what they are in Go?"""

import pytest

from tests.core.text.template.outcomes import outcome

JSON = [
    ('{{ fromJson "5" }}', "5"),
    ('{{ fromJson "12345678" }}', "1.2345678e+07"),
    ('{{ fromJson "-0" }}', "-0"),
    ('{{ fromJson "1e999" }}', "<no value>"),
    ('{{ fromJson "[1,1e999]" }}', "[1 <nil>]"),
    ('{{ fromJson "true" }}', "true"),
    ('{{ fromJson "null" }}', "<no value>"),
    ('{{ fromJson "" }}', "<no value>"),
    ('{{ fromJson "{" }}', "<no value>"),
    ('{{ fromJson "[1,]" }}', "<no value>"),
    ('{{ fromJson "NaN" }}', "<no value>"),
    ('{{ fromJson "01" }}', "<no value>"),
    ('{{ fromJson "1 2" }}', "<no value>"),
    ('{{ fromJson " [ ] " }}', "[]"),
    ('{{ fromJson "{\\"b\\":1,\\"a\\":null,\\"b\\":2}" }}', "map[a:<nil> b:2]"),
    ('{{ fromJson "\\"\\\\ud83d\\\\ude00\\"" }}', "😀"),
    ('{{ fromJson "\\"\\\\ud800x\\"" | printf "%+q" }}', '"\\ufffdx"'),
    ('{{ fromJson "\\"\\xff\\"" | printf "%+q" }}', '"\\ufffd"'),
    ('{{ fromJson "\\"a\\nb\\"" }}', "<no value>"),
    ("{{ fromJson .j }}", "map[a:map[b:[1 2.5 x <nil> true]] k:v n:<nil>]"),
    ("{{ (fromJson .j).a.b }}", "[1 2.5 x <nil> true]"),
    ("{{ (fromJson .j).n }}", "<no value>"),
    ("{{ (fromJson .j).zz }}", "<no value>"),
    ("{{ (fromJson .j).zz.y }}", "!<.j>: nil pointer evaluating interface {}.y"),
    ("{{ (fromJson .j).k.y }}", "!<.j>: can't evaluate field y in type interface {}"),
    (
        "{{ $j := fromJson .j }}{{ $j.k.y }}",
        "!<$j.k.y>: can't evaluate field y in type interface {}",
    ),
    ("{{ (fromJson .a).k }}", "!<.a>: can't evaluate field k in type []interface {}"),
    (
        (
            '{{ printf "%T %T %T %T" (fromJson "1") (fromJson "[]") (fromJson "{}") (fromJson '
            '"null") }}'
        ),
        "float64 []interface {} map[string]interface {} <nil>",
    ),
    ("{{ fromJson 5 }}", "!<5>: expected string; found 5"),
]


@pytest.mark.parametrize(("template", "expected"), JSON)
def test_json(template: str, expected: str) -> None:
    assert outcome(template) == expected


DEFAULT = [
    ('{{ default "d" .e }}', "d"),
    ('{{ default "d" .nosuch }}', "d"),
    ('{{ default "d" nil }}', "d"),
    ('{{ default "d" 0 }}', "d"),
    ('{{ default "d" 0.0 }}', "d"),
    ('{{ default "d" 0i }}', "d"),
    ('{{ default "d" false }}', "d"),
    ('{{ default "d" (fromJson "[]") }}', "d"),
    ('{{ default "d" (fromJson "{}") }}', "d"),
    ('{{ default "d" (fromJson "[0]") }}', "[0]"),
    ('{{ default "d" (toDate "x" "") }}', "0001-01-01 00:00:00 +0000 UTC"),
    ('{{ default "d" " " }}', " "),
    ('{{ default "d" }}', "d"),
    ('{{ default "d" "a" "b" }}', "a"),
    ("{{ default }}", "!<default>: wrong number of args for default: want at least 1 got 0"),
    ('{{ .e | default 5 | printf "%T" }}', "int"),
]


@pytest.mark.parametrize(("template", "expected"), DEFAULT)
def test_default(template: str, expected: str) -> None:
    assert outcome(template) == expected


DATES = [
    ('{{ date "2006-01-02 15:04:05.000" __timestamp__ }}', "2025-10-09 08:06:18.000"),
    ('{{ date "2006-01-02 MST" 0 }}', "1970-01-01 UTC"),
    ('{{ date "2006" (add 1 1) }}', "1970"),
    ('{{ date "15:04" (toDateInZone "15:04" "Europe/Paris" "12:00") }}', "11:50"),
    ('{{ date "x" "y" }}', "x"),
    ("{{ date 5 __timestamp__ }}", "!<5>: expected string; found 5"),
    ('{{ toDate "2006-01-02" "2024-02-29" }}', "2024-02-29 00:00:00 +0000 UTC"),
    ('{{ toDate "2006-01-02" "2023-02-29" }}', "0001-01-01 00:00:00 +0000 UTC"),
    ('{{ toDate "2006-01-02" "bad" }}', "0001-01-01 00:00:00 +0000 UTC"),
    ('{{ toDate "" "" }}', "0000-01-01 00:00:00 +0000 UTC"),
    (
        '{{ toDateInZone "2006-01-02 15:04" "Europe/Paris" "2024-07-14 12:00" }}',
        "2024-07-14 12:00:00 +0200 CEST",
    ),
    (
        '{{ toDateInZone "2006-01-02 15:04" "Not/AZone" "2024-07-14 12:00" }}',
        "2024-07-14 12:00:00 +0000 UTC",
    ),
    (
        '{{ toDateInZone "2006-01-02 15:04" "" "2024-07-14 12:00" }}',
        "2024-07-14 12:00:00 +0000 UTC",
    ),
    ('{{ toDateInZone "2006-01-02" "../etc" "2024-07-14" }}', "2024-07-14 00:00:00 +0000 UTC"),
    ("{{ unixEpoch __timestamp__ }}", "1759997178"),
    ("{{ unixEpochMillis __timestamp__ }}", "1759997178000"),
    ("{{ unixEpochNanos __timestamp__ }}", "1759997178000000777"),
    ('{{ unixEpochNanos (toDate "x" "y") }}', "-6795364578871345152"),
    ("{{ unixEpoch 5 }}", "!<5>: can't handle 5 for arg of type time.Time"),
    ('{{ unixEpoch "5" }}', '!<"5">: can\'t handle "5" for arg of type time.Time'),
    ("{{ unixEpoch nil }}", "!<nil>: cannot assign nil to time.Time"),
    ("{{ __timestamp__.UTC.Add 1000000000 | unixEpoch }}", "1759997179"),
    ('{{ unixToTime "19373" }}', "2023-01-16 00:00:00 +0000 UTC"),
    ('{{ unixToTime "-1234" }}', "1966-08-16 00:00:00 +0000 UTC"),
    ('{{ unixToTime "1759998600" }}', "2025-10-09 08:30:00 +0000 UTC"),
    ('{{ unixToTime "+123456789" }}', "1973-11-29 21:33:09 +0000 UTC"),
    ('{{ unixToTime "1759998600123" }}', "2025-10-09 08:30:00.123 +0000 UTC"),
    ('{{ unixToTime "1759998600123456" }}', "2025-10-09 08:30:00.123456 +0000 UTC"),
    ('{{ unixToTime "1759998600123456789" }}', "2025-10-09 08:30:00.123456789 +0000 UTC"),
    (
        '{{ unixToTime "9223372036854775808" }}',
        (
            '!<unixToTime "9223372036854775808">: error calling unixToTime: unable to parse '
            "time '9223372036854775808': strconv.ParseInt: parsing \"9223372036854775808\": "
            "value out of range"
        ),
    ),
    (
        '{{ unixToTime "12" }}',
        "!<unixToTime \"12\">: error calling unixToTime: unable to parse time '12': %!w(<nil>)",
    ),
    (
        '{{ unixToTime "" }}',
        (
            "!<unixToTime \"\">: error calling unixToTime: unable to parse time '': "
            'strconv.ParseInt: parsing "": invalid syntax'
        ),
    ),
    (
        '{{ unixToTime "x" }}',
        (
            "!<unixToTime \"x\">: error calling unixToTime: unable to parse time 'x': "
            'strconv.ParseInt: parsing "x": invalid syntax'
        ),
    ),
    (
        '{{ unixToTime " 1759998600" }}',
        (
            '!<unixToTime " 1759998600">: error calling unixToTime: unable to parse time \' '
            '1759998600\': strconv.ParseInt: parsing " 1759998600": invalid syntax'
        ),
    ),
    ("{{ unixToTime 1759998600 }}", "!<1759998600>: expected string; found 1759998600"),
]


@pytest.mark.parametrize(("template", "expected"), DATES)
def test_dates(template: str, expected: str) -> None:
    assert outcome(template) == expected
