"""Which methods can a template call on times, durations, months, weekdays and zones?"""

import pytest

from tests.core.text.template.outcomes import outcome

SUMMER_IN_PARIS = (
    'toDateInZone "2006-01-02 15:04:05.999" "Europe/Paris" "2024-07-14 12:30:45.123456"'
)


METHODS = [
    ("UTC", "2024-07-14 10:30:45.123456 +0000 UTC"),
    ("Local", "2024-07-14 10:30:45.123456 +0000 UTC"),
    ("Unix", "1720953045"),
    ("UnixNano", "1720953045123456000"),
    ("UnixMilli", "1720953045123"),
    ("UnixMicro", "1720953045123456"),
    ("Year", "2024"),
    ("Month", "July"),
    ("Day", "14"),
    ("Weekday", "Sunday"),
    ("YearDay", "196"),
    ("Hour", "12"),
    ("Minute", "30"),
    ("Second", "45"),
    ("Nanosecond", "123456000"),
    ("IsZero", "false"),
    ("String", "2024-07-14 12:30:45.123456 +0200 CEST"),
    ("Location", "Europe/Paris"),
    ("IsDST", "true"),
    (
        "GoString",
        'time.Date(2024, time.July, 14, 12, 30, 45, 123456000, time.Location("Europe/Paris"))',
    ),
    (
        "MarshalText",
        (
            "[50 48 50 52 45 48 55 45 49 52 84 49 50 58 51 48 58 52 53 46 49 50 51 52 53 54 43 "
            "48 50 58 48 48]"
        ),
    ),
    ("Clock", "!<$t.Clock>: function Clock has 3 return values; should be 1 or 2"),
    ("Date", "!<$t.Date>: function Date has 3 return values; should be 1 or 2"),
    (
        "ISOWeek",
        (
            "!<$t.ISOWeek>: invalid function signature for ISOWeek: second return value should "
            "be error; is int"
        ),
    ),
    (
        "Zone",
        (
            "!<$t.Zone>: invalid function signature for Zone: second return value should be "
            "error; is int"
        ),
    ),
    (
        "ZoneBounds",
        (
            "!<$t.ZoneBounds>: invalid function signature for ZoneBounds: second return value "
            "should be error; is time.Time"
        ),
    ),
    ("Foo", "!<$t.Foo>: can't evaluate field Foo in type time.Time"),
    ("wall", "!<$t.wall>: wall is an unexported field of struct type time.Time"),
]


@pytest.mark.parametrize(("method", "expected"), METHODS)
def test_methods(method: str, expected: str) -> None:
    assert outcome(f"{{{{ $t := {SUMMER_IN_PARIS} }}}}{{{{ $t.{method} }}}}") == expected


TIME = [
    ("{{ __timestamp__ }}", "2025-10-09 08:06:18.000000777 +0000 UTC"),
    ("{{ __timestamp__.UTC.Location }}", "UTC"),
    ("{{ __timestamp__.GoString }}", "time.Date(2025, time.October, 9, 8, 6, 18, 777, time.Local)"),
    ('{{ (toDate "x" "y").IsZero }}', "true"),
    ('{{ (toDate "x" "y").Unix }}', "-62135596800"),
    ('{{ (toDate "x" "y").UnixNano }}', "-6795364578871345152"),
    ('{{ printf "%s" __timestamp__.MarshalJSON }}', '"2025-10-09T08:06:18.000000777Z"'),
    ('{{ printf "%x" __timestamp__.UTC.MarshalBinary }}', "010000000ee07963fa00000309ffff"),
    (
        "{{ (__timestamp__.AddDate 9000 0 0).MarshalJSON }}",
        (
            "!<(__timestamp__.AddDate 9000 0 0).MarshalJSON>: error calling MarshalJSON: "
            "Time.MarshalJSON: year outside of range [0,9999]"
        ),
    ),
    (
        (
            '{{ printf "%T %T %T %T" __timestamp__ __timestamp__.Month __timestamp__.Weekday '
            "__timestamp__.Year }}"
        ),
        "time.Time time.Month time.Weekday int",
    ),
    (
        '{{ printf "%T %T" __timestamp__.Unix (__timestamp__.Sub __timestamp__) }}',
        "int64 time.Duration",
    ),
    ('{{ printf "%d %q" __timestamp__.Month __timestamp__.Weekday }}', '10 "Thursday"'),
    ("{{ add __timestamp__.Month 1 }}", "11"),
    ("{{ eq __timestamp__.Month 10 }}", "true"),
    ("{{ lt __timestamp__.Hour 12 }}", "true"),
    ("{{ __timestamp__.Month.String | upper }}", "OCTOBER"),
    (
        "{{ upper __timestamp__.Month }}",
        "!<__timestamp__>: wrong type for value; expected string; got time.Month",
    ),
    (
        "{{ __timestamp__.Month.Foo }}",
        "!<__timestamp__>: can't evaluate field Foo in type time.Month",
    ),
    ('{{ __timestamp__.Format "15:04" }}', "08:06"),
    ("{{ __timestamp__.Format 5 }}", "!<5>: expected string; found 5"),
    (
        "{{ __timestamp__.Format }}",
        "!<__timestamp__>: wrong number of args for Format: want 1 got 0",
    ),
    ('{{ "2006" | __timestamp__.Format }}', "2025"),
]


