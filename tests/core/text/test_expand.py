"""What do replacements mean? By the rules of Go's `Regexp.Expand`."""

import pytest

from narfi.core.regex import compile_regex
from narfi.core.text.expand import expand


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("$1", "a"),
        ("<$1$2>", "<ab>"),
        ("${1}x", "ax"),
        ("$1x", ""),  # a group called 1x
        ("$0", "ab"),
        ("$n", "b"),
        ("${n}m", "bm"),
        ("$nm", ""),
        ("$3", ""),
        ("$99", ""),
        ("$01", ""),  # a number has no leading zero
        ("$100000000", ""),
        ("$18446744073709551617", ""),
        ("$$1", "$1"),
        ("$", "$"),
        ("a$", "a$"),
        ("$-", "$-"),
        ("${1", "${1"),
        ("${}", "${}"),
        ("${1 }", "${1 }"),
        ("$é", ""),
        ("\\1", "\\1"),
    ],
)
def test_expand(template: str, expected: str) -> None:
    match = next(compile_regex("(a)(?P<n>b)(c)?").finditer("ab"))
    assert expand(template, match) == expected


def test_groups_are_cut_from_another_text() -> None:
    match = next(compile_regex("(.)(.)").finditer("\ufffdb"))
    assert expand("<$1|$2>", match, "\udcffb") == "<\udcff|b>"
