"""Do templates of alerts give what Prometheus' do, also where a value is unusual?"""

import math

import pytest

from narfi.core.text.template.values import Structs
from ruler.template_functions import Pairs, TemplateWorld
from ruler.templates import Expander, check_template, expander

SLOT_NS = 1_700_000_000_500_456_789


def expanding() -> Expander:
    """Of a rule `A`; its queries find two series."""

    def query(_text: str) -> list[tuple[Pairs, float]]:
        return [((("x", "b"),), 2.0), ((("x", "a"),), 1.0)]

    def nothing() -> None:
        """It never takes too long."""

    return expander("A", TemplateWorld(), query, lambda _: Structs(), nothing, at_ns=SLOT_NS)


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("{{ now }}", 0, "1.7000000005e+09"),
        ("{{ humanizeTimestamp now }}", 0, "2023-11-14 22:13:20.5 +0000 UTC"),
        ("{{ humanizeTimestamp $value }}", 1234.56789, "1970-01-01 00:20:34.567 +0000 UTC"),
        ("{{ humanizeTimestamp $value }}", -1.2345, "1969-12-31 23:59:58.766 +0000 UTC"),
        ("{{ humanizeTimestamp $value }}", math.nan, "NaN"),
        ("{{ (toTime $value).UnixNano }}", 1700000000.123456, "1700000000123000000"),
        ("{{ $value }}", math.inf, "+Inf"),
    ],
)
def test_times(text: str, value: float, found: str) -> None:
    check_template(text, "A")
    assert expanding().expand(text, (), value) == found


@pytest.mark.parametrize(
    ("text", "value", "error"),
    [
        ("{{ toTime $value }}", math.nan, "error calling toTime: value is NaN or Inf>"),
        (
            "{{ toTime $value }}",
            1e30,
            "error calling toTime: 1e+30 cannot be represented as a nanoseconds timestamp since it "
            "overflows int64>",
        ),
    ],
)
def test_times_that_there_are_not(text: str, value: float, error: str) -> None:
    assert expanding().expand(text, (), value).endswith(error)
