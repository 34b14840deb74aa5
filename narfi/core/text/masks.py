"""What is left of a line without its changing parts? Tokens with a digit become `<_>`."""

from narfi.core.kernels.mask_scan import KINDS

HOLE = "<_>"
_WORD = 1


def mask(line: bytes) -> str:
    """The line with every token that holds a digit as `<_>`; lines of one mask are alike."""
    out: list[str] = []
    at = 0
    while at < len(line):
        if KINDS[line[at]] != _WORD:
            out.append(chr(line[at]))
            at += 1
            continue
        stop = last = at
        while stop < len(line) and KINDS[line[stop]]:
            last = stop if KINDS[line[stop]] == _WORD else last
            stop += 1
        token = line[at : last + 1]
        has_digit = any(48 <= byte <= 57 for byte in token)
        out.append(HOLE if has_digit else token.decode("utf-8", "replace"))
        at = last + 1
    return "".join(out)
