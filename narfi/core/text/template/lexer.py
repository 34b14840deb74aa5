"""Where do text and actions of a template begin and end? Tokens as Go's lexer cuts them."""

from dataclasses import dataclass

from narfi.core.text.template.errors import TemplateSyntaxError

KEYWORDS = frozenset(
    (
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "range",
        "nil",
        "template",
        "with",
    )
)
_SPACE = " \t\r\n"
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is text, left, right, keyword, name, field, variable, string, number, char, bool or
    the punctuation itself; `at` is the character offset in the template."""

    kind: str
    text: str
    at: int
    value: object = None


class Lexer:
    """Cuts one template; errors name the template and line 1-based."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._at = 0
        self.tokens: list[Token] = []

    def error(self, at: int, message: str) -> TemplateSyntaxError:
        """The error with Go's prefix."""
        line = self._text.count("\n", 0, at) + 1
        return TemplateSyntaxError(f"template: {self._name}:{line}: {message}")

    def run(self) -> list[Token]:
        """All tokens, and one of kind `eof`."""
        while True:
            left = self._text.find("{{", self._at)
            if left < 0:
                self._text_token(self._text[self._at :])
                self.tokens.append(Token("eof", "", len(self._text)))
                return self.tokens
            before = self._text[self._at : left]
            inner = left + 2
            trim = self._text[inner : inner + 1] == "-" and self._text[
                inner + 1 : inner + 2
            ] in tuple(_SPACE)
            if trim:
                before = before.rstrip(_SPACE)
                inner += 2
            self._text_token(before)
            if self._text.startswith("/*", inner):
                self._comment(left, inner)
            else:
                self.tokens.append(Token("left", "{{", left))
                self._at = inner
                self._action(left)

    def _text_token(self, text: str) -> None:
        if text:
            self.tokens.append(Token("text", text, self._at))

    def _comment(self, left: int, at: int) -> None:
        end = self._text.find("*/", at + 2)
        if end < 0:
            raise self.error(left, "unclosed comment")
        rest = self._text[end + 2 :]
        trimmed = rest.lstrip(_SPACE)
        if rest.startswith("}}"):
            self._at = end + 4
        elif trimmed.startswith("-}}"):
            self._at = end + 2 + len(rest) - len(trimmed) + 3
            self._skip_space()
        else:
            raise self.error(left, "comment ends before closing delimiter")

    def _skip_space(self) -> None:
        while self._text[self._at : self._at + 1] in tuple(_SPACE) and self._at < len(self._text):
            self._at += 1

    def _action(self, left: int) -> None:
        depth = 0
        while True:
            begin = self._at
            self._skip_space()
            spaced = self._at > begin
            rest = self._text[self._at : self._at + 3]
            if spaced and rest == "-}}":
                self.tokens.append(Token("right", "}}", self._at))
                self._at += 3
                self._skip_space()
                return
            if rest.startswith("}}"):
                if depth:
                    raise self.error(self._at, "unclosed left paren")
                self.tokens.append(Token("right", "}}", self._at))
                self._at += 2
                return
            if not rest:
                raise self.error(left, "unclosed action")
            if spaced:
                self.tokens.append(Token("space", " ", begin))
            char = rest[0]
            if char == "(":
                depth += 1
            elif char == ")":
                depth -= 1
                if depth < 0:
                    raise self.error(self._at, "unexpected right paren")
            self._token(char)

    def _token(self, char: str) -> None:
        at = self._at
        if char == '"':
            self._quoted()
        elif char == "`":
            end = self._text.find("`", at + 1)
            if end < 0:
                raise self.error(at, "unterminated raw quoted string")
            self._add("string", end + 1, self._text[at + 1 : end])
        elif char == "'":
            self._character()
        elif self._text.startswith(":=", at):
            self._add(":=", at + 2)
        elif char in "=|(),":
            self._add(char, at + 1)
        elif char == "$":
            self._add("variable", self._word_end(at + 1))
        elif char == "." and not self._text[at + 1 : at + 2].isdigit():
            end = self._word_end(at + 1)
            self._add("field" if end > at + 1 else "dot", end)
        elif char in "+-." or char.isdigit():
            self._number()
        elif char == "_" or char.isalpha():
            self._word()
        elif char.isprintable():
            raise self.error(at, f"unexpected {_shown(char)} in command")
        else:
            raise self.error(at, f"unrecognized character in action: U+{ord(char):04X}")

    def _add(self, kind: str, end: int, value: object = None) -> None:
        self.tokens.append(Token(kind, self._text[self._at : end], self._at, value))
        self._at = end

    def _word_end(self, at: int) -> int:
        while at < len(self._text) and (self._text[at] == "_" or self._text[at].isalnum()):
            at += 1
        return at

    def _word(self) -> None:
        end = self._word_end(self._at)
        text = self._text[self._at : end]
        if text in KEYWORDS:
            self._add("nil" if text == "nil" else "keyword", end)
        elif text in ("true", "false"):
            self._add("bool", end, text == "true")
        else:
            self._add("name", end)

    def _number(self) -> None:
        end = self._at + 1 if self._text[self._at] in "+-" else self._at
        while end < len(self._text) and (
            self._text[end].isalnum()
            or self._text[end] in "._"
            or (self._text[end] in "+-" and self._text[end - 1] in "eEpP")
        ):
            end += 1
        text = self._text[self._at : end]
        value = parse_number(text)
        if value is None:
            raise self.error(self._at, f'bad number syntax: "{text}"')
        self._add("number", end, value)

    def _quoted(self) -> None:
        at, end = self._at, self._at + 1
        while True:
            if end >= len(self._text) or self._text[end] == "\n":
                raise self.error(at, "unterminated quoted string")
            if self._text[end] == '"':
                break
            end += 2 if self._text[end] == "\\" else 1
        value = unquote(self._text[at + 1 : end])
        if value is None:
            raise self.error(at, "invalid syntax")
        self._add("string", end + 1, value)

    def _character(self) -> None:
        at, end = self._at, self._at + 1
        while end < len(self._text) and self._text[end] not in "'\n":
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text) or self._text[end] == "\n":
            raise self.error(at, "unterminated character constant")
        value = unquote(self._text[at + 1 : end])
        if value is None or len(value) != 1:
            raise self.error(at, f"malformed character constant: {self._text[at : end + 1]}")
        self._add("char", end + 1, ord(value))


