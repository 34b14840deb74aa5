"""Which key does a logfmt expression name? A key, or a quoted text (reference/logql.md §6.4)."""

from narfi.core.errors import InvalidRequestError


class LogfmtKeyError(InvalidRequestError):
    """An expression that names no key."""


def check_logfmt_key(text: str) -> str:
    """The key that the expression means; raises `LogfmtKeyError` with the recorded text."""
    if not text:
        raise _error(text, "syntax error: unexpected $end, expecting STRING or KEY")
    if text.startswith('"'):
        end = text.find('"', 1)
        return text[1 : end if end > 0 else len(text)]
    if not (text[0] == "_" or (text[0].isascii() and text[0].isalpha())):
        raise _error(text, "syntax error: unexpected $end, expecting STRING or KEY")
    for char in text:
        if char == " ":
            raise _error(text, "syntax error: unexpected KEY")
        if not (char == "_" or char.isalnum()):
            raise _error(text, f"unexpected char {char}")
    return text


def _error(text: str, reason: str) -> LogfmtKeyError:
    return LogfmtKeyError(f"cannot parse expression [{text}]: {reason}")
