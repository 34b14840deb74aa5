"""Do texts become what Go and Sprig make of them, whatever they hold?"""

import pytest

from tests.core.text.template.outcomes import outcome

CASE = [
    ('{{ lower "ÄB ΑΣ İ" }}', "äb ασ i"),
    ('{{ upper "äß ﬁ ǆ ᾳ ŉ" }}', "Äß ﬁ Ǆ ᾼ ŉ"),
    ('{{ title "hello wORLD it\'s 1st a_b a-b éa ǆ" }}', "Hello WORLD It'S 1st A_b A-B Éa ǅ"),
    ('{{ title "a\\u00a0b\\u3000c\\u00b2d" }}', "A\xa0B\u3000C\xb2d"),
    ('{{ ToLower "ABC" }}', "abc"),
    ("{{ ToUpper .u }}", "ÅSA ÖBERG"),
    ('{{ lower .bad | printf "%+q" }}', '"a\\ufffdb"'),
    ('{{ upper .bad | printf "%+q" }}', '"A\\ufffdB"'),
    ("{{ lower 5 }}", "!<5>: expected string; found 5"),
    ("{{ lower nil }}", "!<nil>: cannot assign nil to string"),
    ("{{ lower (int 5) }}", "!<5>: wrong type for value; expected string; got int"),
    ("{{ lower .nosuch }}", ""),
    (
        "{{ lower (fromJson .j).zz }}",
        "!<.j>: wrong type for value; expected string; got interface {}",
    ),
    ("{{ lower (fromJson .j).k }}", "v"),
    ("{{ lower . }}", "!<.>: wrong type for value; expected string; got map[string]string"),
    ("{{ lower }}", "!<lower>: wrong number of args for lower: want 1 got 0"),
    ('{{ lower "a" "b" }}', "!<lower>: wrong number of args for lower: want 1 got 2"),
]


@pytest.mark.parametrize(("template", "expected"), CASE)
def test_case(template: str, expected: str) -> None:
    assert outcome(template) == expected


CUTTING = [
    ('{{ trunc 2 "héllo" | printf "%+q" }}', '"h\\xc3"'),
    ('{{ trunc 0 "abc" }}', ""),
    ('{{ trunc 100 "abc" }}', "abc"),
    ('{{ trunc -2 "abc" }}', "bc"),
    ('{{ trunc -3 "abc" }}', "abc"),
    ('{{ trunc -100 "abc" }}', "abc"),
    ('{{ trunc 9223372036854775807 "abc" }}', "abc"),
    ('{{ trunc -9223372036854775808 "abc" }}', "abc"),
    ('{{ trunc 1e0 "abc" }}', "a"),
    ("{{ trunc 'a' \"abc\" }}", "abc"),
    ('{{ trunc 1.5 "abc" }}', "!<1.5>: expected integer; found 1.5"),
    ('{{ trunc "2" "abc" }}', '!<"2">: expected integer; found "2"'),
    ('{{ trunc .n "abc" }}', "!<.n>: wrong type for value; expected int; got string"),
    ('{{ trunc nil "abc" }}', "!<nil>: cannot assign nil to int"),
    (
        '{{ trunc 18446744073709551615 "abc" }}',
        "!<18446744073709551615>: expected integer; found 18446744073709551615",
    ),
    ('{{ substr 1 3 "héllo" }}', "é"),
    ('{{ substr 0 2 "héllo" | printf "%+q" }}', '"h\\xc3"'),
    ('{{ substr -1 2 "abc" }}', "ab"),
    (
        '{{ substr -1 4 "abc" }}',
        (
            '!<substr -1 4 "abc">: error calling substr: runtime error: slice bounds out of '
            "range [:4] with length 3"
        ),
    ),
    (
        '{{ substr -1 -1 "abc" }}',
        (
            '!<substr -1 -1 "abc">: error calling substr: runtime error: slice bounds out of '
            "range [:-1]"
        ),
    ),
    ('{{ substr 1 -1 "abc" }}', "bc"),
    ('{{ substr 1 100 "abc" }}', "bc"),
    ('{{ substr 3 9 "abc" }}', ""),
    (
        '{{ substr 4 9 "abc" }}',
        (
            '!<substr 4 9 "abc">: error calling substr: runtime error: slice bounds out of '
            "range [4:3]"
        ),
    ),
    (
        '{{ substr 2 1 "abc" }}',
        (
            '!<substr 2 1 "abc">: error calling substr: runtime error: slice bounds out of '
            "range [2:1]"
        ),
    ),
    ('{{ print (substr 0 1 "é") (substr 1 2 "é") | alignLeft 2 }}', "é "),
]


@pytest.mark.parametrize(("template", "expected"), CUTTING)
def test_cutting(template: str, expected: str) -> None:
    assert outcome(template) == expected


