"""Where do text and actions of a template begin and end? Tokens, one at a time, as Go cuts them.

What is wrong becomes a token of kind `error`: the parser meets it only if nothing before it was.
"""

from dataclasses import dataclass
from enum import Enum

from narfi.core.labels import quote

_SPACES = " \t\r\n"


class Kind(Enum):
    """Kinds of tokens."""

    ERROR = "error"
    EOF = "eof"
    TEXT = "text"
    LEFT = "left"
    RIGHT = "right"
    SPACE = "space"
    KEYWORD = "keyword"
    NAME = "name"
    FIELD = "field"
    DOT = "dot"
    NIL = "nil"
    VARIABLE = "variable"
    BOOL = "bool"
    NUMBER = "number"
    CHARACTER = "character"
    STRING = "string"
    ASSIGN = "assign"
    DECLARE = "declare"
    PIPE = "pipe"
    OPEN = "open"
    CLOSE = "close"
    OTHER = "other"  # a comma, or what belongs nowhere


KEYWORDS = frozenset(
    "block break continue define else end if range template with".split()  # noqa: SIM905 - words
)


@dataclass(frozen=True, slots=True)
class Token:
    """`at` is the character offset in the template, `line` counts from 1."""

    kind: Kind
    text: str
    at: int
    line: int

    def shown(self) -> str:
        """As errors show it."""
        match self.kind:
            case Kind.EOF:
                return "EOF"
            case Kind.ERROR:
                return self.text
            case Kind.KEYWORD | Kind.NIL | Kind.DOT:
                return f"<{self.text}>"
        if len(self.text.encode("utf-8", "surrogateescape")) > 10:
            return f"{quote(self.text[:10])}..."
        return quote(self.text)


