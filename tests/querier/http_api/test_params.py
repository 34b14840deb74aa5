"""What do parameters mean, and what is said of wrong ones? (http-api.md §0.3, §0.4; Go)"""

from types import SimpleNamespace
from typing import Any

import pytest

from narfi.core.clock import MAX_TIME_NS, MIN_TIME_NS, ManualClock
from narfi.core.errors import AppError
from narfi.core.limits import Limits
from narfi.core.tenant import TenantId
from querier.http_api.params import Bounds, Parameters, parse_range, parse_step
from querier.http_api.requests import bounds_of

NOW = 1_760_000_400 * 10**9
S = 10**9


def asked(**parameters: str) -> Parameters:
    """The parameters of a range query of one hour."""
    return Parameters(list({"query": "1", "start": "0", "end": "3600", **parameters}.items()))


TIMES = {
    "": 0,  # the default, here one hour before the end
    "1760000400": NOW,
    "-1": -S,
    "0": 0,
    "+5": 5 * S,
    "0000000007": 7 * S,
    "00000000007": 7,  # eleven characters: nanoseconds
    "12345678901": 12_345_678_901,
    "1760000400.0004": NOW,  # to milliseconds
    "1760000400.0006": NOW + 1_000_000,
    "1.": S,
    "1.5e3": 1500 * S,
    "-1.25": -1_250_000_000,
    "0x1.8p3": 12 * S,
    "2025-10-09T09:00:00Z": NOW,
    "2025-10-09T11:00:00.5+02:00": NOW + 500_000_000,
    "2025-10-09T09:00:00.123456789123Z": NOW + 123_456_789,
    # what is no time of ours is the nearest one
    "9223372036854775807": MAX_TIME_NS,
    "-9223372036854775808": MIN_TIME_NS,
    "9999999999": MAX_TIME_NS,
    "1.0e300": MAX_TIME_NS,
    "-1.0e300": MIN_TIME_NS,
    "9999-12-31T23:59:59Z": MAX_TIME_NS,
    "0001-01-01T00:00:00Z": MIN_TIME_NS,
    "0000-01-01T00:00:00Z": MIN_TIME_NS,
}


@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_times(text: str, expected: int) -> None:
    found = parse_range(asked(start=text, end="9223372036854775807", step="292y"), NOW)
    default = NOW - 3600 * S
    assert found.bounds == Bounds(expected if text else default, MAX_TIME_NS)


NO_INTEGERS = ("x", "now", "1e9", "1_000", " 5", "0x10", "٣", ".", "1.5.", "NaN", "Inf", "1h", "-")
NO_TIMES = (
    *("2025-10-09", "2025-10-09T09:00:00", "2025-10-09 09:00:00Z", "2025-10-09t09:00:00z"),
    *("2025-10-09T09:00Z", "2025-13-09T09:00:00Z", "2025-10-09T24:00:00Z", "2025-10-09T09:00:60Z"),
    *("2025-10-09T09:00:00+0200", "2025-10-09T09:00:00.Z", "20251009T090000Z"),
)
TOO_LARGE = ("9223372036854775808", "-9223372036854775809", "99999999999999999999", "9" * 5000)


@pytest.mark.parametrize("text", [*NO_INTEGERS, *NO_TIMES, *TOO_LARGE])
@pytest.mark.parametrize("name", ["start", "end"])
def test_wrong_times(name: str, text: str) -> None:
    reason = "value out of range" if text in TOO_LARGE else "invalid syntax"
    message = f"could not parse '{name}' parameter: strconv.ParseInt: parsing \"{text}\": {reason}"
    assert told(**{name: text}) == message


STEPS = {
    "1": S,
    "0.5": S // 2,
    "1e2": 100 * S,
    "5m": 300 * S,
    "1h30m": 5400 * S,
    "1500ms": 1_500_000_000,
    "0x1p3": 8 * S,
    "1.0005": 1_000_000_000,  # whole milliseconds
    "": 14 * S,  # a 250th of the range, whole seconds
}


@pytest.mark.parametrize(("text", "expected"), STEPS.items())
def test_steps(text: str, expected: int) -> None:
    assert parse_step(asked(step=text), Bounds(0, 3600 * S)) == expected


def test_points_are_counted_whole() -> None:
    assert parse_step(asked(step="1"), Bounds(0, 11_000 * S + S - 1)) == S
    with pytest.raises(AppError, match="exceeded maximum resolution"):
        parse_step(asked(step="1"), Bounds(0, 11_001 * S))


