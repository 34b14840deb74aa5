"""Is each form of `${…}` what its table says? Values by hand from the rule."""

import pytest

from narfi.core.text.envsubst import SubstitutionError, expand_environment

ENVIRONMENT = {
    "V": "hello",
    "EMPTY": "",
    "PATHNAME": "/a/b/c.tar.gz",
    "UMLAUT": "über",
    "SPACED": "a b",
    "N": "2",
    "DOLLAR": "$V",
    "TWICE": "foofoobar",
    "STAR": "a*b",
    "_x1": "named",
    "1": "one",
}

PLAIN = [
    # outside of braces
    ("", ""),
    ("no variable", "no variable"),
    ("$V", "$V"),
    ("$", "$"),
    ("a$ b", "a$ b"),
    ("$$", "$"),
    ("$$$", "$$"),
    ("$$$$", "$$"),
    ("$$V", "$V"),
    ("$${V}", "${V}"),
    ("$$${V}", "$hello"),
    ("$${V:-d}", "${V:-d}"),
    ("$$1", "$1"),
    ("$1", "$1"),
    ("^(.*)$", "^(.*)$"),
    ("regex: '(\\\\d+)$'", "regex: '(\\d+)$'"),
    ("\\\\", "\\"),
    ("\\\\\\\\", "\\\\"),
    ("\\", "\\"),
    ("\\d+\\n", "\\d+\\n"),
    ("\\/var\\/log", "/var/log"),
    ("\\${V}", "\\hello"),
    ("\\\\${V}", "\\hello"),
    ("{$V} {{ .V }} }{", "{$V} {{ .V }} }{"),
    ("$ {V}", "$ {V}"),
    ("# ${V}\nb: ${EMPTY}\n", "# hello\nb: \n"),
    # the value
    ("${V}", "hello"),
    ("${V}${V}$", "hellohello$"),
    ("${EMPTY}|${UNSET}", "|"),
    ("${_x1}", "named"),
    ("${1}", "one"),  # a group of a relabel rule is a variable: write $${1}
    ("$${1}", "${1}"),
    ("${DOLLAR}", "$V"),  # what comes in is not looked at again
    ("${#V} ${#EMPTY} ${#UNSET}", "5 0 0"),
    ("${#UMLAUT}", "5"),  # bytes, as in Go
]

DEFAULTS = [
    ("${V:-d}", "hello"),
    ("${EMPTY:-d}", "d"),
    ("${UNSET:-d}", "d"),
    ("${UNSET:-}", ""),
    ("${V:=d} ${EMPTY:=d} ${UNSET:=d}", "hello d d"),
    ("${V=d} ${EMPTY=d} ${UNSET=d}", "hello d d"),
    ("${V-d} ${EMPTY-d} ${UNSET-d}", "hello  d"),
    ("${V:?e} ${UNSET:?e}", "hello e"),
    ("${V:+x} ${UNSET:+x}", "hello x"),  # as there: no alternative, a default
    ("${UNSET:-a b}", "a b"),
    ('${UNSET:-"q"}', '"q"'),
    ("${UNSET:-http://h:3100/loki?a=1&b=#c}", "http://h:3100/loki?a=1&b=#c"),
    ("${UNSET:-${V}}", "hello"),
    ("${UNSET:-${EMPTY:-${N}}}", "2"),
    ("${UNSET:-<${V^^}-${V:0:1}>}", "<HELLO-h>"),
    ("${V:-${UNSET}}", "hello"),
    ("${UNSET:-a}b}", "ab}"),  # the first brace ends it
    ("${UNSET:-{{x}}}", "{{x}}"),
    ("${UNSET:-$V}", "$V"),
    ("${UNSET:-^(.*)$}", "^(.*)$"),
    ("${UNSET:-\\\\d}", "\\\\d"),  # no escapes in a default
    ("${UNSET:-a\nb}", "a\nb"),
]