class Lexer:
    """Cuts one template."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._start = 0
        self._inside = False
        self._depth = 0

    def next(self) -> Token:
        """The next token; at the end, and behind an error, EOF for ever."""
        self._start = self._at
        return self._in_action() if self._inside else self._in_text()

    def _token(self, kind: Kind, end: int) -> Token:
        token = Token(kind, self._text[self._start : end], self._start, self._line(self._start))
        self._at = self._start = end
        return token

    def _line(self, at: int) -> int:
        return self._text.count("\n", 0, at) + 1

    def _error(self, message: str, start: int | None = None) -> Token:
        at = self._start if start is None else start
        token = Token(Kind.ERROR, message, at, self._line(at))
        self._text, self._at, self._inside = "", 0, False
        return token

    def _char(self, at: int) -> str:
        return self._text[at : at + 1]

    def _skip_spaces(self, at: int) -> int:
        while self._char(at) and self._char(at) in _SPACES:
            at += 1
        return at

    def _in_text(self) -> Token:
        """Text up to an action, or the brace of one; comments are passed over."""
        while True:
            left = self._text.find("{{", self._at)
            if left < 0:
                if self._at < len(self._text):
                    return self._token(Kind.TEXT, len(self._text))
                return self._token(Kind.EOF, self._at)
            trims = self._char(left + 2) == "-" and self._is_space(left + 3)
            text = self._text[self._at : left]
            if trims:
                text = text.rstrip(_SPACES)
            if text:
                token = self._token(Kind.TEXT, self._at + len(text))
                self._at = left
                return token
            self._start = left
            inner = left + 4 if trims else left + 2
            if not self._text.startswith("/*", inner):
                token = self._token(Kind.LEFT, left + 2)
                self._at, self._inside, self._depth = inner, True, 0
                return token
            wrong = self._comment(inner)
            if wrong is not None:
                return wrong

    def _is_space(self, at: int) -> bool:
        return self._char(at) != "" and self._char(at) in _SPACES

    def _comment(self, begin: int) -> Token | None:
        end = self._text.find("*/", begin + 2)
        if end < 0:
            return self._error("unclosed comment", begin)
        end += 2
        if self._text.startswith("}}", end):
            self._at = end + 2
        elif self._trims_right(end):
            self._at = self._skip_spaces(end + 4)
        else:
            return self._error("comment ends before closing delimiter", begin)
        self._start = self._at
        return None

    def _trims_right(self, at: int) -> bool:
        """Whether ` -}}` stands there."""
        return self._is_space(at) and self._text.startswith("-}}", at + 1)

    def _in_action(self) -> Token:
        at = self._at
        trims = self._trims_right(at)
        if trims or self._text.startswith("}}", at):
            return self._right(trims)
        char = self._char(at)
        if not char:
            return self._error("unclosed action")
        if char in _SPACES:
            return self._spaces()
        single = {"=": Kind.ASSIGN, "|": Kind.PIPE}.get(char)
        if single is not None:
            return self._token(single, at + 1)
        match char:
            case ":":
                if self._char(at + 1) != "=":
                    return self._error("expected :=")
                return self._token(Kind.DECLARE, at + 2)
            case '"' | "'":
                return self._quoted(char)
            case "`":
                end = self._text.find("`", at + 1)
                if end < 0:
                    return self._error("unterminated raw quoted string")
                return self._token(Kind.STRING, end + 1)
            case "(" | ")":
                return self._parenthesis(char)
        return self._word_or_number(char)

    def _word_or_number(self, char: str) -> Token:
        at = self._at
        if char == "$":
            return self._named(Kind.VARIABLE, Kind.VARIABLE)
        if char == "." and self._char(at + 1) not in "0123456789":  # a last one is a number
            return self._named(Kind.FIELD, Kind.DOT)
        if char in "+-.0123456789":
            return self._number()
        if _is_word(char):
            return self._word()
        if char.isascii() and char.isprintable():
            return self._token(Kind.OTHER, at + 1)
        return self._error(f"unrecognized character in action: {_numbered(char)}")

    def _right(self, trims: bool) -> Token:
        if self._depth:
            return self._error("unclosed left paren")
        self._inside = False
        if not trims:
            return self._token(Kind.RIGHT, self._at + 2)
        self._start = self._at + 2
        token = self._token(Kind.RIGHT, self._at + 4)
        self._at = self._skip_spaces(self._at)
        return token

    def _spaces(self) -> Token:
        """A run of spaces; the last one belongs to a trimming brace behind it."""
        end = self._skip_spaces(self._at)
        if self._trims_right(end - 1):
            end -= 1
        return self._token(Kind.SPACE, end)

    def _parenthesis(self, char: str) -> Token:
        self._depth += 1 if char == "(" else -1
        if self._depth < 0:
            return self._error("unexpected right paren")
        return self._token(Kind.OPEN if char == "(" else Kind.CLOSE, self._at + 1)

    def _quoted(self, mark: str) -> Token:
        end = self._at + 1
        while (char := self._char(end)) != mark:
            if char == "\\":
                end += 1
            if self._char(end) in ("", "\n"):
                what = "quoted string" if mark == '"' else "character constant"
                return self._error(f"unterminated {what}")
            end += 1
        return self._token(Kind.STRING if mark == '"' else Kind.CHARACTER, end + 1)

    def _word_end(self, at: int) -> int:
        while self._char(at) and _is_word(self._char(at)):
            at += 1
        return at

    def _ends_here(self, at: int) -> bool:
        """Whether a word may end before what stands there."""
        char = self._char(at)
        return char == "" or char in _SPACES or char in ".,|:)(" or self._text.startswith("}}", at)

    def _bad_character(self, at: int) -> Token:
        return self._error(f"bad character {_numbered(self._char(at))}")

    def _named(self, kind: Kind, bare: Kind) -> Token:
        """A field or variable, or the mark alone."""
        end = self._at + 1
        if self._ends_here(end):
            return self._token(bare, end)
        end = self._word_end(end)
        return self._token(kind, end) if self._ends_here(end) else self._bad_character(end)

    def _word(self) -> Token:
        end = self._word_end(self._at)
        if not self._ends_here(end):
            return self._bad_character(end)
        text = self._text[self._at : end]
        if text == "nil":
            return self._token(Kind.NIL, end)
        if text in KEYWORDS:
            return self._token(Kind.KEYWORD, end)
        return self._token(Kind.BOOL if text in ("true", "false") else Kind.NAME, end)

    def _number(self) -> Token:
        end, good = self._number_end(self._at)
        if good and self._char(end) in ("+", "-"):
            end, good = self._number_end(end)
            good = good and self._text[end - 1] == "i"
        if not good:
            return self._error(f"bad number syntax: {quote(self._text[self._at : end])}")
        return self._token(Kind.NUMBER, end)

    def _run(self, at: int, allowed: str) -> int:
        while self._char(at) and self._char(at) in allowed:
            at += 1
        return at

    def _one(self, at: int, allowed: str) -> int:
        return at + 1 if self._char(at) and self._char(at) in allowed else at

    def _number_end(self, at: int) -> tuple[int, bool]:
        """Where a number ends, and whether nothing runs into it."""
        at = self._one(at, "+-")
        digits, exponent = "0123456789_", "eE"
        if self._char(at) == "0":
            at += 1
            prefix = self._char(at).lower() or " "
            bases = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}
            if prefix in bases:
                digits, exponent = bases[prefix], "pP" if prefix == "x" else ""
                at += 1
        at = self._run(at, digits)
        if self._char(at) == ".":
            at = self._run(at + 1, digits)
        if exponent and self._char(at) and self._char(at) in exponent:
            at = self._run(self._one(at + 1, "+-"), "0123456789_")
        at = self._one(at, "i")
        if self._char(at) and _is_word(self._char(at)):
            return at + 1, False
        return at, True


def _is_word(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _numbered(char: str) -> str:
    """`%#U`: the number, and the character where it can be seen."""
    if not char:
        return "U+FFFFFFFFFFFFFFFF"
    code = 0xFFFD if "\udc80" <= char <= "\udcff" else ord(char)
    return f"U+{code:04X}" + (f" '{chr(code)}'" if chr(code).isprintable() else "")