ZERO_STEP = "zero or negative query resolution step widths are not accepted. Try a positive integer"
RESOLUTION = (
    "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the "
    "step parameter"
)
POSITIVE = "limit must be a positive value"
REFUSED = {
    ("step", "NaN"): ZERO_STEP,
    ("step", "nan"): ZERO_STEP,
    ("step", "0"): ZERO_STEP,
    ("step", "-1"): ZERO_STEP,
    ("step", "-0.0"): ZERO_STEP,
    ("step", "0s"): ZERO_STEP,
    ("step", "9223372036.854775807"): ZERO_STEP,  # 2^63 ns: becomes the smallest integer
    ("step", "Inf"): 'cannot parse "Inf" to a valid duration. It overflows int64',
    ("step", "-inf"): 'cannot parse "-inf" to a valid duration. It overflows int64',
    ("step", "1e30"): 'cannot parse "1e30" to a valid duration. It overflows int64',
    ("step", "9223372037"): 'cannot parse "9223372037" to a valid duration. It overflows int64',
    ("step", "1e400"): 'cannot parse "1e400" to a valid duration',
    ("step", "-5m"): 'cannot parse "-5m" to a valid duration',
    ("step", "1.5h"): 'cannot parse "1.5h" to a valid duration',
    ("step", "300y"): 'cannot parse "300y" to a valid duration',
    ("step", "5m "): 'cannot parse "5m " to a valid duration',
    ("step", '"'): 'cannot parse "\\"" to a valid duration',
    ("step", "0.3"): RESOLUTION,
    ("step", "0.0001"): RESOLUTION,  # counted before whole milliseconds are made of it
    ("interval", "NaN"): "interval must be >= 0",
    ("interval", "-1"): "interval must be >= 0",
    ("interval", "x"): 'cannot parse "x" to a valid duration',
    ("interval", "Inf"): 'cannot parse "Inf" to a valid duration. It overflows int64',
    ("limit", "0"): POSITIVE,
    ("limit", "-5"): POSITIVE,
    ("limit", "1.5"): 'strconv.Atoi: parsing "1.5": invalid syntax',
    ("limit", "0x10"): 'strconv.Atoi: parsing "0x10": invalid syntax',
    ("limit", "1_0"): 'strconv.Atoi: parsing "1_0": invalid syntax',
    ("limit", "1e3"): 'strconv.Atoi: parsing "1e3": invalid syntax',
    ("limit", "4294967296"): "limit value 4294967296 is out of range [0, 4294967295]",
    ("limit", "9" * 20): f'strconv.Atoi: parsing "{"9" * 20}": value out of range',
    ("direction", "sideways"): "invalid direction 'sideways'",
    ("since", "-5m"): "could not parse 'since' parameter: not a valid duration string: \"-5m\"",
    ("since", "NaN"): "could not parse 'since' parameter: not a valid duration string: \"NaN\"",
    ("since", "300y"): "could not parse 'since' parameter: duration out of range",
    ("since", "9" * 5000 + "s"): "could not parse 'since' parameter: duration out of range",
    ("end", "-1"): "end timestamp must not be before or equal to start time",
}


def told(**parameters: str) -> str:
    """What is said of a request."""
    with pytest.raises(AppError) as caught:
        parse_range(asked(**parameters), NOW)
    return caught.value.message


@pytest.mark.parametrize(("given", "expected"), REFUSED.items())
def test_refused(given: tuple[str, str], expected: str) -> None:
    assert told(**dict([given])) == expected


def test_the_first_wrong_parameter_is_told() -> None:
    wrong = {"interval": "-1", "step": "0", "direction": "x", "limit": "0", "start": "3601"}
    order = [
        "end timestamp must not be before or equal to start time",
        POSITIVE,
        "invalid direction 'x'",
        ZERO_STEP,
        "interval must be >= 0",
    ]
    for message in order:
        assert told(**wrong) == message
        wrong.popitem()


def test_a_range_may_have_no_width() -> None:
    assert parse_step(asked(step="1"), Bounds(S, S)) == S
    assert parse_range(asked(end="0"), NOW).bounds == Bounds(0, 0)


def test_of_several_values_the_first_counts() -> None:
    pairs = [("limit", "7"), ("limit", "x"), ("end", "5"), ("start", "1"), ("end", "6")]
    found = parse_range(Parameters(pairs), NOW)
    assert (found.limit, found.bounds) == (7, Bounds(S, 5 * S))


def test_the_limits_on_ranges_hold_where_no_query_is() -> None:
    limits = Limits(max_query_length_ns=7200 * S, max_query_lookback_ns=10_800 * S)
    context: Any = SimpleNamespace(limits=lambda _: limits, clock=ManualClock(100_000 * S))
    tenants = (TenantId("a"),)

    def bounds(**given: str) -> Bounds:
        return bounds_of(context, tenants, Parameters(list(given.items())))

    assert bounds(start="93000", end="95000") == Bounds(93_000 * S, 95_000 * S)
    assert bounds(start="80000", end="90000") == Bounds(89_200 * S, 90_000 * S)  # moved
    assert bounds(start="80000", end="85000") == Bounds(89_200 * S, 89_200 * S)  # nothing is left
    with pytest.raises(AppError) as caught:
        bounds(start="89200", end="96401")
    told = "the query time range exceeds the limit (query length: 2h0m1s, limit: 2h)"
    assert caught.value.message == told
