"""What is a line without its colours? ANSI escape sequences removed (reference/logql.md §8.4)."""

import re  # our own pattern, over bytes; not the user's

_SEQUENCE = re.compile(
    rb"(?:\x1b|\xc2\x9b)[\[\]()#;?]*"
    rb"(?:(?:(?:[a-zA-Z0-9]*(?:;[a-zA-Z0-9]*)*)?\x07)"
    rb"|(?:(?:[0-9]{1,4}(?:;[0-9]{0,4})*)?[0-9A-PRZcf-ntqry=><~]))"
)


def strip_ansi(line: bytes) -> bytes:
    """The line without escape sequences that ESC or U+009B introduce."""
    if b"\x1b" not in line and b"\xc2\x9b" not in line:
        return line
    return _SEQUENCE.sub(b"", line)
