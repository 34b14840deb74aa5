"""Which cases fail, and why? Read from known_failures.txt: a case id, then the reason.

A case in the list that passes is an error as well: the list only gets shorter.
"""

from pathlib import Path

PATH = Path(__file__).parent / "known_failures.txt"


def known_failures() -> dict[str, str]:
    """Case id to reason."""
    found = {}
    for line in PATH.read_text().splitlines():
        if line and not line.startswith("#"):
            case, reason = line.split(None, 1)
            found[case] = reason
    return found
