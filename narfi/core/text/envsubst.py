"""What does a configuration say once the environment is put in? `${NAME}` and its forms.

The language of Loki's and Promtail's `-config.expand-env`, one for server and agent. An unset
variable is as an empty one. Outside of braces `$$` is `$`, `\\\\` is `\\`, `\\/` is `/`; any other
`$` or backslash stays, as does `$NAME`.

| form | gives |
|---|---|
| `${V}`, `${#V}` | the value, its length in bytes |
| `${V^}`, `${V^^}`, `${V,}`, `${V,,}` | first letter or all in upper, lower case |
| `${V:n}`, `${V:n:m}` | bytes from n on, m of them at most; all where n or m is no number |
| `${V:-d}`, `${V:=d}`, `${V=d}`, `${V:?d}`, `${V:+d}` | the value, d where it is empty |
| `${V-d}` | the value, d where it is unset |
| `${V#p}`, `${V##p}`, `${V%p}`, `${V%%p}` | without the shortest, longest beginning, end like p |
| `${V/a/b}`, `${V//a/b}`, `${V/#a/b}`, `${V/%a/b}` | b for the first a, all, at the start, end |

Arguments may hold substitutions. p is a glob (`*`, `?`, `[…]`), a is plain text.
"""

from collections.abc import Callable, Mapping

from narfi.core.errors import AppError, ErrorKind

_DEFAULTS = frozenset("-=?+")


class SubstitutionError(AppError):
    """A `${…}` that has no meaning; `offset` is where it begins."""

    kind = ErrorKind.INVALID

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def expand_environment(text: str, environment: Mapping[str, str]) -> str:
    """The text with all its substitutions made; raises `SubstitutionError`."""
    return _Expansion(text, environment).whole()


