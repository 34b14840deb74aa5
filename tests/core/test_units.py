"""Durations, sizes and numbers as Go and Prometheus write them."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narfi.core.units import (
    UnitError,
    format_bytes,
    format_go_duration,
    format_go_float,
    format_go_value,
    format_prometheus_duration,
    format_sample,
    parse_bytes,
    parse_float,
    parse_go_duration,
    parse_prometheus_duration,
)

S = 10**9


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5m", 300 * S),
        ("1h30m", 5400 * S),
        ("1.5s", 3 * S // 2),
        ("-2us", -2000),
        ("0", 0),
        ("-0", 0),
        (".5s", S // 2),
        ("1.s", S),
        ("1\u00b5s", 1000),
        ("1\u03bcs", 1000),
        ("0.1ns", 0),
        ("2562047h47m16.854775807s", 2**63 - 1),
        ("-9223372036854775808ns", -(2**63)),
        ("1.00000000000000000000000000001s", S),
    ],
)
def test_go_durations(text: str, value: int) -> None:
    assert parse_go_duration(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", 'time: invalid duration "abc"'),
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        (".s", 'time: invalid duration ".s"'),
        ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
        ("1\u00e9", 'time: unknown unit "\\xc3\\xa9" in duration "1\\xc3\\xa9"'),
        ('1"', 'time: unknown unit "\\"" in duration "1\\""'),
        ("1w", 'time: unknown unit "w" in duration "1w"'),
        ("1KiB", 'time: unknown unit "KiB" in duration "1KiB"'),
    ],
)
def test_wrong_go_durations(text: str, message: str) -> None:
    with pytest.raises(UnitError) as error:
        parse_go_duration(text)
    assert error.value.message == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0s"),
        (3600 * S, "1h0m0s"),
        (90 * S, "1m30s"),
        (1_500_000, "1.5ms"),
        (-5 * S, "-5s"),
        (1, "1ns"),
    ],
)
def test_go_durations_print(value: int, text: str) -> None:
    assert format_go_duration(value) == text


@given(st.integers(-(2**62), 2**62))
def test_go_durations_round_trip(value: int) -> None:
    assert parse_go_duration(format_go_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value", "printed"),
    [
        ("90m", 5400 * S, "1h30m"),
        ("1d12h", 36 * 3600 * S, "1d12h"),
        ("1w", 7 * 86400 * S, "1w"),
        ("1500ms", 3 * S // 2, "1s500ms"),
        ("721h", 721 * 3600 * S, "30d1h"),
        ("0", 0, "0s"),
    ],
)
def test_prometheus_durations(text: str, value: int, printed: str) -> None:
    assert parse_prometheus_duration(text) == value
    assert format_prometheus_duration(value) == printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5x", 'unknown unit "x" in duration "5x"'),
        ("5m1h", 'not a valid duration string: "5m1h"'),
        ("-5m", 'not a valid duration string: "-5m"'),
        ("5", 'not a valid duration string: "5"'),
        (" 5m", 'not a valid duration string: " 5m"'),
        ("", "empty duration string"),
    ],
)
def test_wrong_prometheus_durations(text: str, message: str) -> None:
    with pytest.raises(UnitError) as error:
        parse_prometheus_duration(text)
    assert error.value.message == message


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5 MB", 1_500_000), ("10mib", 10 * 2**20), ("1,000", 1000), ("5B", 5), ("3K", 3000)],
)
def test_sizes(text: str, value: int) -> None:
    assert parse_bytes(text) == value


def test_wrong_sizes() -> None:
    with pytest.raises(UnitError, match="unhandled size name: xb"):
        parse_bytes("1xb")
    with pytest.raises(UnitError, match=r'strconv\.ParseFloat: parsing "": invalid syntax'):
        parse_bytes("abc")


def test_sizes_print() -> None:
    assert [format_bytes(n) for n in (5, 1500, 5000, 2**20, 12345678)] == [
        "5B",
        "1.5kB",
        "5.0kB",
        "1.0MB",
        "12MB",
    ]


@pytest.mark.parametrize(
    "text",
    ["", "abc", "1__0", "_1", "1_", "1_.5", "0x10", "1e", "--1", "+nan", ".", "1 ", "\u0661"],
)
def test_wrong_numbers(text: str) -> None:
    with pytest.raises(UnitError, match="invalid syntax"):
        parse_float(text)


def test_numbers() -> None:
    assert [parse_float(t) for t in ("1", "-1.5", ".5", "1e3", "5.", "Inf", "-inf")] == [
        1,
        -1.5,
        0.5,
        1000,
        5,
        math.inf,
        -math.inf,
    ]
    assert [parse_float(t) for t in ("1_000", "0x1p4", "0x_1p4", "-0x.8p1", "1e1_0")] == [
        1000,
        16,
        16,
        -1,
        1e10,
    ]
    assert math.isnan(parse_float("NaN"))
    with pytest.raises(UnitError, match="value out of range"):
        parse_float("1e999")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.00001, "0.00001"),
        (1e20, "100000000000000000000"),
        (1.5e-7, "0.00000015"),
        (-0.25, "-0.25"),
        (math.inf, "+Inf"),
        (math.nan, "NaN"),
        (1.2345678901234568e22, "12345678901234568000000"),
    ],
)
def test_sample_values(value: float, text: str) -> None:
    assert format_sample(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_sample_values_round_trip(value: float) -> None:
    text = format_sample(value)
    assert "e" not in text
    assert float(text) == value


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_unit_error(text: str) -> None:
    for parse in (parse_float, parse_go_duration, parse_prometheus_duration, parse_bytes):
        with suppress(UnitError):
            assert parse(text) is not None


def test_go_values_have_exponents_from_a_million() -> None:
    values = (9.999999999999999e22, 999999.0, 1e6, 12345678.0, 7.2e6, -1.5e-5, 0.0001, 0.0, 1e21)
    assert [format_go_value(v) for v in values] == [
        "1e+23",
        "999999",
        "1e+06",
        "1.2345678e+07",
        "7.2e+06",
        "-1.5e-05",
        "0.0001",
        "0",
        "1e+21",
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_go_values_round_trip(value: float) -> None:
    assert float(format_go_value(value)) == value


def test_go_floats() -> None:
    assert [format_go_float(v) for v in (1.0, 1e21, 1e-7, 0.99, 5.5, 1e20)] == [
        "1",
        "1e+21",
        "1e-07",
        "0.99",
        "5.5",
        "100000000000000000000",
    ]


@pytest.mark.parametrize("digits", ["9" * 20, "9" * 10_000])
def test_endless_digits_are_no_duration(digits: str) -> None:
    with pytest.raises(UnitError, match="time: invalid duration"):
        parse_go_duration(f"{digits}s")
    with pytest.raises(UnitError, match="duration out of range"):
        parse_prometheus_duration(f"{digits}s")


def test_leading_zeros_are_no_digits() -> None:
    assert parse_go_duration("0" * 10_000 + "1s") == S
    assert parse_prometheus_duration("0" * 40 + "1s") == S