ALIGNING = [
    ("{{ alignLeft -1 .x }}|", "abc|"),
    ("{{ alignRight -1 .x }}|", "abc|"),
    ("{{ alignLeft 0 .x }}|", "|"),
    ("{{ alignRight 0 .x }}|", "|"),
    ('{{ alignLeft 5 "åé" }}|', "åé   |"),
    ('{{ alignRight 5 "åé" }}|', "   åé|"),
    ("{{ alignLeft 3 .u }}|", "åsa|"),
    ("{{ alignRight 3 .u }}|", "erg|"),
    ("{{ alignLeft 3 .x }}|", "abc|"),
    ('{{ alignLeft 2 .bad | printf "%+q" }}', '"a\\ufffd"'),
    ('{{ alignRight 2 .bad | printf "%+q" }}', '"\\ufffdb"'),
    ('{{ alignLeft 4 .bad | printf "%+q" }}', '"a\\xffb "'),
    ("{{ alignLeft -9223372036854775808 .x }}|", "abc|"),
    ('{{ alignLeft "3" .x }}', '!<"3">: expected integer; found "3"'),
]


@pytest.mark.parametrize(("template", "expected"), ALIGNING)
def test_aligning(template: str, expected: str) -> None:
    assert outcome(template) == expected


REPEATING = [
    ('{{ repeat 3 "ab" }}', "ababab"),
    ('{{ repeat 0 "ab" }}', ""),
    (
        '{{ repeat -1 "ab" }}',
        '!<repeat -1 "ab">: error calling repeat: strings: negative Repeat count',
    ),
    ('{{ indent 2 "a\\nb" }}', "  a\n  b"),
    ('{{ indent 0 "a" }}', "a"),
    (
        '{{ indent -1 "a" }}',
        '!<indent -1 "a">: error calling indent: strings: negative Repeat count',
    ),
    ('{{ nindent 2 "a\\n\\nb" }}', "\n  a\n  \n  b"),
    (
        '{{ nindent -1 "a" }}',
        '!<nindent -1 "a">: error calling nindent: strings: negative Repeat count',
    ),
    ('{{ indent 2 "" }}|', "  |"),
]


@pytest.mark.parametrize(("template", "expected"), REPEATING)
def test_repeating(template: str, expected: str) -> None:
    assert outcome(template) == expected


REPLACING = [
    ('{{ replace "a" "b" "banana" }}', "bbnbnb"),
    ('{{ replace "" "-" "aé" }}', "-a-é-"),
    ('{{ replace "a" "" "banana" }}', "bnn"),
    ('{{ replace "\\xc3" "x" "é" | printf "%+q" }}', '"x\\xa9"'),
    ('{{ Replace "aaaa" "a" "b" 2 }}', "bbaa"),
    ('{{ Replace "aaaa" "a" "b" 0 }}', "aaaa"),
    ('{{ Replace "aaaa" "a" "b" -5 }}', "bbbb"),
    ('{{ Replace "abc" "" "-" 2 }}', "-a-bc"),
    ('{{ Replace "abc" "" "-" -1 }}', "-a-b-c-"),
    ('{{ Replace "abc" "b" "x" "1" }}', '!<"1">: expected integer; found "1"'),
]


@pytest.mark.parametrize(("template", "expected"), REPLACING)
def test_replacing(template: str, expected: str) -> None:
    assert outcome(template) == expected


TRIMMING = [
    ('{{ trim "\\u3000\\t a b\\u2028\\u0085" }}|', "a b|"),
    ('{{ trim "\\u200b a\\x1c" | printf "%+q" }}', '"\\u200b a\\x1c"'),
    ('{{ TrimSpace "\\v\\f a \\u00a0" }}|', "a|"),
    ('{{ trimAll "ab" "abcab" }}', "c"),
    ('{{ trimAll "" " a " }}|', " a |"),
    ('{{ trimAll "é" "éxé" }}', "x"),
    ('{{ Trim "xxaxx" "x" }}', "a"),
    ('{{ TrimLeft "xxaxx" "x" }}', "axx"),
    ('{{ TrimRight "xxaxx" "x" }}', "xxa"),
    ('{{ trimPrefix "a" "aab" }}', "ab"),
    ('{{ trimSuffix "b" "abb" }}', "ab"),
    ('{{ trimPrefix "" "a" }}', "a"),
    ('{{ TrimPrefix "aab" "a" }}', "ab"),
    ('{{ TrimSuffix "abb" "b" }}', "ab"),
    ('{{ trimPrefix "abc" "ab" }}', "ab"),
]


@pytest.mark.parametrize(("template", "expected"), TRIMMING)
def test_trimming(template: str, expected: str) -> None:
    assert outcome(template) == expected


ASKING = [
    ('{{ contains "" .x }}', "true"),
    ('{{ contains "\\xc3" "é" }}', "true"),
    ('{{ contains "b" .x }}', "true"),
    ('{{ hasPrefix "a" .x }}', "true"),
    ('{{ hasPrefix "" "" }}', "true"),
    ('{{ hasSuffix "\\xa9" "é" }}', "true"),
    ('{{ hasSuffix "c" .x }}', "true"),
    ("{{ contains 1 .x }}", "!<1>: expected string; found 1"),
]


