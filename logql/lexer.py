"""Where does one word of a query end and the next begin? By the rules of a Go scanner.

Not regular: function words depend on what follows, durations and sizes are numbers that go on,
`[…]` is one token (reference/logql.md §1). Columns count characters from 1; tokens the recorded
server scans beyond its first character report line 0, and so do these.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from logql.errors import LogQLSyntaxError, LogQLValidationError
from logql.numbers import Number, scan_number
from logql.tokens import FUNCTIONS, KEYWORDS, OPERATORS
from narfi.core.units import (
    UnitError,
    parse_bytes,
    parse_go_duration,
    parse_prometheus_duration,
)

MAX_QUERY_CHARACTERS = 131072
_SPACE = " \t\r\n"
_DURATION_RUNES = frozenset("0123456789.nuµmshdwy")
_BYTES_RUNES = frozenset("0123456789.BikKMGTPE")
_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
_FLAGS = ("--strict", "--keep-empty")
_DECIMAL = tuple("0123456789")


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A token: its type, the text as written, its value, and where it stands."""

    type: str
    text: str
    value: str | int | Number
    start: int
    end: int
    line: int
    column: int


def check_text(text: str) -> str:
    """The text without a byte order mark; refuses what no query can be."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size >= MAX_QUERY_CHARACTERS:
        raise LogQLValidationError(f"input size too long ({size} > {MAX_QUERY_CHARACTERS})")
    return text.removeprefix("\ufeff")


def words(text: str) -> Iterator[Word]:
    """All tokens of a query, and `$END`, one by one: what stands behind a mistake is not read.

    Raises `LogQLSyntaxError` for text that is no token.
    """
    return _Scanner(check_text(text)).words()


class _Scanner:
    """A cursor over the text that knows its line and column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0

    def words(self) -> Iterator[Word]:
        while True:
            self._skip_space()
            if self._at >= len(self._text):
                line = self._line if self._text else 0
                column = self._column(self._at) if self._text else 0
                yield Word(
                    type="$END",
                    text="",
                    value="",
                    start=self._at,
                    end=self._at,
                    line=line,
                    column=column,
                )
                return
            yield self._word()

    def _column(self, at: int) -> int:
        return at - self._line_start + 1

    def _fail(self, at: int, message: str, *, line: int | None = None) -> LogQLSyntaxError:
        return LogQLSyntaxError(self._line if line is None else line, self._column(at), message)

    def _peek(self, ahead: int = 0) -> str:
        place = self._at + ahead
        return self._text[place] if place < len(self._text) else ""

    def _advance(self, to: int) -> None:
        for place in range(self._at, to):
            if self._text[place] == "\n":
                self._line += 1
                self._line_start = place + 1
        self._at = to

    def _skip_space(self) -> None:
        while self._at < len(self._text):
            char = self._peek()
            if char in _SPACE:
                self._advance(self._at + 1)
            elif char == "#" or self._text.startswith("//", self._at):
                end = self._text.find("\n", self._at)
                self._advance(len(self._text) if end < 0 else end)
            elif self._text.startswith("/*", self._at):
                end = self._text.find("*/", self._at + 2)
                if end < 0:
                    raise self._fail(self._at, "comment not terminated")
                self._advance(end + 2)
            else:
                return

    def _word(self) -> Word:
        char = self._peek()
        if char == "\0":
            raise self._fail(self._at, "invalid character NUL")
        if "\ud800" <= char <= "\udfff":
            raise self._fail(self._at, "invalid UTF-8 encoding")
        if char in '"`':
            return self._string()
        if char == "'":
            return self._character()
        if char in _DECIMAL:
            return self._number()
        if char == "." and self._peek(1) in _DECIMAL:
            return self._number()
        if char == "-":
            found = self._flag() or self._negative_duration()
            if found is not None:
                return found
        if char == "[":
            return self._range()
        if char == "_" or char.isalpha():
            return self._identifier()
        return self._operator()

    def _make(self, kind: str, end: int, value: str | int | Number, *, lost: bool = False) -> Word:
        start = self._at
        line, column = (0 if lost else self._line), self._column(start)
        text = self._text[start:end]
        self._advance(end)
        return Word(
            type=kind, text=text, value=value, start=start, end=end, line=line, column=column
        )

    def _operator(self) -> Word:
        two = self._text[self._at : self._at + 2]
        if len(two) == 2 and two in OPERATORS:
            return self._make(OPERATORS[two], self._at + 2, two, lost=True)
        one = self._peek()
        if one in OPERATORS:
            return self._make(OPERATORS[one], self._at + 1, one)
        return self._make("IDENTIFIER", self._at + 1, one)

    def _identifier(self) -> Word:
        end = self._at + 1
        while end < len(self._text) and _is_name_char(self._text[end]):
            end += 1
        text = self._text[self._at : end]
        if not text[0].isascii():
            return self._make("STRING", end, text)
        lowered = text.lower()
        if lowered in KEYWORDS:
            return self._make(KEYWORDS[lowered], end, lowered)
        if lowered in FUNCTIONS and self._function_follows(end):
            return self._make(FUNCTIONS[lowered], end, lowered)
        return self._make("IDENTIFIER", end, text)

    def _function_follows(self, at: int) -> bool:
        rest = self._text[at : at + 4096].lstrip().lower()
        if rest.startswith("("):
            return True
        for word in ("by", "without"):
            if rest.startswith(word) and rest[len(word) :].lstrip().startswith("("):
                return True
        return False

    def _character(self) -> Word:
        """One quoted character is an identifier to the recorded server; anything else is wrong."""
        end = self._text.find("'", self._at + 1)
        newline = self._text.find("\n", self._at + 1)
        if end < 0 or 0 <= newline < end:
            raise self._fail(self._at, "literal not terminated")
        if end - self._at == 2 or (self._peek(1) == "\\" and end - self._at == 3):
            return self._make("IDENTIFIER", end + 1, self._text[self._at : end + 1])
        raise self._fail(self._at, "invalid char literal")

    def _string(self) -> Word:
        mark, end = self._peek(), self._at + 1
        if mark == "`":
            end = self._text.find("`", end)
            if end < 0:
                raise self._fail(self._at, "literal not terminated")
            for char in self._text[self._at + 1 : end]:
                self._valid(char)
            value = self._text[self._at + 1 : end].replace("\r", "")
            return self._make("STRING", end + 1, value)
        out = bytearray()
        while True:
            if end >= len(self._text) or self._text[end] == "\n":
                raise self._fail(self._at, "literal not terminated")
            char = self._text[end]
            if char == '"':
                break
            if char == "\\":
                end = self._escape(end + 1, out)
            else:
                out += self._valid(char)
                end += 1
        return self._make("STRING", end + 1, out.decode("utf-8", "surrogateescape"))

    def _escape(self, at: int, out: bytearray) -> int:
        """Append what the escape behind the backslash stands for; returns where it ends."""
        char = self._text[at] if at < len(self._text) else ""
        if char in _ESCAPES and char:
            out.append(_ESCAPES[char])
            return at + 1
        size, base, begin = (*{"x": (2, 16), "u": (4, 16), "U": (8, 16)}.get(char, (0, 0)), at + 1)
        if char and char in "01234567":
            size, base, begin = 3, 8, at
        digits = self._text[begin : begin + size]
        valid = size and len(digits) == size and all(d in "0123456789abcdefABCDEF" for d in digits)
        if not valid or (base == 8 and not all(d in "01234567" for d in digits)):
            raise self._fail(self._at, "invalid char escape")
        value = int(digits, base)
        if char in "uU":
            if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
                raise self._fail(self._at, "invalid syntax")  # well-formed, but stands for nothing
            out += chr(value).encode()
        elif value > 255:
            raise self._fail(self._at, "invalid syntax")
        else:
            out.append(value)
        return begin + size

    def _valid(self, char: str) -> bytes:
        """The bytes of a character of a string; refuses what cannot stand in a query."""
        if char == "\0":
            raise self._fail(self._at, "invalid character NUL")
        if "\ud800" <= char <= "\udfff":
            raise self._fail(self._at, "invalid UTF-8 encoding")
        return char.encode()

    def _flag(self) -> Word | None:
        end = self._at
        while end < len(self._text) and (self._text[end] == "-" or self._text[end].isalpha()):
            end += 1
        flag = self._text[self._at : end]
        return self._make("FUNCTION_FLAG", end, flag, lost=True) if flag in _FLAGS else None

    def _negative_duration(self) -> Word | None:
        """A minus directly before a duration; days, weeks and years have no negative form."""
        end = self._run(self._at + 1, _DURATION_RUNES)
        text = self._text[self._at : end]
        if text == "-0":
            return None  # a Go duration, but a number to everybody who writes it
        try:
            return self._make("DURATION", end, parse_go_duration(text), lost=True)
        except UnitError:
            return None

    def _run(self, at: int, runes: frozenset[str]) -> int:
        while at < len(self._text) and self._text[at] in runes:
            at += 1
        return at

    def _number(self) -> Word:
        if self._peek() == "0" and self._peek(1) in tuple("xXoObB"):
            return self._plain_number()  # a prefix of Go's number literals, not a size
        end = self._run(self._at, _DURATION_RUNES)
        duration = _duration(self._text[self._at : end])
        if duration is not None:
            return self._make("DURATION", end, duration, lost=True)
        end = self._run(self._at, _BYTES_RUNES)
        size = _size(self._text[self._at : end])
        if size is not None:
            return self._make("BYTES", end, size, lost=True)
        return self._plain_number()

    def _plain_number(self) -> Word:
        number = scan_number(self._text, self._at)
        return self._make("NUMBER", self._at + len(number.text), number)

    def _range(self) -> Word:
        end = self._text.find("]", self._at)
        if end < 0:
            raise self._fail(self._at, "missing closing ']' in duration", line=0)
        try:
            value = parse_prometheus_duration(self._text[self._at + 1 : end])
        except UnitError as error:
            raise self._fail(self._at, error.message, line=0) from error
        return self._make("RANGE", end + 1, value, lost=True)


def _is_name_char(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _duration(text: str) -> int | None:
    """A duration with at least one unit; a bare number is none."""
    if text.replace(".", "").isdecimal():
        return None
    for parse in (parse_prometheus_duration, parse_go_duration):
        try:
            return parse(text)
        except UnitError:
            continue
    return None


def _size(text: str) -> int | None:
    """A size with a unit; an `E` is one only where it is printed so, else an exponent."""
    if text.replace(".", "").isdecimal() or ("E" in text and not text.endswith("EB")):
        return None
    try:
        return parse_bytes(text)
    except UnitError:
        return None
