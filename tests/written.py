"""What has a process that still runs written to its log so far? Whole lines, never half of one."""

from pathlib import Path


def whole_lines(path: Path) -> list[str]:
    """The lines of a growing file that are ended by a line break, without it.

    The last one may be half written at any moment, in the midst of a character even; it is left for
    the next look. A file that is not there yet has no lines.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return content[: content.rfind(b"\n") + 1].decode().split("\n")[:-1]