@pytest.mark.parametrize(("template", "expected"), ASKING)
def test_asking(template: str, expected: str) -> None:
    assert outcome(template) == expected


ENCODINGS = [
    ("{{ b64enc .bad }}", "Yf9i"),
    ('{{ b64dec "YQ" }}', "a"),
    ('{{ b64dec "YQ==" }}', "a"),
    ('{{ b64dec "YW\\nJj" }}', "illegal base64 data at input byte 5"),
    ('{{ b64dec "!!" }}', "illegal base64 data at input byte 0"),
    ('{{ b64dec "a" }}', "illegal base64 data at input byte 1"),
    ('{{ b64dec "YQ==YQ==" }}', "illegal base64 data at input byte 4"),
    ('{{ b64dec "YWJj=" }}', "illegal base64 data at input byte 4"),
    ('{{ b64dec "Y=JjYWJj" }}', "illegal base64 data at input byte 1"),
    ('{{ b64dec "" }}', ""),
    ('{{ b64dec "/w==" | printf "%+q" }}', '"\\xff"'),
    ('{{ urlencode "a b&c/é~-_.+" }}', "a+b%26c%2F%C3%A9~-_.%2B"),
    ("{{ urlencode .bad }}", "a%FFb"),
    ('{{ urldecode "a+b%20c%C3%A9" }}', "a b cé"),
    ('{{ urldecode "%ff" | printf "%+q" }}', '"\\xff"'),
    (
        '{{ urldecode "%zz" }}',
        '!<urldecode "%zz">: error calling urldecode: invalid URL escape "%zz"',
    ),
    ('{{ urldecode "a%" }}', '!<urldecode "a%">: error calling urldecode: invalid URL escape "%"'),
    (
        '{{ urldecode "a%4" }}',
        '!<urldecode "a%4">: error calling urldecode: invalid URL escape "%4"',
    ),
    ('{{ urldecode "%é" }}', '!<urldecode "%é">: error calling urldecode: invalid URL escape "%é"'),
]


@pytest.mark.parametrize(("template", "expected"), ENCODINGS)
def test_encodings(template: str, expected: str) -> None:
    assert outcome(template) == expected


REGEXES = [
    ('{{ regexReplaceAll "a*" "baaac" "x" }}', "xbxcx"),
    ('{{ regexReplaceAll "" "ab" "-" }}', "-a-b-"),
    ('{{ regexReplaceAll "(a)(x)?" "aab" "[$1$2]" }}', "[a][a]b"),
    ('{{ regexReplaceAll "(a)" "ab" "$1x" }}|', "b|"),
    ('{{ regexReplaceAll "(a)" "ab" "${1}x" }}', "axb"),
    ('{{ regexReplaceAll "(?P<n>a)" "ab" "$n-${n}" }}', "a-ab"),
    ('{{ regexReplaceAll "(?P<n>a)" "ab" "$nx" }}', "b"),
    ('{{ regexReplaceAll "(a)" "ab" "$01$9$$" }}', "$b"),
    ('{{ regexReplaceAll "(a)" "ab" "${1$" }}', "${1$b"),
    ('{{ regexReplaceAll "(a)" "ab" "$0$0" }}', "aab"),
    ('{{ regexReplaceAll "b" .x "\\\\1" }}', "a\\1c"),
    ('{{ regexReplaceAll "." .bad "x" }}', "xxx"),
    ('{{ regexReplaceAll "(.)" .bad "<$1>" | printf "%+q" }}', '"<a><\\xff><b>"'),
    (
        '{{ regexReplaceAll "(" .x "" }}',
        (
            '!<regexReplaceAll "(" .x "">: error calling regexReplaceAll: error parsing '
            "regexp: missing closing ): `(`"
        ),
    ),
    ('{{ regexReplaceAllLiteral "(b)" .x "$1" }}', "a$1c"),
    (
        '{{ regexReplaceAllLiteral "[" .x "" }}',
        (
            '!<regexReplaceAllLiteral "[" .x "">: error calling regexReplaceAllLiteral: error '
            "parsing regexp: missing closing ]: `[`"
        ),
    ),
    ('{{ count "a*" "baaac" }}', "3"),
    ('{{ count "" "ab" }}', "3"),
    ('{{ count "." .u }}', "9"),
    ('{{ count "(?i)ÅSA" .u }}', "1"),
    (
        '{{ count "*" "" }}',
        (
            '!<count "*" "">: error calling count: error parsing regexp: missing argument to '
            "repetition operator: `*`"
        ),
    ),
    ("{{ count 1 .x }}", "!<1>: expected string; found 1"),
]


@pytest.mark.parametrize(("template", "expected"), REGEXES)
def test_regexes(template: str, expected: str) -> None:
    assert outcome(template) == expected
