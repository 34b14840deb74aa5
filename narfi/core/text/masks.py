"""What is left of a line without its changing parts? Tokens with a digit are left out."""

import re
from dataclasses import dataclass

MARK = "\ufdd0"
"""Stands in a mask where a token with a digit was; no character of a line (a noncharacter)."""

_TOKEN = re.compile(
    rb"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9_\x80-\xff.:/\-+@%]*[A-Za-z0-9_\x80-\xff])?"
)
"""Word bytes, and joiners between them: `KINDS` of narfi/core/kernels/mask_scan.py."""
_DIGIT = re.compile(rb"[0-9]")


@dataclass(frozen=True, slots=True)
class Masked:
    """A line without its tokens that hold a digit, and where those stood (`[begin, end)` bytes)."""

    text: str
    places: tuple[tuple[int, int], ...]


def masked(line: bytes) -> Masked:
    """The mask of a line, `MARK` for each token that holds a digit."""
    places = [found.span() for found in _TOKEN.finditer(line) if _DIGIT.search(found[0])]
    kept, at = [], 0
    for begin, end in places:
        kept.append(as_text(line[at:begin]))
        at = end
    kept.append(as_text(line[at:]))
    return Masked(MARK.join(kept), tuple(places))


def mask(line: bytes) -> str:
    """The text of the mask; lines of one mask are alike."""
    return masked(line).text


def as_text(part: bytes) -> str:
    """Bytes that are no characters become U+FFFD, and so does a mark that stands in the line."""
    return part.decode("utf-8", "replace").replace(MARK, "\ufffd")


def shared(a: str, b: str) -> str:
    """What two texts of a token have in common: all, or what ends with a slash and then `MARK`."""
    if a == b:
        return a
    size = next(
        (k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    return a[: a.rfind("/", 0, size) + 1] + MARK
