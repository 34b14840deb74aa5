"""Where do user patterns go? To RE2, always; never to Python's `re`.

Errors carry Go's text (`error parsing regexp: …`), because clients of Loki see it.
"""

from functools import lru_cache
from typing import Any

import re2

from narfi.core.errors import InvalidRequestError

_CACHE_SIZE = 512


class RegexSyntaxError(InvalidRequestError):
    """The pattern is not valid RE2 syntax."""


@lru_cache(maxsize=_CACHE_SIZE)
def compile_regex(pattern: str) -> Any:
    """A compiled RE2 program over bytes or text; raises `RegexSyntaxError` with Go's text."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        raise RegexSyntaxError(f"error parsing regexp: {error}") from error


def compile_anchored(pattern: str) -> Any:
    """As stream matchers compile: `^(?s:…)$` (reference/logql.md §3)."""
    compile_regex(pattern)
    return compile_regex(f"^(?s:{pattern})$")
