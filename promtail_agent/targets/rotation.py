"""Which files beside a path may a rotation have made, and which of them is which?

Rotation renames a file (`0.log` → `0.log.20250101-000000`), or copies it and cuts it to nothing; it
numbers what was there before, and compresses it. Names tell where to look and what may be new; that
two contents are the same is told by the contents alone.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from promtail_agent.positions import Position
from promtail_agent.targets.content import Content, holds, open_content, packed_form

_NOT_READ = (".zst", ".xz", ".lz4", ".zip", ".tmp", ".swp")

# app.log.1, app.log.2026-01-02T10:00:00.000, app.log-20260102.1, app.log.old
_WORDS = "old|prev|previous|last|rotated"
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_TOKEN = rf"(?:\d[0-9a-z:+]*|{_WORDS}|{_MONTHS})"
_STAMP = re.compile(rf"[._-]{_TOKEN}(?:[._@-]{_TOKEN})*", re.IGNORECASE)
_LAST_TOKEN = re.compile(rf"[._@-]{_TOKEN}$", re.IGNORECASE)
# app-20260102.log, app.2026-01-02.1.log, app.1.log: before the suffix only what is no other log
_INNER = re.compile(
    rf"(?:[._-](?:19|20)\d\d[._-]?\d\d[0-9a-z:+]*(?:[._@-]{_TOKEN})*|\.\d{{1,3}})",
    re.IGNORECASE,
)

_DATE = re.compile(r"[._-]((?:19|20)\d\d[._-]?\d\d[._-]?\d\d[0-9T._:-]*)")

Identity = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A file beside a path; `is_rotated` where its name says that the path's content was moved."""

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    is_rotated: bool

    @property
    def identity(self) -> Identity:
        """What stays when the file is renamed."""
        return self.device, self.inode


def is_rotated_name(name: str, of: str) -> bool:
    """Is it what a rotation makes of a file's name?"""
    plain = name[: -len(packed_form(name))] if packed_form(name) else name
    if plain == of:
        return plain != name
    if plain.startswith(of):
        return _STAMP.fullmatch(plain[len(of) :]) is not None
    stem, suffix = os.path.splitext(of)  # noqa: PTH122  a name, no path
    if not suffix or not plain.startswith(stem) or not plain.endswith(suffix):
        return False
    return _INNER.fullmatch(plain[len(stem) : -len(suffix)]) is not None


def family_of(path: str) -> str:
    """The path that all rotated names of a file lead to: what is common to those that belong."""
    folder, name = os.path.split(path)
    name = name[: -len(packed_form(name))] if packed_form(name) else name
    while (found := _LAST_TOKEN.search(name)) is not None and found.start():
        name = name[: found.start()]
    stem, suffix = os.path.splitext(name)  # noqa: PTH122  a name, no path
    for at in range(1, len(stem)):
        if stem[at] in "._-" and _INNER.fullmatch(stem[at:]):
            return os.path.join(folder, stem[:at] + suffix)  # noqa: PTH118
    return os.path.join(folder, name)  # noqa: PTH118


def neighbours(path: str) -> list[Neighbour]:
    """Files beside a path that may have to do with it, the oldest content first.

    Beside the file itself: a link to it stands elsewhere.
    """
    file = Path(os.path.realpath(path))
    prefixes = tuple(file.name + mark for mark in "._-")
    family = family_of(str(file))
    root = os.path.splitext(os.path.basename(family))[0]  # noqa: PTH119, PTH122  may be odd
    out: list[Neighbour] = []
    try:
        with os.scandir(file.parent) as entries:
            for entry in entries:
                if not entry.name.startswith(root) or entry.name == file.name:
                    continue
                if entry.name.lower().endswith(_NOT_READ):
                    continue
                is_rotated = is_rotated_name(entry.name, file.name)
                if is_rotated or entry.name.startswith(prefixes) or family_of(entry.path) == family:
                    _add(out, entry, is_rotated)
    except OSError:
        return []
    return oldest_first(out)


def _add(out: list[Neighbour], entry: "os.DirEntry[str]", is_rotated: bool) -> None:
    try:
        if not entry.is_file():
            return
        status = entry.stat()
    except OSError:  # removed since the listing
        return
    out.append(
        Neighbour(
            path=entry.path,
            device=status.st_dev,
            inode=status.st_ino,
            size=status.st_size,
            modified_ns=status.st_mtime_ns,
            changed_ns=status.st_ctime_ns,
            is_rotated=is_rotated,
        )
    )


def oldest_first(around: Iterable[Neighbour]) -> list[Neighbour]:
    """By the dates in their names where all have one, else by when they were last written.

    A file that was compressed later than its successor was written has the younger time.
    """
    found = list(around)
    dates = {neighbour.path: _date_in(neighbour.path) for neighbour in found}
    dated = all(dates.values())

    def age(neighbour: Neighbour) -> tuple[str, int, int, str]:
        date = dates[neighbour.path] if dated else ""
        return date, neighbour.modified_ns, neighbour.changed_ns, neighbour.path

    return sorted(found, key=age)


def _date_in(path: str) -> str:
    """The digits of a name from the year on; "" without a year, month and day."""
    name = os.path.basename(path)  # noqa: PTH119  a name that may be odd
    found = _DATE.search(name)
    return "".join(filter(str.isdigit, found[1])) if found else ""


def find_rest(position: Position, around: Sequence[Neighbour]) -> tuple[Neighbour, Content] | None:
    """The neighbour that holds what was read up to `position`, open; the same file goes first."""
    same = [n for n in around if n.identity == (position.device, position.inode)]
    for candidate in (*same, *reversed(around)):
        if not position.head and candidate not in same:
            continue
        try:
            content = open_content(candidate.path)
        except OSError:
            continue
        if holds(content, position.head, position.offset, position.tail):
            return candidate, content
        content.close()
    return None