@pytest.mark.parametrize(("template", "expected"), TIME)
def test_time(template: str, expected: str) -> None:
    assert outcome(template) == expected


MOVING = [
    ("{{ __timestamp__.Add 1000000000 }}", "2025-10-09 08:06:19.000000777 +0000 UTC"),
    ("{{ __timestamp__.Add -1 }}", "2025-10-09 08:06:18.000000776 +0000 UTC"),
    ("{{ __timestamp__.Add 1e9 }}", "2025-10-09 08:06:19.000000777 +0000 UTC"),
    ("{{ __timestamp__.Add 1.5 }}", "!<1.5>: expected integer; found 1.5"),
    ('{{ __timestamp__.Add "1s" }}', '!<"1s">: expected integer; found "1s"'),
    (
        "{{ __timestamp__.Add (add 1 1) }}",
        "!<1>: wrong type for value; expected time.Duration; got int64",
    ),
    ("{{ __timestamp__.Add }}", "!<__timestamp__>: wrong number of args for Add: want 1 got 0"),
    (
        '{{ __timestamp__.Add (__timestamp__.Sub (unixToTime "1759997177")) }}',
        "2025-10-09 08:06:19.000001554 +0000 UTC",
    ),
    (
        "{{ 1000000000 | __timestamp__.Add }}",
        "!<__timestamp__>: wrong type for value; expected time.Duration; got int",
    ),
    ("{{ __timestamp__.AddDate 0 4 22 }}", "2026-03-03 08:06:18.000000777 +0000 UTC"),
    ("{{ __timestamp__.AddDate 0 -10 0 }}", "2024-12-09 08:06:18.000000777 +0000 UTC"),
    ('{{ (toDate "2006-01-02" "2024-01-31").AddDate 0 1 0 }}', "2024-03-02 00:00:00 +0000 UTC"),
    ("{{ __timestamp__.AddDate 100000 0 0 }}", "102025-10-09 08:06:18.000000777 +0000 UTC"),
    ("{{ __timestamp__.AddDate -3000 0 0 }}", "-0975-10-09 08:06:18.000000777 +0000 UTC"),
    (
        "{{ __timestamp__.AddDate 1 2 }}",
        "!<__timestamp__>: wrong number of args for AddDate: want 3 got 2",
    ),
    ("{{ __timestamp__.Truncate 3600000000000 }}", "2025-10-09 08:00:00 +0000 UTC"),
    ("{{ __timestamp__.Round 3600000000000 }}", "2025-10-09 08:00:00 +0000 UTC"),
    ("{{ __timestamp__.Truncate 0 }}", "2025-10-09 08:06:18.000000777 +0000 UTC"),
    ('{{ (toDate "2006" "1960").Truncate 604800000000000 }}', "1959-12-28 00:00:00 +0000 UTC"),
    (
        (
            '{{ (__timestamp__.In (toDateInZone "" "Asia/Kathmandu" "").Location).Format '
            '"15:04 MST -0700" }}'
        ),
        "13:51 +0545 +0545",
    ),
    (
        '{{ __timestamp__.In "UTC" }}',
        '!<"UTC">: can\'t handle "UTC" for arg of type *time.Location',
    ),
]


@pytest.mark.parametrize(("template", "expected"), MOVING)
def test_moving(template: str, expected: str) -> None:
    assert outcome(template) == expected


