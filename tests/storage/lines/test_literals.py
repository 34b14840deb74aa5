"""Does every match of a pattern contain its required literals?"""

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from narfi.core.errors import AppError
from narfi.core.regex import compile_regex
from storage.lines.literals import Required, required
from tests.reference.budget import examples

PIECES = [
    r"a",
    r"b",
    r"c",
    r"ab",
    r"bc",
    r"abc",
    r"xy",
    r"z",
    r"]",
    r"}",
    r")",
    r"{",
    r",",
    r"-",
    r"é",
    r"\.",
    r"\]",
    r"\[",
    r"\(",
    r"\)",
    r"\{",
    r"\}",
    r"\|",
    r"\\",
    r"\-",
    r"\d",
    r"\w",
    r"\s",
    r"\b",
    r"\B",
    r"\A",
    r"\z",
    r"\Q",
    r"\E",
    r"\x41",
    r"\x{e9}",
    r"\pL",
    r"\n",
    r"\t",
    r".",
    r"^",
    r"$",
    r"|",
    r"*",
    r"+",
    r"?",
    r"*?",
    r"+?",
    r"{2}",
    r"{0}",
    r"{0,2}",
    r"{1,}",
    r"{,2}",
    r"{a}",
    r"{(",
    r"{[",
    r"{|",
    r"(",
    r"(?:",
    r"(?i)",
    r"(?i:",
    r"(?s)",
    r"(?P<n>",
    r"(?P<n>x)",
    r"(?-i)",
    r"(?im)",
    r"(?-i:",
    r"K",
    r"s",
    r"X",
    r")",
    r"[ab]",
    r"[^ab]",
    r"[]a]",
    r"[^]a]",
    r"[a\]b]",
    r"[[:alpha:]]",
    r"[a-c]",
    r"[ab",
    r"[]",
    r"(ab|bc)",
    r"(ab)?",
    r"(ab)*",
    r"(ab){0}",
    r"(?:xy)+",
    r"ab*",
    r"ab+",
    r"(a\Q)bb(\E)?",
    r"\Qab*\E",
]
PATTERNS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=7).map("".join),
    st.text("abxy.*+?()[]{}|\\QE^$,0-2:i", max_size=12),
)
TEXTS = st.text("abcxyzABXZ.)(]}{[é,2 \\*|", max_size=12)


def sampled(pattern: str, random: Random) -> list[str]:
    """Texts that are near to what the pattern matches: without its operators, pieces left out."""
    found = []
    for _ in range(12):
        text, at = "", 0
        while at < len(pattern):
            char = pattern[at]
            if char == "\\" and at + 1 < len(pattern):
                at += 1
                char = pattern[at]
            if random.random() < 0.8:
                text += char
            at += 1
        for mark in random.sample("()[]{}|*+?^$QE\\,", random.randrange(16)):
            text = text.replace(mark, "")
        found.append(text)
    return found


@settings(max_examples=examples(700))
@given(PATTERNS, st.lists(TEXTS, max_size=5), st.integers(0, 1 << 16))
@example("a{(}xy)?", ["a{"], 0)
@example("ab{[}]xyz", ["ab{}xyz"], 0)
@example("ab{|}cd", ["ab{"], 0)
def test_every_match_contains_the_literals(pattern: str, texts: list[str], seed: int) -> None:
    try:
        program = compile_regex(pattern)
    except AppError:
        return
    need = required(pattern)
    for text in [*texts, *sampled(pattern, Random(seed))]:
        data = text.encode("utf-8", "surrogateescape")
        held = data.lower() if need.folded else data
        has_all = all(any(one in held for one in clause) for clause in need.clauses)
        if program.search(data) is not None:
            assert has_all, (pattern, text, need)
        elif need.exact:
            assert not has_all, (pattern, text, need)


@pytest.mark.parametrize(
    ("pattern", "clauses", "folded", "exact"),
    [
        ("timeout|refused", ((b"refused", b"timeout"),), False, True),
        ("(?i)exception", ((b"exception",),), True, True),
        ("(?i)task", ((b"ta",),), True, False),
        ("id=(a|b)[0-9]+ done", ((b" done",), (b"id=a", b"id=b")), False, False),
        ("x(?i:YZ)W", ((b"xyzw",),), True, False),
        ("ab+c", ((b"ab",),), False, False),
        ("(ab|c*)d", (), False, False),
        ("gr[ae]y", ((b"gray", b"grey"),), False, True),
        ("^GET /", ((b"GET /",),), False, False),
        ("(foo[0-9]|bar+) end", ((b" end",), (b"bar", b"foo")), False, False),
        ("ab|", (), False, False),
        ("|".join(map(str, range(10, 40))), (), False, False),
    ],
)
def test_what_is_required(
    pattern: str, clauses: tuple[tuple[bytes, ...], ...], folded: bool, exact: bool
) -> None:
    assert required(pattern) == Required(clauses=clauses, folded=folded, exact=exact)
