"""Where do user patterns go? To RE2, always; never to Python's `re`.

Errors carry Go's text (`error parsing regexp: …`), because clients of Loki see it.
"""

from functools import lru_cache
from typing import Any

import re2

from narfi.core.errors import InvalidRequestError

SEARCH_WORK = 400_000_000
"""Bytes times instructions that are searched between two looks whether the work is wanted: a second
at worst, where a pattern has too many states to be remembered. Usual patterns have 10 to 100."""
_CACHE_SIZE = 512
MAX_PATTERN_CHARACTERS = 64 * 1024

_GO_TEXTS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
    "pattern too large - compile failed": "expression too large",
}
"""RE2's words for an error, and Go's."""


class RegexSyntaxError(InvalidRequestError):
    """The pattern is not valid RE2 syntax."""


@lru_cache(maxsize=_CACHE_SIZE)
def compile_regex(pattern: str) -> Any:
    """A compiled RE2 program; raises `RegexSyntaxError` with Go's text."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise RegexSyntaxError("error parsing regexp: expression too large")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except UnicodeEncodeError as error:
        rest = pattern[error.start :]
        raise RegexSyntaxError(f"error parsing regexp: invalid UTF-8: `{rest}`") from None
    except re2.error as error:
        raise RegexSyntaxError(f"error parsing regexp: {_go_text(error, pattern)}") from error


def compile_anchored(pattern: str) -> Any:
    """As stream matchers compile: `^(?s:…)$` (reference/logql.md §3)."""
    compile_regex(pattern)
    return compile_regex(f"^(?s:{pattern})$")


def bytes_at_once(pattern: str) -> int:
    """So many bytes may be searched for the pattern between two looks; 1 at least."""
    return max(SEARCH_WORK // int(compile_regex(pattern).programsize), 1)


def _go_text(error: re2.error, pattern: str) -> str:
    raw = error.args[0] if error.args else b""
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    words, colon, rest = text.partition(": ")
    if words == "invalid perl operator" and rest.startswith("(?<"):
        return _no_name(pattern[pattern.find(rest) :])
    words = _GO_TEXTS.get(words, words)
    return f"{words}: `{rest}`" if colon or words.startswith("trailing") else words


def _no_name(group: str) -> str:
    """What Go says of `(?<` without a name behind it, which it takes for one: of `(?<=a)b`, too."""
    if len(group) <= len("(?<"):
        return f"invalid or unsupported Perl syntax: `{group}`"
    end = group.find(">") + 1
    return f"invalid named capture: `{group[:end] if end else group}`"
