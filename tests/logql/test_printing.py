"""How is a query printed? Worked out from the rules of http-api.md §4.10 and of Go's `strconv`."""

import pytest

from logql.format import format_expr
from logql.parser import parse_to_format, parse_unchecked
from logql.pretty import pretty

S = '{app="x"}'
LONG = "a" * 90

CANONICAL = {
    # numbers in filters and parameters have no exponent, however large or small
    f"{S} | a<1e-7": f"{S} | a<0.0000001",
    f"{S} | a<-1e-7": f"{S} | a<-0.0000001",
    f"{S} | a>1e21": f"{S} | a>1000000000000000000000",
    f"{S} | a>1.5e22": f"{S} | a>15000000000000000000000",
    f"{S} | a>=0.1234567890123456789": f"{S} | a>=0.12345678901234568",
    f"{S} | a==123456789012345678": f"{S} | a==123456789012345680",
    f"{S} | a!=-0.0": f"{S} | a!=-0",
    f"{S} | a=5e-324": f"{S} | a==0." + "0" * 323 + "5",
    f"{S} | a=007": f"{S} | a==7",
    f"{S} | a=1_000.5": f"{S} | a==1000.5",
    f"quantile_over_time(1e-7, {S} | unwrap a [5m])": "quantile_over_time(0.0000001,"
    f"{S} | unwrap a[5m])",
    f"quantile_over_time(1e21, {S} | unwrap a [5m])": "quantile_over_time(1000000000000000000000,"
    f"{S} | unwrap a[5m])",
    # numbers that stand alone are printed as Go prints a value
    "1e-7": "1e-07",
    "0.00001": "1e-05",
    "0.0001": "0.0001",
    "1e21": "1e+21",
    "1e20": "100000000000000000000",
    "-0.0": "-0",
    "1e308 * 10": "+Inf",
    "-1e308 * 10": "-Inf",
    "1 / 0": "NaN",
    "vector(1.5)": "vector(1.500000)",
    "vector(1e-7)": "vector(0.0000001)",  # six digits would print another number
    "vector(0.123456789)": "vector(0.123456789)",
    # durations and sizes
    f"{S} | a>1500ms": f"{S} | a>1.5s",
    f"{S} | a>1w": f"{S} | a>168h0m0s",
    f"{S} | a>1.5h": f"{S} | a>1h30m0s",
    f"{S} | a>-5m": f"{S} | a>-5m0s",
    f"{S} | a>10us": f"{S} | a>10µs",
    f"{S} | a>1ns": f"{S} | a>1ns",
    f"{S} | a>0s": f"{S} | a>0s",
    f"{S} | a>12345B": f"{S} | a>12kB",
    f"{S} | a>9B": f"{S} | a>9B",
    f"{S} | a>1GiB": f"{S} | a>1.1GB",
    f"{S} | a>0KB": f"{S} | a>0kB",  # `0B` would be read as a binary number
    f"rate({S}[0])": f"rate({S}[0s])",
    f"rate({S}[7d])": f"rate({S}[1w])",
    f"rate({S}[8d])": f"rate({S}[8d])",
    f"rate({S}[365d])": f"rate({S}[1y])",
    f"rate({S}[5m] offset 1.5h)": f"rate({S}[5m] offset 1h30m0s)",
    f"rate({S}[5m] offset -1us)": f"rate({S}[5m] offset -1µs)",
    f"rate({S}[5m] offset 0s)": f"rate({S}[5m])",
    # line filters: none of several is one after the other
    f'{S} != "a" or "b"': f'{S} != "a" != "b"',
    f'{S} != "a" or "b" or "c"': f'{S} != "a" != "b" != "c"',
    f'{S} !~ "a" or "b" |= "c" or "d"': f'{S} !~ "a" !~ "b" |= "c" or "d"',
    f'{S} !> "<_>a" or "<_>b"': f'{S} !> "<_>a" !> "<_>b"',
    f'{S} != ip("10.0.0.1") or "b"': f'{S} != ip("10.0.0.1") != "b"',
    f'{S} |= "x" != "a" or "b" | json': f'{S} |= "x" != "a" != "b" | json',
    f'rate({S} != "a" or "b" [5m])': f'rate({S} != "a" != "b"[5m])',
    f'{S} |~ "a" or "b"': f'{S} |~ "a" or "b"',
    # strings
    f'{S} |= `a\\b"c\n`': f'{S} |= "a\\\\b\\"c\\n"',
    f'{S} |= "\\xff\\x00\\u200b\\U0001F600\\u007f"': f'{S} |= "\\xff\\x00\\u200b😀\\x7f"',
    f'{S} |= "\\a\\b\\f\\r\\v\\303\\244"': f'{S} |= "\\a\\b\\f\\r\\vä"',
    "{app=`x`, b!~`\\d+`}": '{app="x", b!~"\\\\d+"}',
    # matching
    f"rate({S}[5m]) + ignoring () group_left rate({S}[5m])": f"(rate({S}[5m]) + ignoring () "
    f"group_left rate({S}[5m]))",
    f"rate({S}[5m]) + on () group_right (b) 1": f"(rate({S}[5m]) + on () group_right (b) 1)",
}