FORMS = [
    # letters
    ("${V^} ${V^^}", "Hello HELLO"),
    ("${UMLAUT^} ${UMLAUT^^}", "Über ÜBER"),
    ("${EMPTY^}${UNSET^^}", ""),
    ("${V,} ${V,,}", "hello hello"),
    # parts
    ("${V:0:2}", "he"),
    ("${V:2}", "llo"),
    ("${V:1:2}", "el"),
    ("${V:0}", "hello"),
    ("${V:0:0}", ""),
    ("${V:5} ${V:9}", " "),
    ("${V:3:99}", "lo"),
    ("${V:01:1}", "e"),
    ("${V:x} ${V:1:x} ${V:1.5}", "hello hello hello"),
    ("${V: -1}", "hello"),
    ("${V:${N}}", "llo"),
    ("${UNSET:2}${EMPTY:0:1}", ""),
    ("${UMLAUT:2}", "ber"),  # a letter of two bytes
    # beginnings and ends
    ("${PATHNAME#*/}", "a/b/c.tar.gz"),
    ("${PATHNAME##*/}", "c.tar.gz"),
    ("${PATHNAME%.*}", "/a/b/c.tar"),
    ("${PATHNAME%%.*}", "/a/b/c"),
    ("${PATHNAME#/a}", "/b/c.tar.gz"),
    ("${PATHNAME%gz}", "/a/b/c.tar."),
    ("${PATHNAME#/[a-c]}", "/b/c.tar.gz"),
    ("${PATHNAME#/[^a]}", "/a/b/c.tar.gz"),
    ("${V#h?l}", "lo"),
    ("${V##*l}", "o"),
    ("${V%l*}", "hel"),
    ("${V%%l*}", "he"),
    ("${V##h*o}", ""),
    ("${V#x}${V%x}", "hellohello"),
    ("${V#[}", "hello"),  # a class without its end is like nothing
    ("${STAR#a\\*}", "b"),
    ("${STAR#a[*]}", "b"),
    ("${PATHNAME#${UNSET:-/a}}", "/b/c.tar.gz"),
    # replacements
    ("${V/l/L}", "heLlo"),
    ("${V//l/L}", "heLLo"),
    ("${V/#he/J}", "Jllo"),
    ("${V/#lo/J}", "hello"),
    ("${V/%lo/p}", "help"),
    ("${V/%he/p}", "hello"),
    ("${V/l/}", "helo"),
    ("${V//l/}", "heo"),
    ("${V/l/a/b}", "hea/blo"),
    ("${TWICE//foo/x}", "xxbar"),
    ("${TWICE/foo/${V}}", "hellofoobar"),
    ("${STAR/*/x}", "axb"),  # plain text, no glob
    ("${V/?/x}", "hello"),
    ("${SPACED// /_}", "a_b"),
    ("${PATHNAME//\\//_}", "_a_b_c.tar.gz"),
    ("${V/l/\\/}", "he/lo"),
    ("${V/l/\\\\}", "he\\lo"),
    ("${V/l/$$}", "he$lo"),
    ("${UNSET/a/b}", ""),
]


@pytest.mark.parametrize(("text", "expected"), [*PLAIN, *DEFAULTS, *FORMS])
def test_what_a_text_becomes(text: str, expected: str) -> None:
    assert expand_environment(text, ENVIRONMENT) == expected


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("${", 0),
        ("a ${}", 2),
        ("${ V }", 0),
        ("${V", 0),
        ("${V }", 0),
        ("${V.x}", 0),
        ("${V+x}", 0),
        ("${V?x}", 0),
        ("${V@U}", 0),
        ("${!V}", 0),
        ("${#}", 0),
        ("${#V:1}", 0),
        ("${V:-x", 0),
        ("${V^x}", 0),
        ("${V:}", 0),
        ("${V:0:}", 0),
        ("${V:1:-1}", 0),
        ("${V#}", 0),
        ("${V%%}", 0),
        ("${V/}", 0),
        ("${V/l}", 0),
        ("${V//l}", 0),
        ("${V//}", 0),
        ("x ${A:-${", 7),
    ],
)
def test_what_has_no_meaning(text: str, offset: int) -> None:
    with pytest.raises(SubstitutionError) as caught:
        expand_environment(text, ENVIRONMENT)
    assert caught.value.offset == offset


def test_half_a_letter_stays_text() -> None:
    assert expand_environment("${UMLAUT:0:1}", ENVIRONMENT) == "\ufffd"


def test_a_large_file_and_a_long_value_take_no_time() -> None:
    value = "ab" * 20_000
    assert expand_environment("${A##*a}${A%%b*}", {"A": value}) == "ba"
    assert len(expand_environment("x: ${A}\n" * 2000, {"A": "y"})) == 10_000
