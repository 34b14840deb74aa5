"""Which files does a `__path__` mean? Doublestar globs: `*`, `?`, `[…]`, `{a,b}`, `**`.

A literal path that exists is taken as it is, whatever characters it has. Hidden files match, as
they do in Promtail. Source: reference/agent.md §7.
"""

import fnmatch
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from promtail_agent.targets.rotation import family_of

MAX_BRACE_PATTERNS = 256  # a pattern of many braces multiplies


def expand_braces(pattern: str) -> list[str]:
    """`/a/{b,c}/d` → `/a/b/d`, `/a/c/d`; nested braces too; unbalanced ones stay as they are."""
    start = pattern.find("{")
    while start >= 0:
        parts, end = _alternatives(pattern, start)
        if end > 0:
            out: list[str] = []
            for part in parts:
                if len(out) < MAX_BRACE_PATTERNS:
                    out += expand_braces(pattern[:start] + part + pattern[end + 1 :])
            return out[:MAX_BRACE_PATTERNS]
        start = pattern.find("{", start + 1)
    return [pattern]


def _alternatives(pattern: str, start: int) -> tuple[list[str], int]:
    """The parts between the brace at `start` and its end; the end is -1 where there is none."""
    depth, last = 0, start + 1
    parts: list[str] = []
    for at in range(start, len(pattern)):
        char = pattern[at]
        if char == "{":
            depth += 1
        elif char == "," and depth == 1:
            parts.append(pattern[last:at])
            last = at + 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return [*parts, pattern[last:at]], at
    return [], -1


def find_files(pattern: str, exclude: str = "") -> set[str]:
    """Absolute paths of files that match, less those that match `exclude`; no directories."""
    found = _matching(pattern)
    if exclude and found:
        found -= _matching(exclude)
    return found


def find_rotated(pattern: str, exclude: str, since_ns: int) -> set[str]:
    """Paths that match and name no file, but that a file written since was rotated from."""
    out: set[str] = set()
    for plain in expand_braces(pattern):
        folders = os.path.dirname(plain).replace("[^", "[!")  # noqa: PTH120  a pattern
        for folder in glob.iglob(folders or ".", recursive=True, include_hidden=True):  # noqa: PTH207
            for path in _written_since(folder, since_ns):
                base = family_of(path)
                is_other = base != path and not _is_file(base)
                if is_other and matches_pattern(base, pattern, exclude):
                    out.add(base)
    return out


def _written_since(folder: str, since_ns: int) -> Iterator[str]:
    try:
        with os.scandir(Path(folder).absolute()) as entries:
            for entry in entries:
                if entry.is_file() and entry.stat().st_mtime_ns > since_ns:
                    yield entry.path
    except OSError:  # no folder, or not to be entered; or a file went meanwhile
        return


def matches_pattern(path: str, pattern: str, exclude: str = "") -> bool:
    """Would `find_files` give this absolute path, if the file existed?"""
    names = path.split("/")
    for wanted, answer in ((exclude, False), (pattern, True)):
        plains = expand_braces(str(Path(wanted).absolute())) if wanted else []
        if any(_names_match(names, plain.split("/")) for plain in plains):
            return answer
    return False


def _names_match(names: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_names_match(names[i:], patterns[1:]) for i in range(len(names) + 1))
    if not names:
        return False
    wanted = patterns[0].replace("[^", "[!")
    return fnmatch.fnmatchcase(names[0], wanted) and _names_match(names[1:], patterns[1:])


def _is_file(path: str) -> bool:
    """False too where a folder on the way must not be entered: pathlib raises then."""
    return os.path.isfile(path)  # noqa: PTH113  as said


def _matching(pattern: str) -> set[str]:
    if _is_file(pattern):
        return {str(Path(pattern).absolute())}
    out: set[str] = set()
    for plain in expand_braces(pattern):
        translated = plain.replace("[^", "[!")
        for name in glob.iglob(translated, recursive=True, include_hidden=True):  # noqa: PTH207  pathlib skips hidden files
            if _is_file(name):
                out.add(str(Path(name).absolute()))
    return out