@pytest.mark.parametrize(("query", "expected"), CANONICAL.items())
def test_canonical(query: str, expected: str) -> None:
    assert format_expr(parse_to_format(query)) == expected


LOSSY = {"12345B", "1GiB"}
"""Sizes are printed with one digit behind the point, as recorded."""


@pytest.mark.parametrize("query", CANONICAL)
def test_the_printed_query_is_the_same_query(query: str) -> None:
    expr = parse_to_format(query)
    if "Inf" in format_expr(expr) or "NaN" in format_expr(expr):
        return  # a number that no query can write
    if any(size in query for size in LOSSY):
        return
    assert parse_unchecked(format_expr(expr)) == expr
    assert parse_unchecked(pretty(expr)) == expr


PRETTY = {
    f'{S} |= "{LONG}" != "b" or "c" | json': f'{S}\n  |= "{LONG}"\n  != "b"\n  != "c"\n  | json',
    f'{S} != "b" or "c" |= "d" |= "{LONG}"': f'{S}\n  != "b" != "c" |= "d"\n  |= "{LONG}"',
    f'{S} |= "{LONG}" |= "{LONG}" |= "d"': f'{S}\n  |= "{LONG}"\n  |= "{LONG}"\n  |= "d"',
    f'quantile_over_time(1e-7, {S} |= "{LONG}" | unwrap a [5m])': "quantile_over_time(\n"
    f'  1e-07,\n  {S} |= "{LONG}"\n    | unwrap a [5m]\n)'.replace(
        f'{S} |= "{LONG}"', f'{S}\n    |= "{LONG}"'
    ),
    f'rate({S} |= "{LONG}" [5m] offset 36h)': f'rate(\n  {S}\n    |= "{LONG}" [5m] offset 1d12h\n)',
    f'rate({S} |= "{LONG}" [5m] offset -36h)': f'rate(\n  {S}\n    |= "{LONG}" [5m] '
    "offset -36h0m0s\n)",
    f'rate({S} |= "{LONG}" [5m]) > on (a,b) vector(1)': f'  rate(\n    {S}\n      |= "{LONG}" '
    "[5m]\n  )\n> on (a, b) \n  vector(1.000000)",
    # a hundred bytes fit, and characters beyond ASCII have more than one
    f'{S} |= "{"é" * 39}" | json': f'{S} |= "{"é" * 39}" | json',
    f'{S} |= "{"é" * 40}" | json': f'{S}\n  |= "{"é" * 40}"\n  | json',
}


@pytest.mark.parametrize(("query", "expected"), PRETTY.items())
def test_pretty(query: str, expected: str) -> None:
    expr = parse_to_format(query)
    assert pretty(expr) == expected
    assert parse_unchecked(pretty(expr)) == expr
