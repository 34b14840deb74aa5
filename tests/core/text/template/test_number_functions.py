"""Do integers wrap at 64 bits, and floats come out as Go prints them?"""

import pytest

from tests.core.text.template.outcomes import outcome

INTEGERS = [
    ("{{ add 9223372036854775807 1 }}", "-9223372036854775808"),
    ("{{ add }}", "0"),
    ("{{ add 1 2 3 4 }}", "10"),
    ("{{ add -9223372036854775808 -1 }}", "9223372036854775807"),
    ("{{ sub -9223372036854775808 1 }}", "9223372036854775807"),
    ("{{ sub 1 }}", "!<sub>: wrong number of args for sub: want 2 got 1"),
    ("{{ sub 1 2 3 }}", "!<sub>: wrong number of args for sub: want 2 got 3"),
    ("{{ mul 9223372036854775807 2 }}", "-2"),
    ("{{ mul 4294967296 4294967296 }}", "0"),
    ("{{ mul -9223372036854775808 -1 }}", "-9223372036854775808"),
    ("{{ mul 3 }}", "3"),
    ("{{ mul }}", "!<mul>: wrong number of args for mul: want at least 1 got 0"),
    ("{{ div 7 2 }}", "3"),
    ("{{ div -7 2 }}", "-3"),
    ("{{ div 7 -2 }}", "-3"),
    ("{{ div -9223372036854775808 -1 }}", "-9223372036854775808"),
    ("{{ div 9223372036854775807 1 }}", "9223372036854775807"),
    ("{{ div 7 0 }}", "!<div 7 0>: error calling div: runtime error: integer divide by zero"),
    ('{{ div 7 "x" }}', '!<div 7 "x">: error calling div: runtime error: integer divide by zero'),
    ("{{ mod -7 3 }}", "-1"),
    ("{{ mod 7 -3 }}", "1"),
    ("{{ mod -9223372036854775808 -1 }}", "0"),
    ("{{ mod 7 0 }}", "!<mod 7 0>: error calling mod: runtime error: integer divide by zero"),
    ("{{ mod 9223372036854775807 10 }}", "7"),
    ("{{ max 1 9223372036854775807 }}", "9223372036854775807"),
    ("{{ max -3 }}", "-3"),
    ("{{ max }}", "!<max>: wrong number of args for max: want at least 1 got 0"),
    ('{{ max .n 2 "7" }}', "7"),
    ('{{ min 1 -9223372036854775808 "x" }}', "-9223372036854775808"),
    ("{{ min .nosuch 4 }}", "0"),
    (
        "{{ add 9223372036854775808 1 }}",
        "!<9223372036854775808>: 9223372036854775808 overflows int",
    ),
    ('{{ printf "%T %T %T %T" (add 1 1) (int 1) (max 1) (ceil 1) }}', "int64 int int64 float64"),
    ('{{ repeat (add 1 1) "x" }}', "!<1>: wrong type for value; expected int; got int64"),
    ('{{ repeat (int (add 1 1)) "x" }}', "xx"),
]


@pytest.mark.parametrize(("template", "expected"), INTEGERS)
def test_integers(template: str, expected: str) -> None:
    assert outcome(template) == expected


FLOATS = [
    ("{{ addf }}", "0"),
    ("{{ addf 0.1 0.2 }}", "0.3"),
    ("{{ addf 1e308 1e308 }}", "+Inf"),
    ('{{ addf 1 "x" nil true }}', "2"),
    ("{{ subf 0.3 0.1 }}", "0.2"),
    ("{{ subf 5 }}", "5"),
    ("{{ subf }}", "!<subf>: wrong number of args for subf: want at least 1 got 0"),
    ("{{ mulf 1.1 1.1 }}", "1.21"),
    ("{{ mulf 1e200 1e200 }}", "+Inf"),
    ("{{ mulf -1e200 1e200 }}", "-Inf"),
    ("{{ mulf 1e-200 1e-200 }}", "0"),
    ("{{ mulf 0 -1 }}", "0"),
    ("{{ divf 1 3 }}", "0.3333333333333333"),
    ("{{ divf 2 3 }}", "0.6666666666666667"),
    ("{{ divf 1 1e17 }}", "0"),
    ("{{ divf 1e300 1e-300 }}", "+Inf"),
    ("{{ divf -1 3 }}", "-0.3333333333333333"),
    ("{{ divf 7 0 }}", "!<divf 7 0>: error calling divf: decimal division by 0"),
    ("{{ divf 7 2 2 }}", "1.75"),
    ('{{ addf "nan" 1 }}', '!<addf "nan" 1>: error calling addf: Cannot create a Decimal from NaN'),
    (
        '{{ mulf "inf" 1 }}',
        '!<mulf "inf" 1>: error calling mulf: Cannot create a Decimal from +Inf',
    ),
    (
        '{{ subf 1 "-inf" }}',
        '!<subf 1 "-inf">: error calling subf: Cannot create a Decimal from -Inf',
    ),
    ('{{ maxf 1.5 "2.5" }}', "2.5"),
    ('{{ maxf "nan" 1 }}', "NaN"),
    ('{{ maxf "nan" "inf" }}', "+Inf"),
    ('{{ minf "nan" "-inf" }}', "-Inf"),
    ('{{ minf "inf" 1 }}', "1"),
    ("{{ maxf 0 -0.0 }}", "0"),
    ("{{ maxf -0.0 0 }}", "0"),
    ("{{ minf 0 -0.0 }}", "-0"),
    ("{{ minf -0.0 -0.0 }}", "-0"),
]


@pytest.mark.parametrize(("template", "expected"), FLOATS)
def test_floats(template: str, expected: str) -> None:
    assert outcome(template) == expected


