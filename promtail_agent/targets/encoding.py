"""Which characters are a file's bytes? Lines of other encodings become UTF-8 (agent.md §7).

Newlines are found as the encoding writes them, so that UTF-16 and UTF-32 are cut where their lines
end. Bytes that are no characters become U+FFFD.
"""

import codecs
from dataclasses import dataclass

_BOMS = {
    "utf-16": ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")),
    "utf-32": ((codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be")),
}
"""Encodings whose byte order the file's first bytes tell; little endian where they do not."""


def check_encoding(name: str) -> str:
    """The codec of an IANA name ("" for UTF-8); raises `ValueError`."""
    if not name:
        return ""
    try:
        found = codecs.lookup(name)
        "\n".encode(found.name)  # refuses codecs of bytes, such as base64
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"unknown encoding {name}") from error
    return "" if found.name in ("utf-8", "ascii") else found.name


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of one file's content."""

    codec: str
    newline: bytes
    boms: tuple[bytes, ...]

    def last_newline(self, data: bytes) -> int:
        """Where the last newline starts, or -1; `data` starts at a character."""
        width = len(self.newline)
        at = data.rfind(self.newline)
        while at >= 0 and at % width:
            at = data.rfind(self.newline, 0, at + width - 1)
        return at

    def split(self, data: bytes, offset: int) -> tuple[list[bytes], list[int]]:
        """Lines as UTF-8, and where each starts in the file; `data` ends before a newline."""
        width = len(self.newline)
        lines: list[bytes] = []
        starts: list[int] = []
        start = at = 0
        while True:
            end = data.find(self.newline, at)
            if end >= 0 and (end - start) % width:
                at = end + 1
                continue
            starts.append(offset + start)
            lines.append(self._text(data[start : None if end < 0 else end], offset + start))
            if end < 0:
                return lines, starts
            start = at = end + width

    def _text(self, raw: bytes, offset: int) -> bytes:
        if offset == 0:
            raw = next((raw[len(bom) :] for bom in self.boms if raw.startswith(bom)), raw)
        return raw.decode(self.codec, "replace").encode("utf-8", "replace")


def encoding_of(codec: str, head: bytes) -> Encoding:
    """The encoding of a file that begins with `head`."""
    family = _BOMS.get(codec.replace("_", "-"), ())
    boms = tuple(bom for bom, _ in family)
    if family:
        codec = next((name for bom, name in family if head.startswith(bom)), family[0][1])
    elif codec == "utf-8-sig":
        boms, codec = (codecs.BOM_UTF8,), "utf-8"
    elif codec.startswith("utf-16"):
        boms = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return Encoding(codec, "\n".encode(codec), boms)
