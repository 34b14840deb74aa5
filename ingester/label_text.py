"""What are the labels of a pushed stream? Prometheus selector text, with Prometheus' error texts.

Only `=` is allowed; names are bare or quoted; values are quoted with Go's escapes; a trailing comma
is fine. Duplicates are kept here: validation reports them (reference/http-api.md §1.2).
"""

from narfi.core.errors import InvalidRequestError

LabelPairs = tuple[tuple[str, str], ...]

_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_DIGITS = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}


class LabelTextError(InvalidRequestError):
    """The label text cannot be parsed; the whole request is refused."""

    def __init__(self, at: int, text: str) -> None:
        super().__init__(f"couldn't parse labels: 1:{at + 1}: parse error: {text}")


def parse_label_text(text: str) -> LabelPairs:
    """The pairs in the order written, or `LabelTextError`."""
    parser = _Parser(text)
    return parser.labels()


class _Parser:
    """A cursor over one label text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def labels(self) -> LabelPairs:
        self._space()
        if self._at < len(self._text) and self._text[self._at] == "{":
            self._at += 1
            pairs = self._pairs()
        else:
            pairs = self._bare_metric()
        self._space()
        if self._at < len(self._text):
            found = self._text[self._at]
            raise LabelTextError(self._at, f"unexpected character: '{found}'")
        return pairs

    def _bare_metric(self) -> LabelPairs:
        """`name` alone is `{__name__="name"}`; `name{…}` has labels too."""
        name = self._identifier()
        if not name:
            raise LabelTextError(self._at, "unexpected end of input")
        pairs: LabelPairs = (("__name__", name),)
        self._space()
        if self._at < len(self._text) and self._text[self._at] == "{":
            self._at += 1
            pairs += self._pairs()
        return pairs

    def _pairs(self) -> LabelPairs:
        pairs: list[tuple[str, str]] = []
        while True:
            self._space()
            if self._take("}"):
                return tuple(pairs)
            pairs.append(self._pair())
            self._space()
            if self._take("}"):
                return tuple(pairs)
            if not self._take(","):
                self._unexpected('"," or "}"')

    def _pair(self) -> tuple[str, str]:
        if self._peek() in ('"', "'", "`"):
            name = self._string()
        else:
            name = self._identifier()
            if not name:
                self._unexpected('identifier or "}"')
        self._space()
        if self._peek() == "=" and self._text[self._at + 1 : self._at + 2] != "~":
            self._at += 1
        else:
            self._unexpected('"="')
        self._space()
        if self._peek() not in ('"', "'", "`"):
            self._unexpected("string")
        return name, self._string()

    def _unexpected(self, expected: str) -> None:
        at, char = self._at, self._peek()
        if not char:
            raise LabelTextError(at, "unexpected end of input inside braces")
        two = self._text[at : at + 2]
        if two in ("=~", "!~", "!="):
            found = f"<op:{two}>"
        elif char in "=,}{":
            found = f'"{char}"'
        elif char in "\"'`":
            found = f"string {self._raw_string()}"
        else:
            name = self._identifier()
            if not name:
                raise LabelTextError(at, f"unexpected character inside braces: '{char}'")
            found = f'identifier "{name}"'
        raise LabelTextError(at, f"unexpected {found} in label set, expected {expected}")

    def _raw_string(self) -> str:
        begin = self._at
        self._string()
        return self._text[begin : self._at]

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self, char: str) -> bool:
        if self._peek() == char:
            self._at += 1
            return True
        return False

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
            self._at += 1

    def _identifier(self) -> str:
        begin = self._at
        text = self._text
        while self._at < len(text):
            char = text[self._at]
            begins = char == "_" or (char.isascii() and char.isalpha())
            goes_on = self._at > begin and char.isascii() and char.isdigit()
            if not (begins or goes_on):
                break
            self._at += 1
        return text[begin : self._at]

    def _string(self) -> str:
        begin, mark = self._at, self._text[self._at]
        self._at += 1
        out: list[str] = []
        while True:
            char = self._peek()
            if not char or (char == "\n" and mark != "`"):
                raise LabelTextError(begin, "unterminated quoted string")
            self._at += 1
            if char == mark:
                break
            out.append(self._escape(begin) if char == "\\" and mark != "`" else char)
        text = "".join(out)
        if any("\udc80" <= char <= "\udcff" for char in text):
            # \xff escapes are bytes: what is UTF-8 together becomes text again
            raw = text.encode("utf-8", "surrogateescape")
            return raw.decode("utf-8", "replace")
        return text

    def _escape(self, begin: int) -> str:
        char = self._peek()
        self._at += 1
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char in _DIGITS:
            size, base = _DIGITS[char]
        elif char and char in "01234567":
            size, base, self._at = 3, 8, self._at - 1
        else:
            raise LabelTextError(begin, "unknown escape sequence")
        digits = self._text[self._at : self._at + size]
        try:
            value = int(digits, base)
        except ValueError:
            raise LabelTextError(begin, "unknown escape sequence") from None
        if len(digits) < size or value > 0x10FFFF:
            raise LabelTextError(begin, "escape sequence is an invalid Unicode code point")
        self._at += size
        if char in "uU" or value < 0x80:
            return chr(value)
        return bytes([value & 0xFF]).decode("utf-8", "surrogateescape")
