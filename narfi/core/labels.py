"""What is a stream called? Sorted label pairs, their canonical text and fingerprint.

Invariant: pairs are sorted by name, names are unique, values are never empty.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

FINGERPRINT_BYTES = 8


def quote(text: str) -> str:
    """Go's `strconv.Quote`: double quotes, escapes for control and non-printable characters."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'  # nearly every label
    out = ['"']
    for char in text:
        out.append(_quote_char(char))
    out.append('"')
    return "".join(out)


_SIMPLE = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def _quote_char(char: str) -> str:
    if char in _SIMPLE:
        return _SIMPLE[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@dataclass(frozen=True, slots=True)
class Labels:
    """Sorted, unique, non-empty label pairs of one stream."""

    pairs: tuple[tuple[str, str], ...]
    _fingerprint: int | None = field(default=None, init=False, repr=False, compare=False)

    @staticmethod
    def of(values: Mapping[str, str] | Iterable[tuple[str, str]]) -> "Labels":
        """From any mapping; empty values are left out; the last of equal names wins."""
        items = dict(values)
        return Labels(tuple(sorted((n, v) for n, v in items.items() if v != "")))

    def get(self, name: str, default: str = "") -> str:
        """The value of a label, or the default."""
        for key, value in self.pairs:
            if key == name:
                return value
        return default

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)

    def as_dict(self) -> dict[str, str]:
        """A new dictionary of the pairs."""
        return dict(self.pairs)

    def text(self) -> str:
        """The canonical form `{a="1", b="2"}`."""
        return labels_text(self.pairs)

    def fingerprint(self) -> int:
        """A stable unsigned 64-bit hash of the canonical pairs; remembered."""
        if self._fingerprint is None:
            object.__setattr__(self, "_fingerprint", self._hashed())
        assert self._fingerprint is not None
        return self._fingerprint

    def _hashed(self) -> int:
        digest = blake2b(digest_size=FINGERPRINT_BYTES)
        for name, value in self.pairs:
            digest.update(name.encode("utf-8", "surrogateescape"))
            digest.update(b"\xff")
            digest.update(value.encode("utf-8", "surrogateescape"))
            digest.update(b"\xff")
        return int.from_bytes(digest.digest(), "little")


def labels_text(pairs: Iterable[tuple[str, str]]) -> str:
    """`{a="1", b="2"}` of pairs that are sorted already."""
    return "{" + ", ".join(f"{n}={quote(v)}" for n, v in pairs) + "}"
