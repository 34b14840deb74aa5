"""Is each word of a Go layout written as Go writes it?"""

import pytest

from tests.core.text.template.outcomes import outcome

MARCH_IN_ST_JOHNS = 'toDateInZone "2006-01-02 15:04:05" "America/St_Johns" "2024-03-05 16:07:08.09"'


WORDS = [
    ("Jan", "Mar"),
    ("January", "March"),
    ("1", "3"),
    ("01", "03"),
    ("_2", " 5"),
    ("2", "5"),
    ("02", "05"),
    ("__2", " 65"),
    ("002", "065"),
    ("Mon", "Tue"),
    ("Monday", "Tuesday"),
    ("15", "16"),
    ("3", "4"),
    ("03", "04"),
    ("4", "7"),
    ("04", "07"),
    ("5", "8"),
    ("05", "08"),
    (".000", ".090"),
    (",000", ",090"),
    (".999", ".09"),
    (".000000000", ".090000000"),
    (",9", ""),
    ("PM", "PM"),
    ("pm", "pm"),
    ("MST", "NST"),
    ("Z0700", "-0330"),
    ("Z07:00", "-03:30"),
    ("-0700", "-0330"),
    ("-07:00", "-03:30"),
    ("-07", "-03"),
    ("Z07", "-03"),
    ("Z070000", "-033000"),
    ("-07:00:00", "-03:30:00"),
    ("2006", "2024"),
    ("06", "24"),
    ("_2006", "_2024"),
    ("Janet", "Janet"),
    ("Mono", "Mono"),
    ("20060102T150405", "20240305T160708"),
    ("0", "0"),
    ("7", "7"),
    ("x2y", "x5y"),
    (".0000x", ".0900x"),
    (".00a", ".09a"),
    ("Jan2", "Mar5"),
    ("é", "é"),
]


@pytest.mark.parametrize(("layout", "expected"), WORDS)
def test_words(layout: str, expected: str) -> None:
    assert outcome(f'{{{{ $t := {MARCH_IN_ST_JOHNS} }}}}{{{{ $t.Format "{layout}" }}}}') == expected


ODD_TIMES = [
    (
        '{{ (toDate "x" "y").Format "2006 06 Jan _2 15 3PM .000 .999" }}|',
        "0001 01 Jan  1 00 12AM .000 |",
    ),
    ('{{ (__timestamp__.AddDate -3000 0 0).Format "2006 06" }}', "-0975 75"),
    ('{{ (__timestamp__.AddDate 9000 0 0).Format "2006 06" }}', "11025 25"),
    ('{{ (toDate "15" "0").Format "3 03 PM" }}', "12 12 AM"),
    ('{{ (toDate "15" "12").Format "3 03 pm" }}', "12 12 pm"),
    (
        '{{ (toDateInZone "2006" "Asia/Kathmandu" "1900").Format "Z07:00:00 -0700 MST" }}',
        "+05:41:16 +0541 LMT",
    ),
    ('{{ __timestamp__.Format "" }}|', "|"),
    ('{{ __timestamp__.UTC.Format "Z0700 Z07:00 Z07 MST -07" }}', "Z Z Z UTC +00"),
]


@pytest.mark.parametrize(("template", "expected"), ODD_TIMES)
def test_odd_times(template: str, expected: str) -> None:
    assert outcome(template) == expected
