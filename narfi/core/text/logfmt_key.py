"""Which key does a logfmt expression name? A key, or a quoted text (reference/logql.md §6.4)."""

import re  # our own patterns over a short text

from narfi.core.errors import InvalidRequestError


class LogfmtKeyError(InvalidRequestError):
    """An expression that names no key."""


_SPACE = " \t\n"
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_logfmt_key(text: str) -> str:
    """The key that the expression means; raises `LogfmtKeyError` with the recorded text."""
    rest = text.lstrip(_SPACE)
    match = _KEY.match(rest)
    if match is not None:
        key, rest = match.group(), rest[match.end() :]
    elif rest.startswith('"'):
        key = re.split('["\\]]', rest[1:], maxsplit=1)[0]  # a bracket ends a text as well
        rest = rest[len(key) + 2 :]
    else:
        raise _error(text, "syntax error: unexpected $end, expecting STRING or KEY")
    rest = rest.lstrip(_SPACE)
    if _KEY.match(rest):
        raise _error(text, "syntax error: unexpected KEY")
    if rest.startswith('"'):
        raise _error(text, "syntax error: unexpected STRING")
    if rest:
        raise _error(text, f"unexpected char {rest[0]}")
    return key


def _error(text: str, reason: str) -> LogfmtKeyError:
    return LogfmtKeyError(f"cannot parse expression [{text}]: {reason}")