COMPARING = [
    ('{{ __timestamp__.Before (unixToTime "1759997179") }}', "true"),
    ('{{ __timestamp__.After (unixToTime "1759997179") }}', "false"),
    ("{{ __timestamp__.Equal __timestamp__.UTC }}", "true"),
    ('{{ __timestamp__.Compare (unixToTime "1759997178") }}', "1"),
    ("{{ eq __timestamp__ __timestamp__ }}", "true"),
    ("{{ eq __timestamp__ __timestamp__.UTC }}", "false"),
    (
        "{{ eq __timestamp__ 1 }}",
        (
            "!<eq __timestamp__ 1>: error calling eq: incompatible types for comparison: "
            "time.Time and int"
        ),
    ),
    (
        "{{ lt __timestamp__ __timestamp__ }}",
        "!<lt __timestamp__ __timestamp__>: error calling lt: invalid type for comparison",
    ),
    ("{{ __timestamp__.Before 5 }}", "!<5>: can't handle 5 for arg of type time.Time"),
    ("{{ not __timestamp__ }}", "false"),
]


@pytest.mark.parametrize(("template", "expected"), COMPARING)
def test_comparing(template: str, expected: str) -> None:
    assert outcome(template) == expected


DURATIONS = [
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).String }}', "1h59m38.000000777s"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Seconds }}', "7178.000000777"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Minutes }}', "119.63333334628334"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Hours }}', "1.9938888891047222"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Milliseconds }}', "7178000"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Microseconds }}', "7178000000"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Nanoseconds }}', "7178000000777"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Abs }}', "1h59m38.000000777s"),
    (
        '{{ (__timestamp__.Sub (unixToTime "1759990000")).Foo }}',
        '!<"1759990000">: can\'t evaluate field Foo in type time.Duration',
    ),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Round 3600000000000 }}', "2h0m0s"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Truncate 60000000000 }}', "1h59m0s"),
    ('{{ (__timestamp__.Sub (unixToTime "1759990000")).Round 0 }}', "1h59m38.000000777s"),
    (
        '{{ (__timestamp__.Sub (unixToTime "1759990000")).Seconds 1 }}',
        '!<"1759990000">: wrong number of args for Seconds: want 0 got 1',
    ),
    ("{{ __timestamp__.Sub __timestamp__ }}", "0s"),
    ('{{ __timestamp__.Sub (toDate "x" "y") }}', "2562047h47m16.854775807s"),
    ('{{ ((unixToTime "1759990000").Sub __timestamp__).Hours }}', "-1.9938888891047222"),
    ('{{ ((unixToTime "1759990000").Sub __timestamp__).Round 3600000000000 }}', "-2h0m0s"),
    ("{{ if __timestamp__.Sub __timestamp__ }}a{{ else }}b{{ end }}", "b"),
    (
        '{{ printf "%d %v %s %x" (__timestamp__.Sub (unixToTime "1759997178")) 1 2 3 }}',
        "777 1 %!s(int=2) 3",
    ),
]


@pytest.mark.parametrize(("template", "expected"), DURATIONS)
def test_durations(template: str, expected: str) -> None:
    assert outcome(template) == expected


CHAINS = [
    ('{{ (toDate "2006-01-02" "2024-02-29").Weekday }}', "Thursday"),
    ("{{ (__timestamp__).Unix }}", "1759997178"),
    ("{{ $t := __timestamp__ }}{{ $t.Unix }} {{ $t.UTC.Year }}", "1759997178 2025"),
    (
        "{{ $t := __timestamp__ }}{{ $t.Unix 1 }}",
        "!<$t.Unix>: wrong number of args for Unix: want 0 got 1",
    ),
    (
        "{{ $t := __timestamp__ }}{{ 1 | $t.Unix }}",
        "!<$t.Unix>: wrong number of args for Unix: want 0 got 1",
    ),
    ("{{ with __timestamp__ }}{{ .Year }}-{{ .Month }}{{ end }}", "2025-October"),
    ("{{ __timestamp__.UTC.Add 1000000000 | unixEpoch }}", "1759997179"),
    ("{{ (__timestamp__.UTC.Add 1000000000).Unix }}", "1759997179"),
    ("{{ __timestamp__.UTC.Year.Foo }}", "!<__timestamp__>: can't evaluate field Foo in type int"),
    ("{{ __timestamp__.Location.String }}", "UTC"),
    (
        "{{ __timestamp__.Location.name }}",
        "!<__timestamp__>: name is an unexported field of struct type *time.Location",
    ),
]


@pytest.mark.parametrize(("template", "expected"), CHAINS)
def test_chains(template: str, expected: str) -> None:
    assert outcome(template) == expected
