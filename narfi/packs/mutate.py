"""What may become of a line on its way? Cut, quotes doubled, bytes that are no text, CRLF, length.

A pack must keep each of them as an entry, and must not make a label's value of it.
"""

from collections.abc import Iterator, Sequence

LONG_BYTES = 300_000


def mutated(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Lines that are nearly those of a sample; none is empty or holds an end of line."""
    for number, line in enumerate(lines):
        if not line:
            continue
        for part in (len(line) // 3, 2 * len(line) // 3, len(line) - 1):
            if part:
                yield line[:part]
        yield line.replace(b'"', b'""')
        yield line.replace(b'"', b"")
        middle = len(line) // 2
        yield line[:middle] + b"\xff\xfe\x80" + line[middle:]
        yield line + b"\r"
        yield line + b' trailing }]" rubbish'
        if number == 0:
            yield line + b"x" * LONG_BYTES
