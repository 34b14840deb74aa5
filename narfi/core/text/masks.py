"""What is left of a line without its changing parts? Tokens with a digit become `<_>`."""

import re

HOLE = "<_>"
_HOLE = HOLE.encode()
_TOKEN = re.compile(
    rb"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9_\x80-\xff.:/\-+@%]*[A-Za-z0-9_\x80-\xff])?"
)
"""Word bytes, and joiners between them: `KINDS` of narfi/core/kernels/mask_scan.py."""
_DIGIT = re.compile(rb"[0-9]")


def mask(line: bytes) -> str:
    """The line with every token that holds a digit as `<_>`; lines of one mask are alike."""
    return _TOKEN.sub(_masked, line).decode("utf-8", "replace")


def _masked(token: "re.Match[bytes]") -> bytes:
    text = token[0]
    return _HOLE if _DIGIT.search(text) else text