def _shown(char: str) -> str:
    return f'"{char}"'


def parse_number(text: str) -> int | float | None:
    """A Go number constant; None when it is none."""
    digits = text.lstrip("+-")
    if len(text) - len(digits) > 1 or not digits:
        return None
    try:
        return int(text, 0)
    except ValueError:
        pass
    if digits.isdigit():
        try:
            return int(text, 8)  # a leading zero means octal
        except ValueError:
            return None
    try:
        if not (digits[0].isdigit() or digits[0] == "."):
            return None
        return float(text)
    except ValueError:
        return None


def unquote(text: str) -> str | None:
    """The text of an interpreted string; None for a wrong escape."""
    if "\\" not in text:
        return text
    out = bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        if char != "\\":
            out += char.encode("utf-8", "surrogateescape")
            at += 1
            continue
        kind = text[at + 1 : at + 2]
        if kind in _ESCAPES:
            out.append(_ESCAPES[kind])
            at += 2
            continue
        size, base, begin = (*{"x": (2, 16), "u": (4, 16), "U": (8, 16)}.get(kind, (3, 8)), at + 2)
        if base == 8:
            begin = at + 1
        digits = text[begin : begin + size]
        try:
            value = int(digits, base)
        except ValueError:
            return None
        if len(digits) < size or not digits.isalnum() or value > 0x10FFFF:
            return None
        if kind in ("u", "U"):
            out += chr(value).encode("utf-8", "replace")
        else:
            out.append(value & 0xFF)
        at = begin + size
    return out.decode("utf-8", "surrogateescape")
