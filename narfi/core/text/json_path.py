"""Which member does a JSON expression name? `a.b["c d"][0]` (reference/logql.md §6.2)."""

from narfi.core.errors import InvalidRequestError
from narfi.core.units import UnitError, parse_int

Path = tuple[str | int, ...]
"""Member names and array indices."""


class JsonPathError(InvalidRequestError):
    """An expression that names nothing."""


_NAMES = {"[": "LSB", "]": "RSB", ".": "DOT"}
_SPACE = " \t\n"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")


def parse_json_path(text: str) -> Path:
    """The path, or `JsonPathError` with the recorded text."""
    tokens, reason = _tokens(text)
    path: list[str | int] = []
    kind, value = tokens.pop(0)
    if kind == "FIELD":
        path.append(value)
    elif kind == "LSB":
        path.append(_index(text, tokens))
    else:
        raise _unexpected(text, kind, "LSB or FIELD")
    while True:
        kind, value = tokens.pop(0)
        if kind == "$end" and reason:
            raise _error(text, reason)
        if kind == "$end":
            return tuple(path)
        if kind == "LSB":
            path.append(_index(text, tokens))
        elif kind == "DOT":
            kind, value = tokens.pop(0)
            if kind != "FIELD":
                raise _unexpected(text, kind, "FIELD")
            path.append(value)
        else:
            raise _unexpected(text, kind, "")


def _index(text: str, tokens: list[tuple[str, str]]) -> str | int:
    kind, value = tokens.pop(0)
    if kind not in ("STRING", "INDEX"):
        raise _unexpected(text, kind, "STRING or INDEX")
    close, _ = tokens.pop(0)
    if close != "RSB":
        raise _unexpected(text, close, "RSB")
    return value if kind == "STRING" else int(value)


def _unexpected(text: str, kind: str, expected: str) -> JsonPathError:
    wanted = f", expecting {expected}" if expected else ""
    return _error(text, f"syntax error: unexpected {kind}{wanted}")


def _error(text: str, reason: str) -> JsonPathError:
    return JsonPathError(f"cannot parse expression [{text}]: {reason}")


def _tokens(text: str) -> tuple[list[tuple[str, str]], str]:
    """Tokens up to the end, or up to what is none, and why that is none.

    To the recorded server both are an end; the reason is told only where the path may end.
    """
    found: list[tuple[str, str]] = []
    at, reason = 0, ""
    while at < len(text) and not reason:
        char = text[at]
        end = at + 1
        if char in _NAMES:
            found.append((_NAMES[char], char))
        elif char == '"':
            while end < len(text) and text[end] not in '"]':
                end += 1
            found.append(("STRING", text[at + 1 : end]))
            end += 1  # a closing bracket ends a text as well
        elif char in _DIGITS:
            end = _run(text, at, _DIGITS)
            reason = _no_index(text[at:end], text[end : end + 1])
            if not reason:
                found.append(("INDEX", text[at:end]))
        elif char in _LETTERS:
            end = _run(text, at, _LETTERS | _DIGITS)
            found.append(("FIELD", text[at:end]))
        elif char not in _SPACE:
            reason = f"unexpected char {char}"
        at = end
    found.append(("$end", ""))
    return found, reason


def _run(text: str, at: int, chars: frozenset[str]) -> int:
    while at < len(text) and text[at] in chars:
        at += 1
    return at


def _no_index(digits: str, behind: str) -> str:
    """Why digits before this character are no index; empty when they are one."""
    if behind == ".":
        return "cannot use float as array index"
    if behind != "]" and (not behind or behind not in _SPACE):
        return f"non-integer value: {behind or chr(0)}"
    try:
        parse_int(digits, "strconv.Atoi")
    except UnitError as error:
        return error.message
    return ""
