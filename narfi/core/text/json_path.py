"""Which member does a JSON expression name? `a.b["c d"][0]` (reference/logql.md §6.2)."""

from narfi.core.errors import InvalidRequestError
from narfi.core.units import UnitError, parse_int

Path = tuple[str | int, ...]
"""Member names and array indices."""


class JsonPathError(InvalidRequestError):
    """An expression that names nothing."""


_NAMES = {"[": "LSB", "]": "RSB", ".": "DOT"}


def parse_json_path(text: str) -> Path:
    """The path, or `JsonPathError` with the recorded text."""
    tokens = _tokens(text)
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
    if kind == "STRING":
        return value
    try:
        return parse_int(value, "strconv.Atoi")
    except UnitError as error:
        raise JsonPathError(f"cannot parse expression [{text}]: {error.message}") from None


def _unexpected(text: str, kind: str, expected: str) -> JsonPathError:
    wanted = f", expecting {expected}" if expected else ""
    return JsonPathError(
        f"cannot parse expression [{text}]: syntax error: unexpected {kind}{wanted}"
    )


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        char = text[at]
        end = at + 1
        if char in _NAMES:
            found.append((_NAMES[char], char))
        elif char == '"':
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            found.append(("STRING", text[at + 1 : end]))
            end += 1
        elif char.isascii() and char.isdigit():
            while end < len(text) and text[end].isascii() and text[end].isdigit():
                end += 1
            found.append(("INDEX", text[at:end]))
        elif char == "_" or (char.isascii() and char.isalpha()):
            while end < len(text) and (
                text[end] == "_" or (text[end].isascii() and text[end].isalnum())
            ):
                end += 1
            found.append(("FIELD", text[at:end]))
        elif char in " \t\r\n":
            pass
        else:
            if found and found[-1][0] == "LSB":
                raise _unexpected(text, "$end", "STRING or INDEX")
            raise JsonPathError(f"cannot parse expression [{text}]: unexpected char {char}")
        at = end
    found.append(("$end", ""))
    return found
