"""Do values become numbers as by Go's casts? (base prefixes, octal zeros, cut fractions)"""

import pytest

from tests.core.text.template.outcomes import outcome

INT = [
    ('{{ int "010" }}', "8"),
    ('{{ int " 5 " }}', "0"),
    ('{{ int "0x1F" }}', "31"),
    ('{{ int "-0x10" }}', "-16"),
    ('{{ int "0b101" }}', "5"),
    ('{{ int "0o17" }}', "15"),
    ('{{ int "08" }}', "0"),
    ('{{ int "1_000" }}', "1000"),
    ('{{ int "1__0" }}', "0"),
    ('{{ int "_1" }}', "0"),
    ('{{ int "+5" }}', "5"),
    ('{{ int "3.7" }}', "3"),
    ('{{ int "-3.7" }}', "-3"),
    ('{{ int "-.5" }}', "0"),
    ('{{ int "." }}', "0"),
    ('{{ int "010.9" }}', "8"),
    ('{{ int "1e3" }}', "0"),
    ('{{ int "0x1.8p1" }}', "0"),
    ('{{ int "" }}', "0"),
    ('{{ int "abc" }}', "0"),
    ('{{ int "9223372036854775807" }}', "9223372036854775807"),
    ('{{ int "9223372036854775808" }}', "0"),
    ('{{ int "inf" }}', "0"),
    ('{{ int "NaN" }}', "0"),
    ('{{ int "1e400" }}', "0"),
    ("{{ int true }}", "1"),
    ("{{ int false }}", "0"),
    ("{{ int nil }}", "0"),
    ("{{ int 3.9 }}", "3"),
    ("{{ int -3.9 }}", "-3"),
    ("{{ int 1e19 }}", "-9223372036854775808"),
    ("{{ int -1e300 }}", "-9223372036854775808"),
    ('{{ int "5 " }}', "0"),
    ('{{ int "1,5" }}', "0"),
    ("{{ int .nosuch }}", "0"),
    ("{{ int .n }}", "5"),
    ("{{ int .f }}", "3"),
    ('{{ int (fromJson "7") }}', "7"),
    ('{{ int (fromJson "null") }}', "0"),
    ('{{ int (fromJson "[1]") }}', "0"),
    ("{{ int . }}", "0"),
    ('{{ int (float64 "nan") }}', "-9223372036854775808"),
    ('{{ int (float64 "inf") }}', "-9223372036854775808"),
    ("{{ int (index .x 0) }}", "97"),
    ("{{ int __timestamp__.Month }}", "10"),
    ("{{ int __timestamp__.Weekday }}", "4"),
    ("{{ int (__timestamp__.Sub __timestamp__) }}", "0"),
    ("{{ int __timestamp__ }}", "0"),
    ("{{ int 'a' }}", "97"),
    ("{{ int 2i }}", "0"),
    (
        "{{ int 18446744073709551615 }}",
        "!<18446744073709551615>: 18446744073709551615 overflows int",
    ),
]


@pytest.mark.parametrize(("template", "expected"), INT)
def test_int(template: str, expected: str) -> None:
    assert outcome(template) == expected


FLOAT64 = [
    ('{{ float64 "010" }}', "10"),
    ('{{ float64 " 5 " }}', "0"),
    ('{{ float64 "0x1F" }}', "0"),
    ('{{ float64 "-0x10" }}', "0"),
    ('{{ float64 "0b101" }}', "0"),
    ('{{ float64 "0o17" }}', "0"),
    ('{{ float64 "08" }}', "8"),
    ('{{ float64 "1_000" }}', "1000"),
    ('{{ float64 "1__0" }}', "0"),
    ('{{ float64 "_1" }}', "0"),
    ('{{ float64 "+5" }}', "5"),
    ('{{ float64 "3.7" }}', "3.7"),
    ('{{ float64 "-3.7" }}', "-3.7"),
    ('{{ float64 "-.5" }}', "-0.5"),
    ('{{ float64 "." }}', "0"),
    ('{{ float64 "010.9" }}', "10.9"),
    ('{{ float64 "1e3" }}', "1000"),
    ('{{ float64 "0x1.8p1" }}', "3"),
    ('{{ float64 "" }}', "0"),
    ('{{ float64 "abc" }}', "0"),
    ('{{ float64 "9223372036854775807" }}', "9.223372036854776e+18"),
    ('{{ float64 "9223372036854775808" }}', "9.223372036854776e+18"),
    ('{{ float64 "inf" }}', "+Inf"),
    ('{{ float64 "NaN" }}', "NaN"),
    ('{{ float64 "1e400" }}', "0"),
    ("{{ float64 true }}", "1"),
    ("{{ float64 false }}", "0"),
    ("{{ float64 nil }}", "0"),
    ("{{ float64 3.9 }}", "3.9"),
    ("{{ float64 -3.9 }}", "-3.9"),
    ("{{ float64 1e19 }}", "1e+19"),
    ("{{ float64 -1e300 }}", "-1e+300"),
    ('{{ float64 "5 " }}', "0"),
    ('{{ float64 "1,5" }}', "0"),
    ("{{ float64 .nosuch }}", "0"),
    ("{{ float64 .n }}", "5"),
    ("{{ float64 .f }}", "3.7"),
    ('{{ float64 (fromJson "7") }}', "7"),
    ('{{ float64 (fromJson "null") }}', "0"),
    ('{{ float64 (fromJson "[1]") }}', "0"),
    ("{{ float64 . }}", "0"),
    ('{{ float64 (float64 "nan") }}', "NaN"),
    ('{{ float64 (float64 "inf") }}', "+Inf"),
    ("{{ float64 (index .x 0) }}", "97"),
    ("{{ float64 __timestamp__.Month }}", "10"),
    ("{{ float64 __timestamp__.Weekday }}", "4"),
    ("{{ float64 (__timestamp__.Sub __timestamp__) }}", "0"),
    ("{{ float64 __timestamp__ }}", "0"),
    ("{{ float64 'a' }}", "97"),
    ("{{ float64 2i }}", "0"),
    (
        "{{ float64 18446744073709551615 }}",
        "!<18446744073709551615>: 18446744073709551615 overflows int",
    ),
    ('{{ float64 "0x1p-2" }}', "0.25"),
    ('{{ float64 "1_0.5" }}', "10.5"),
    ('{{ float64 "1e-400" }}', "0"),
    ('{{ float64 "Infinity" }}', "+Inf"),
    ('{{ float64 "+Inf" }}', "+Inf"),
]


@pytest.mark.parametrize(("template", "expected"), FLOAT64)
def test_float64(template: str, expected: str) -> None:
    assert outcome(template) == expected


CAST_ARGUMENTS = [
    ('{{ add "010" "0x10" }}', "24"),
    ('{{ max "3.9" 2 }}', "3"),
    ('{{ maxf "1e3" "x" }}', "1000"),
    ('{{ ceil "0x10" }}', "0"),
    ("{{ mul true 7 }}", "7"),
    ('{{ sub "" 1 }}', "-1"),
]


@pytest.mark.parametrize(("template", "expected"), CAST_ARGUMENTS)
def test_cast_arguments(template: str, expected: str) -> None:
    assert outcome(template) == expected
