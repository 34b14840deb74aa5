"""Does `printf` print as `fmt.Sprintf`: verbs, flags, widths, indexes and complaints?"""

import pytest

from tests.core.text.template.outcomes import outcome

PRINTF = [
    ('{{ printf "%d %5d|%-5d|%05d|%+d|% d" 42 42 42 42 42 42 }}', "42    42|42   |00042|+42| 42"),
    (
        (
            '{{ printf "%x %X %#x %o %#o %O %b %#b %c %q %U %#U" 255 255 255 8 8 8 5 5 65 65 '
            "8364 8364 }}"
        ),
        "ff FF 0xff 10 010 0o10 101 0b101 A 'A' U+20AC U+20AC '€'",
    ),
    ('{{ printf "%.3d|%8.3d|%08.3d|%.0d|" 5 5 5 0 }}', "005|     005|     005||"),
    ('{{ printf "%d %x" -42 -42 }}', "-42 -2a"),
    ('{{ printf "%c %q %U" -1 1114112 55296 }}', "� '�' U+D800"),
    (
        (
            '{{ printf "%f %.2f %8.2f|%-8.2f|%08.2f|%+.1f|% f" 3.14159 3.14159 3.14159 3.14159 '
            "-3.14159 3.14159 3.0 }}"
        ),
        "3.141590 3.14     3.14|3.14    |-0003.14|+3.1| 3.000000",
    ),
    (
        (
            '{{ printf "%e %E %.1e %g %G %.3g %g" 12345.678 12345.678 12345.678 1e6 1e-7 '
            "1234.5 100000.0 }}"
        ),
        "1.234568e+04 1.234568E+04 1.2e+04 1e+06 1E-07 1.23e+03 100000",
    ),
    (
        '{{ printf "%g %v %#g %#v %x %b" 1e21 1e20 1.0 1e6 3.5 1.0 }}',
        "1e+21 1e+20 1.00000 1e+06 0x1.cp+01 4503599627370496p-52",
    ),
    (
        (
            '{{ printf "%f %5.1f|%+f %05f" (float64 "inf") (float64 "-inf") (float64 "nan") '
            '(float64 "inf") }}'
        ),
        "+Inf  -Inf|+NaN  +Inf",
    ),
    (
        (
            '{{ printf "%s|%5s|%-5s|%.2s|%05s|%q|%x|%X|% x|%#x" "abc" "abc" "abc" "abc" "abc" '
            '"abc" "abc" "abc" "abc" "abc" }}'
        ),
        'abc|  abc|abc  |ab|00abc|"abc"|616263|616263|61 62 63|0x616263',
    ),
    ('{{ printf "%5s|%-5s|%.2s|%q" "åé" "åé" "åéx" "å\\n\\"" }}', '   åé|åé   |åé|"å\\n\\""'),
    ('{{ printf "%q %+q %#q %x" "\\u202e" "é" "a`b" "é" }}', '"\\u202e" "\\u00e9" "a`b" c3a9'),
    ('{{ printf "%#q %q" "ab" .bad }}', '`ab` "a\\xffb"'),
    ('{{ printf "%t %v %5t|%s" true false true true }}', "true false  true|%!s(bool=true)"),
    (
        '{{ printf "%v %d %s %q %x %#v %T" nil nil nil nil nil nil nil }}',
        "<nil> %!d(<nil>) %!s(<nil>) %!q(<nil>) %!x(<nil>) <nil> <nil>",
    ),
    ('{{ printf "%v %#v %T" .x .x .x }}', 'abc "abc" string'),
    ('{{ printf "%v" (fromJson .j) }}', "map[a:map[b:[1 2.5 x <nil> true]] k:v n:<nil>]"),
    (
        '{{ printf "%#v" (fromJson .j) }}',
        (
            'map[string]interface {}{"a":map[string]interface {}{"b":[]interface {}{1, 2.5, '
            '"x", interface {}(nil), true}}, "k":"v", "n":interface {}(nil)}'
        ),
    ),
    (
        '{{ printf "%d" (fromJson .j) }}',
        (
            "map[%!d(string=a):map[%!d(string=b):[%!d(float64=1) %!d(float64=2.5) "
            "%!d(string=x) <nil> %!d(bool=true)]] %!d(string=k):%!d(string=v) "
            "%!d(string=n):<nil>]"
        ),
    ),
    (
        '{{ printf "%s %q %05.1f" (fromJson .a) (fromJson .a) (fromJson .a) }}',
        (
            "[%!s(float64=1) %!s(float64=2) %!s(float64=3)] [%!q(float64=1) %!q(float64=2) "
            "%!q(float64=3)] [001.0 002.0 003.0]"
        ),
    ),
    (
        (
            '{{ printf "%v %s %d %q" __timestamp__.Month __timestamp__.Month '
            "__timestamp__.Month __timestamp__.Month }}"
        ),
        'October October 10 "October"',
    ),
    ('{{ printf "%t %z" __timestamp__.Month 5 }}', "%!t(time.Month=10) %!z(int=5)"),
    ('{{ printf "%v %.1f %+v" 1+2i 1.5i 2i }}', "(1+2i) (0.0+1.5i) (0+2i)"),
    ('{{ printf "%d" "x" }}', "%!d(string=x)"),
    ('{{ printf "%5d" "x" }}', "%!d(string=    x)"),
    ('{{ printf "%s" 5 }}', "%!s(int=5)"),
    ('{{ printf "%d %s" 1.5 true }}', "%!d(float64=1.5) %!s(bool=true)"),
    ('{{ printf "%!" 1 }}', "%!!(int=1)"),
    ('{{ printf "%" 1 }}', "%!(NOVERB)%!(EXTRA int=1)"),
    ('{{ printf "%5" }}', "%!(NOVERB)"),
    ('{{ printf "%d" }}', "%!d(MISSING)"),
    ('{{ printf "%d %d" 1 }}', "1 %!d(MISSING)"),
    ('{{ printf "%d" 1 2 "a" nil 1.5 }}', "1%!(EXTRA int=2, string=a, <nil>, float64=1.5)"),
    ('{{ printf "x" .x }}', "x%!(EXTRA string=abc)"),
    ('{{ printf "%%" }}', "%"),
    ('{{ printf "%5%|%-5%" }}', "%|%"),
    ('{{ printf "%*d|%-*d|%0*d" 5 42 5 42 5 42 }}', "   42|42   |00042"),
    ('{{ printf "%*d" -5 42 }}|', "42   |"),
    ('{{ printf "%*d" "x" 42 }}', "%!(BADWIDTH)42"),
    ('{{ printf "%*d" 1000001 42 }}', "%!(BADWIDTH)42"),
    ('{{ printf "%.*f|%.*f" 2 1.5 -1 1.5 }}', "1.50|%!(BADPREC)1.500000"),
    ('{{ printf "%.*s" "x" "abc" }}', "%!(BADPREC)abc"),
    ('{{ printf "%[2]d %[1]d" 1 2 }}', "2 1"),
    ('{{ printf "%[3]d" 1 2 }}', "%!d(BADINDEX)"),
    ('{{ printf "%[x]d %[0]d %[1" 1 2 }}', "%!d(BADINDEX) %!d(BADINDEX) %!(NOVERB)"),
    ('{{ printf "%[1]*[2]d|" 5 42 }}', "   42|"),
    ('{{ printf "%[2]*[1]d|" 42 5 }}', "   42|"),
    ('{{ printf "%[1]5d" 42 }}', "%!d(BADINDEX)"),
    ('{{ printf "%[1]d %d" 1 2 }}', "1 2"),
    ('{{ printf "%1000000000d" 1 }}', "%!(NOVERB)%!(EXTRA int=1)"),
    ('{{ printf "%w %p" 1 "a" }}', "%!w(int=1) %!p(string=a)"),
    ('{{ printf "%y" "a" }}', "%!y(string=a)"),
    ('{{ printf "%-010d|%+05d|% 05d" 42 42 42 }}', "42        |+0042| 0042"),
    ('{{ printf "%s" (len .x) }}', "%!s(int=3)"),
    ("{{ printf 5 }}", "!<5>: expected string; found 5"),
    ("{{ printf }}", "!<printf>: wrong number of args for printf: want at least 1 got 0"),
    ('{{ 5 | printf "%d %d" 4 }}', "4 5"),
    ('{{ "abc" | printf "%s" }}', "abc"),
    ('{{ printf "%s" __timestamp__.UTC.MarshalText }}', "2025-10-09T08:06:18.000000777Z"),
    (
        (
            '{{ printf "%v %x %q" __timestamp__.UTC.MarshalText __timestamp__.UTC.MarshalText '
            "__timestamp__.UTC.MarshalText | trunc 40 }}"
        ),
        "[50 48 50 53 45 49 48 45 48 57 84 48 56 ",
    ),
]


@pytest.mark.parametrize(("template", "expected"), PRINTF)
def test_printf(template: str, expected: str) -> None:
    assert outcome(template) == expected