ROUNDING = [
    ("{{ ceil 1.2 }}", "2"),
    ("{{ ceil -1.2 }}", "-1"),
    ("{{ ceil -0.5 }}", "-0"),
    ('{{ ceil "inf" }}', "+Inf"),
    ('{{ ceil "nan" }}', "NaN"),
    ("{{ ceil 1e300 }}", "1e+300"),
    ('{{ ceil "x" }}', "0"),
    ("{{ floor 1.8 }}", "1"),
    ("{{ floor -1.2 }}", "-2"),
    ("{{ floor -0.0 }}", "-0"),
    ('{{ floor "-inf" }}', "-Inf"),
    ("{{ floor nil }}", "0"),
    ("{{ round 2.5 0 }}", "3"),
    ("{{ round -2.5 0 }}", "-3"),
    ("{{ round -2.4 0 }}", "-3"),
    ("{{ round -2.6 0 }}", "-3"),
    ("{{ round 1.005 2 }}", "1"),
    ("{{ round 5.5555 3 0.6 }}", "5.555"),
    ("{{ round 123.456 -1 }}", "120"),
    ("{{ round 125 -1 }}", "130"),
    ("{{ round 1.5 400 }}", "NaN"),
    ("{{ round 1.5 -400 }}", "NaN"),
    ('{{ round "inf" 2 }}', "+Inf"),
    ('{{ round "nan" 2 }}', "NaN"),
    ("{{ round 0.1 25 }}", "0.1"),
    ('{{ round 1 "2" }}', '!<"2">: expected integer; found "2"'),
    ("{{ round 1 (add 1 1) }}", "!<1>: wrong type for value; expected int; got int64"),
    ("{{ round 1 }}", "!<round>: wrong number of args for round: want at least 2 got 1"),
    ("{{ round 1.55 1 1 }}", "1.5"),
    ('{{ round 1.55 1 "x" }}', '!<"x">: expected float; found "x"'),
    ("{{ round 1.55 1 0.2 0.9 }}", "1.6"),
]


@pytest.mark.parametrize(("template", "expected"), ROUNDING)
def test_rounding(template: str, expected: str) -> None:
    assert outcome(template) == expected


PRINTED_FLOATS = [
    ("{{ 100000.0 }}", "100000"),
    ("{{ 999999.0 }}", "999999"),
    ("{{ 1e6 }}", "1e+06"),
    ("{{ 1234567.0 }}", "1.234567e+06"),
    ("{{ 0.0001 }}", "0.0001"),
    ("{{ 0.00001 }}", "1e-05"),
    ("{{ 1.5e-7 }}", "1.5e-07"),
    ("{{ 1e21 }}", "1e+21"),
    ("{{ 1e100 }}", "1e+100"),
    ("{{ -0.0 }}", "-0"),
    ('{{ float64 "inf" }}', "+Inf"),
    ('{{ float64 "-inf" }}', "-Inf"),
    ('{{ float64 "nan" }}', "NaN"),
    ("{{ 123456.789 }}", "123456.789"),
    ("{{ 5e-324 }}", "5e-324"),
    ("{{ float64 3 }}", "3"),
]


@pytest.mark.parametrize(("template", "expected"), PRINTED_FLOATS)
def test_printed_floats(template: str, expected: str) -> None:
    assert outcome(template) == expected


SIZES_AND_DURATIONS = [
    ('{{ bytes "1.5 MiB" }}', "1.572864e+06"),
    ('{{ bytes "10kb" }}', "10000"),
    ('{{ bytes "1,000" }}', "1000"),
    ('{{ bytes "0" }}', "0"),
    ('{{ bytes "16EiB" }}', '!<bytes "16EiB">: error calling bytes: too large: 16EiB'),
    (
        '{{ bytes "-1" }}',
        '!<bytes "-1">: error calling bytes: strconv.ParseFloat: parsing "": invalid syntax',
    ),
    (
        '{{ bytes "" }}',
        '!<bytes "">: error calling bytes: strconv.ParseFloat: parsing "": invalid syntax',
    ),
    ('{{ bytes "10 xb" }}', '!<bytes "10 xb">: error calling bytes: unhandled size name: xb'),
    ('{{ bytes "1e3" }}', '!<bytes "1e3">: error calling bytes: unhandled size name: e3'),
    ("{{ bytes 5 }}", "!<5>: expected string; found 5"),
    ('{{ duration "1h30m" }}', "5400"),
    ('{{ duration "-1.5s" }}', "-1.5"),
    ('{{ duration_seconds "350ms" }}', "0.35"),
    ('{{ duration "1\\u00b5s" }}', "1e-06"),
    ('{{ duration "0" }}', "0"),
    ('{{ duration "" }}', '!<duration "">: error calling duration: time: invalid duration ""'),
    (
        '{{ duration "1d" }}',
        '!<duration "1d">: error calling duration: time: unknown unit "d" in duration "1d"',
    ),
    (
        '{{ duration "5" }}',
        '!<duration "5">: error calling duration: time: missing unit in duration "5"',
    ),
    (
        '{{ duration " 1s" }}',
        '!<duration " 1s">: error calling duration: time: invalid duration " 1s"',
    ),
    ('{{ duration "9223372036854775807ns" }}', "9.223372036854776e+09"),
    (
        '{{ duration "9223372036854775808ns" }}',
        (
            '!<duration "9223372036854775808ns">: error calling duration: time: invalid '
            'duration "9223372036854775808ns"'
        ),
    ),
    (
        "{{ duration .nosuch }}",
        '!<duration .nosuch>: error calling duration: time: invalid duration ""',
    ),
]


@pytest.mark.parametrize(("template", "expected"), SIZES_AND_DURATIONS)
def test_sizes_and_durations(template: str, expected: str) -> None:
    assert outcome(template) == expected