class _Expansion:
    """One text on its way; a method that reads gives the value and where the text goes on."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self._text, self._environment = text, environment

    def whole(self) -> str:
        """Everything."""
        text, out, at = self._text, [], 0
        while at < len(text):
            if text.startswith("${", at):
                value, at = self._substitution(at)
                out.append(value)
            elif text.startswith(("$$", "\\\\", "\\/"), at):
                out.append(text[at + 1])
                at += 2
            else:
                end = at + 1
                while end < len(text) and text[end] not in "$\\":
                    end += 1
                out.append(text[at:end])
                at = end
        return "".join(out)

    def _substitution(self, begin: int) -> tuple[str, int]:
        text, at = self._text, begin + 2
        if text.startswith("#", at):
            name, at = self._name(at + 1, begin)
            self._close(at, begin)
            return str(len(_bytes(self._value(name)))), at + 1
        name, at = self._name(at, begin)
        value, next_two = self._value(name), text[at : at + 2]
        match next_two[:1]:
            case "}":
                return value, at + 1
            case "^" | ",":
                return self._case(value, next_two, at, begin)
            case "=":
                return self._default(value, at + 1, begin, replace=not value)
            case "-":
                unset = name not in self._environment
                return self._default(value, at + 1, begin, replace=unset)
            case ":" if next_two[1:] in _DEFAULTS and len(next_two) == 2:
                return self._default(value, at + 2, begin, replace=not value)
            case ":":
                return self._part(value, at + 1, begin)
            case "#" | "%":
                return self._trimmed(value, next_two, at, begin)
            case "/":
                return self._replaced(value, at + 1, begin)
        raise SubstitutionError(f"missing closing brace of ${{{name}", begin)

    def _value(self, name: str) -> str:
        return self._environment.get(name, "")

    def _name(self, at: int, begin: int) -> tuple[str, int]:
        text, end = self._text, at
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        if end == at:
            raise SubstitutionError("no variable name behind ${", begin)
        return text[at:end], end

    def _close(self, at: int, begin: int) -> None:
        if not self._text.startswith("}", at):
            raise SubstitutionError("bad substitution", begin)

    def _argument(
        self, at: int, ends: str, begin: int, *, escapes: bool = False
    ) -> tuple[str, int]:
        """The text up to one of `ends`; with `escapes`, `\\/`, `\\\\` and `$$` stand for one."""
        text, out = self._text, ""
        while at < len(text) and text[at] not in ends:
            if text.startswith("${", at):
                value, at = self._substitution(at)
                out += value
            elif escapes and text.startswith(("\\/", "\\\\", "$$"), at):
                out += text[at + 1]
                at += 2
            else:
                out += text[at]
                at += 1
        if at == len(text):
            raise SubstitutionError("missing closing brace", begin)
        return out, at

    def _case(self, value: str, operator: str, at: int, begin: int) -> tuple[str, int]:
        all_letters = operator in ("^^", ",,")
        at += 2 if all_letters else 1
        self._close(at, begin)
        change: Callable[[str], str] = str.upper if operator[0] == "^" else str.lower
        return change(value) if all_letters else change(value[:1]) + value[1:], at + 1

    def _default(self, value: str, at: int, begin: int, *, replace: bool) -> tuple[str, int]:
        other, at = self._argument(at, "}", begin)
        return other if replace else value, at + 1

    def _part(self, value: str, at: int, begin: int) -> tuple[str, int]:
        numbers: list[str] = []
        ends = ":}"
        while True:
            number, end = self._argument(at, ends, begin)
            if end == at:
                raise SubstitutionError("a number is missing behind `:`", begin)
            numbers.append(number)
            at, ends = end + 1, "}"
            if self._text[end] == "}":
                break
        found = [_number(number) for number in numbers]
        if None in found:
            return value, at
        first, *rest = (number for number in found if number is not None)
        if first < 0 or any(length < 0 for length in rest):
            raise SubstitutionError("a place or a length below 0", begin)
        data = _bytes(value)[first:]
        return _text(data[: rest[0]] if rest else data), at

    def _trimmed(self, value: str, operator: str, at: int, begin: int) -> tuple[str, int]:
        longest = operator in ("##", "%%")
        at += 2 if longest else 1
        pattern, end = self._argument(at, "}", begin, escapes=False)
        if end == at:
            raise SubstitutionError("a pattern is missing", begin)
        tokens = _glob(pattern)
        if tokens is None:
            return value, end + 1
        if operator[0] == "#":
            size = _beginning(tokens, value, longest=longest)
            return value[size:], end + 1
        size = _beginning(tokens[::-1], value[::-1], longest=longest)
        return value[: len(value) - size], end + 1

    def _replaced(self, value: str, at: int, begin: int) -> tuple[str, int]:
        kind = self._text[at : at + 1]
        at += kind in ("/", "#", "%")
        old, end = self._argument(at, "/}", begin, escapes=True)
        if end == at or self._text[end] == "}":
            raise SubstitutionError("bad substitution: write ${NAME/old/new}", begin)
        new, end = self._argument(end + 1, "}", begin, escapes=True)
        if not old:
            return value, end + 1
        if kind == "#":
            value = new + value.removeprefix(old) if value.startswith(old) else value
        elif kind == "%":
            value = value.removesuffix(old) + new if value.endswith(old) else value
        else:
            value = value.replace(old, new, -1 if kind == "/" else 1)
        return value, end + 1


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _number(text: str) -> int | None:
    digits = text[1:] if text[:1] in ("+", "-") else text
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


# Globs: a token is None for `*`, else a test of one character.

_Token = Callable[[str], bool] | None


def _glob(pattern: str) -> list[_Token] | None:
    """The tokens of a glob; None where a class has no end."""
    tokens: list[_Token] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            tokens.append(None)
        elif character == "?":
            tokens.append(lambda _other: True)
        elif character == "[":
            found = _class(pattern, at)
            if found is None:
                return None
            token, at = found
            tokens.append(token)
        else:
            if character == "\\" and at < len(pattern):
                character = pattern[at]
                at += 1
            tokens.append(character.__eq__)
    return tokens


def _class(pattern: str, at: int) -> tuple[Callable[[str], bool], int] | None:
    """A `[…]` that begins before `at`, and where it ends."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[tuple[str, str]] = []
    while at < len(pattern) and (pattern[at] != "]" or not ranges):
        low, at = _member(pattern, at)
        high = low
        if pattern.startswith("-", at) and at + 1 < len(pattern):
            high, at = _member(pattern, at + 1)
        ranges.append((low, high))
    if at >= len(pattern):
        return None
    return lambda c: any(low <= c <= high for low, high in ranges) != negated, at + 1


def _member(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    return pattern[at], at + 1


def _beginning(tokens: list[_Token], value: str, *, longest: bool) -> int:
    """How many characters at the start are like the tokens: at least one, or 0 for none."""
    places, size = _with_stars({0}, tokens), 0
    for i, character in enumerate(value):
        moved: set[int] = set()
        for place in places:
            if place == len(tokens):
                continue
            token = tokens[place]
            if token is None:
                moved.add(place)
            elif token(character):
                moved.add(place + 1)
        places = _with_stars(moved, tokens)
        if len(tokens) in places:
            size = i + 1
            if not longest:
                break
        if not places:
            break
    return size


def _with_stars(places: set[int], tokens: list[_Token]) -> set[int]:
    """The places, and those behind each `*` that may stand for nothing."""
    found = set(places)
    for place in places:
        while place < len(tokens) and tokens[place] is None:
            place += 1
            found.add(place)
    return found
