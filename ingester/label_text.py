"""What are the labels of a pushed stream? Prometheus selector text, with Prometheus' error texts.

Only `=` is allowed; names are bare or quoted; values are quoted with Go's escapes; a trailing comma
is fine, and so are comments. No text at all is no labels. A quoted name without a value is the
metric's. Duplicates are kept here: validation reports them (reference/http-api.md §1.2). Runs of
plain characters are taken at once: a text may be megabytes long.
"""

import re

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
_QUOTES = frozenset("\"'`")
_PLAIN = {
    '"': re.compile(r'[^"\\\n]*'),
    "'": re.compile(r"[^'\\\n]*"),
    "`": re.compile(r"[^`]*"),
}
"""What stands for itself in a string, by its mark."""
_IGNORED = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
"""Blanks, and comments to the end of their line."""
_LABEL_NAME = re.compile("(?:[A-Za-z_][A-Za-z0-9_]*)?")
_METRIC_NAME = re.compile("(?:[A-Za-z_:][A-Za-z0-9_:]*)?")
_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that is no text, as `surrogateescape` writes it."""
_SIZES = {"x": (2, 16), "u": (4, 16), "U": (8, 16)}
_DIGITS = {8: frozenset("01234567"), 16: frozenset("0123456789abcdefABCDEF")}


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
        pairs: LabelPairs = ()
        if self._take("{"):
            pairs = self._pairs()
        elif self._peek():
            pairs = self._bare_metric()
        self._space()
        if self._peek():
            raise LabelTextError(self._at, f"unexpected character: '{self._peek()}'")
        return pairs

    def _bare_metric(self) -> LabelPairs:
        """`name` alone is `{__name__="name"}`; `name{…}` has labels too."""
        name = self._run(_METRIC_NAME)
        if not name:
            raise LabelTextError(self._at, f"unexpected character: '{self._peek()}'")
        pairs: LabelPairs = (("__name__", name),)
        self._space()
        return pairs + self._pairs() if self._take("{") else pairs

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
        if self._peek() in _QUOTES:
            begin = self._at
            name = self._string()
            if not name:
                raise LabelTextError(begin, 'invalid label name ""')
            self._space()
            if self._peek() in (",", "}"):
                return "__name__", name
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
        if self._peek() not in _QUOTES:
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
        elif char in _QUOTES:
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

    def _run(self, pattern: re.Pattern[str]) -> str:
        """What a pattern, which matches everywhere, takes here."""
        found = pattern.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return found[0]

    def _space(self) -> None:
        self._run(_IGNORED)

    def _identifier(self) -> str:
        return self._run(_LABEL_NAME)

    def _string(self) -> str:
        begin, mark = self._at, self._text[self._at]
        self._at += 1
        out: list[str] = []
        while True:
            out.append(self._run(_PLAIN[mark]))
            char = self._peek()
            if not char or (char == "\n" and mark != "`"):
                raise LabelTextError(begin, "unterminated quoted string")
            self._at += 1
            if char == mark:
                break
            out.append(self._escape(begin))
        text = "".join(out)
        if _BYTE.search(text):
            # \xff escapes are bytes: what is UTF-8 together becomes text again
            raw = text.encode("utf-8", "surrogateescape")
            return raw.decode("utf-8", "replace")
        return text

    def _escape(self, begin: int) -> str:
        char = self._peek()
        self._at += 1
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char in _SIZES:
            size, base = _SIZES[char]
        elif char in _DIGITS[8]:
            size, base, self._at = 3, 8, self._at - 1
        else:
            raise LabelTextError(begin, "unknown escape sequence")
        digits = self._text[self._at : self._at + size]
        if len(digits) < size or not _DIGITS[base].issuperset(digits):
            raise LabelTextError(begin, "unknown escape sequence")
        value = int(digits, base)
        unicode = char in "uU"
        if value > (0x10FFFF if unicode else 0xFF) or (unicode and 0xD800 <= value < 0xE000):
            raise LabelTextError(begin, "escape sequence is an invalid Unicode code point")
        self._at += size
        if unicode or value < 0x80:
            return chr(value)
        return bytes([value]).decode("utf-8", "surrogateescape")
