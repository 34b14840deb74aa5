"""What does a form of file give? Records: where a line stands, when, whose, and what it says.

A form takes the lines of a family of files in their order (a log and the files it was rotated to).
It may hold lines back until they are whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Place = tuple[int, int]
"""Number of the file in its family, and where the line begins in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A line of a file that became an entry; `digits` of its time's second are known."""

    place: Place
    ts_ns: int
    digits: int
    labels: Mapping[str, str]
    line: bytes
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A line that is no entry, and why."""

    place: Place
    line: bytes
    reason: str


Found = Record | NotUnderstood


class Form(Protocol):
    """Reads one family of files."""

    def begin(self, first_lines: Sequence[bytes], memory: str) -> None:
        """A file begins, or goes on with what `memory` told then; raises `HistoryError`."""
        ...

    def take(self, line: bytes, place: Place) -> Iterator[Found]:
        """What is whole now."""
        ...

    def held_from(self) -> Place | None:
        """Where the oldest line begins that is held back."""
        ...

    def memory(self) -> str:
        """What is to be told when reading goes on behind the last line."""
        ...

    def end(self) -> Iterator[Found]:
        """What was held back, as it is: nothing follows."""
        ...


@dataclass(frozen=True, slots=True)
class Names:
    """Where in a JSON object labels, metadata, the time and the line are: paths with dots."""

    labels: tuple[tuple[str, str], ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    time: str = ""
    line: str = ""


def at_path(value: Any, path: str) -> Any:
    """The member of a path such as `kubernetes.labels.app`; a key with dots goes first."""
    if not isinstance(value, dict):
        return None
    if path in value:
        return value[path]
    head, dot, rest = path.partition(".")
    while dot:
        if head in value:
            found = at_path(value[head], rest)
            if found is not None:
                return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None


def text_of(value: Any) -> str:
    """A JSON value as a label or as metadata has it; "" for null and containers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""
