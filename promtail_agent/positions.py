"""Up to where was each file delivered? Promtail's positions file, plus what tells files apart.

`positions:` is Promtail's map of path to offset. `files:` adds what tells a file's content from
others, and which files beside it need not be read: after a restart a file that was rotated
meanwhile is found again, and so are those that came and went unread.
Invariant: a position is saved only after the server has acknowledged every line before it, or a
client gave that line up for good (counted). Source: reference/agent.md §6.
"""

import base64
import binascii
import os
import threading
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from promtail_agent.errors import PositionsError
from promtail_agent.known import Beside
from promtail_agent.metrics import AgentMetrics

PRUNE_AFTER_S = 600.0

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""In C where there is one, ten times as fast: a node has hundreds of files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Everything before `offset` in this content of this path is delivered.

    `tail` stands for the bytes before `offset` ("" where they are not known); `base` is the place
    of the content's first byte among all contents of the path; `beside` the files that need not be
    read. Sources that are no files have a path such as `cursor-<job>` and a `cursor` in their own
    words.
    """

    path: str
    offset: int
    device: int = 0
    inode: int = 0
    head: bytes = b""
    cursor: str = ""
    tail: bytes = b""
    base: int = 0
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A position that holds once all entries before it are acknowledged; `order` only grows."""

    order: int
    position: Position


class PositionLedger:
    """Collects acknowledgements of all clients; a position counts when the last one has given it.

    Thread-safe. `start` is what was saved before; readers ask it where to begin.
    """

    def __init__(self, path: Path, clients: int, start: Mapping[str, Position]) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._saving = threading.Lock()  # the file is written by one thread at a time
        self._acknowledged: list[dict[str, Mark]] = [{} for _ in range(clients)]
        self._taken: list[dict[str, Mark]] = [{} for _ in range(clients)]
        self._saved: dict[str, Position] = dict(start)
        self._missing_since_s: dict[str, float] = {}
        self._changed = False
        self.has_begun = False
        """Whether a path was noted that is not saved yet."""

    def begin_at(self, path: str) -> Position | None:
        """Where to go on with a path, if it is known.

        Behind what every client keeps in its spool, else behind what was saved.
        """
        with self._lock:
            marks = [taken.get(path) for taken in self._taken]
            known = [mark for mark in marks if mark is not None]
            if known and len(known) == len(marks):
                return min(known, key=lambda mark: mark.order).position
            return self._saved.get(path)

    def resume(self, client: int, marks: Mapping[str, Mark]) -> None:
        """A client's spool holds everything up to these marks: it need not be read again."""
        with self._lock:
            self._taken[client] = dict(marks)

    def cursor_of(self, path: str) -> str:
        """The cursor of a source that is no file; "" where it is not known."""
        start = self.begin_at(path)
        return "" if start is None else start.cursor

    def paths(self) -> list[str]:
        """All paths of which something is known."""
        with self._lock:
            return list({**self._saved, **{p: None for taken in self._taken for p in taken}})

    def begin(self, position: Position) -> None:
        """Note where reading of a path begins, unless something is known of it already.

        A file that was empty is noted again when its content is known by its first bytes. To be
        saved soon: it finds content that is rotated away before anything of it is acknowledged.
        """
        with self._lock:
            known = self._saved.get(position.path)
            if known is None or (not known.offset and not known.head and position.head):
                self._saved[position.path] = position
                self._changed = self.has_begun = True

    def acknowledge(self, client: int, marks: Mapping[str, Mark]) -> None:
        """A client has delivered everything before these marks."""
        with self._lock:
            mine = self._acknowledged[client]
            mine.update(marks)
            for path in marks:
                self._advance(path)

    def _advance(self, path: str) -> None:
        marks = [client.get(path) for client in self._acknowledged]
        known = [mark for mark in marks if mark is not None]
        if len(known) == len(marks):
            slowest = min(known, key=lambda mark: mark.order)
            self._saved[path] = slowest.position
            self._changed = True

    def prune(self, active: Set[str], now_s: float, exists: Callable[[str], bool]) -> None:
        """Forget paths that nobody reads and that have not existed for a while.

        Not at once: a rename leaves a path without a file for a moment, and after a restart the
        position is what finds the rest of the renamed file. `exists` says whether there is a file,
        or a rotated one that would be taken for new without the position.
        """
        with self._lock:
            for path in [p for p in self._saved if p not in active]:
                if is_cursor(path) or exists(path):
                    self._missing_since_s.pop(path, None)
                elif now_s - self._missing_since_s.setdefault(path, now_s) > PRUNE_AFTER_S:
                    self._drop(path)

    def _drop(self, path: str) -> None:
        for client in self._acknowledged:
            client.pop(path, None)
        del self._saved[path]
        del self._missing_since_s[path]
        self._changed = True

    def save(self, metrics: AgentMetrics) -> None:
        """Write the file if anything changed since the last time; atomic.

        Its time says in any case that the agent was there, and looked for files.
        """
        with self._saving:
            with self._lock:
                changed = self._changed
                self._changed = self.has_begun = False
                text = render(self._saved) if changed else ""
            if not changed:
                _touch(self._path)
                return
            try:
                _replace_file(self._path, text)
            except OSError:
                self._changed = True
                raise
            metrics.positions_saved += 1


def is_cursor(path: str) -> bool:
    """Whether a key of the file is no path."""
    return path.startswith(("cursor-", "journal-"))


def render(positions: Mapping[str, Position]) -> str:
    """The file's text."""
    ordered = sorted(positions.items())
    document = {
        "positions": {path: p.cursor or str(p.offset) for path, p in ordered},
        "files": {path: _file_entry(p) for path, p in ordered if not is_cursor(path)},
    }
    text: str
    try:
        text = yaml.dump(document, Dumper=_Dumper, sort_keys=False)
    except UnicodeEncodeError:  # a file's name is no UTF-8, which the quick one cannot write
        text = yaml.safe_dump(document, sort_keys=False)
    return text


def _file_entry(position: Position) -> dict[str, object]:
    entry: dict[str, object] = {
        "device": position.device,
        "inode": position.inode,
        "head": base64.b64encode(position.head).decode("ascii"),
    }
    if position.tail:
        entry["tail"] = position.tail.hex()
    if position.base:
        entry["base"] = position.base
    if position.beside is not None:
        entry["beside"] = position.beside.to_row()
    return entry


def load_positions(path: Path, ignore_invalid: bool) -> dict[str, Position]:
    """The saved positions; none where the file is missing or empty.

    Raises `PositionsError` for anything else than a positions file, unless `ignore_invalid`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        if ignore_invalid:
            return {}
        raise PositionsError(f"invalid yaml positions file [{path}]: {error}") from error
    except OSError as error:
        raise PositionsError(f"positions file {path} cannot be read: {error}") from error
    try:
        return _parse(text)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, binascii.Error) as error:
        if ignore_invalid:
            return {}
        raise PositionsError(f"invalid yaml positions file [{path}]: {error}") from error


def _parse(text: str) -> dict[str, Position]:
    try:
        document = yaml.load(text, _Loader) or {}
    except yaml.YAMLError:  # a name that is no UTF-8, as above; or no YAML at all
        document = yaml.safe_load(text) or {}
    files = document.get("files") or {}
    out: dict[str, Position] = {}
    for path, offset in (document.get("positions") or {}).items():
        if is_cursor(path):
            out[path] = Position(path=path, offset=0, cursor=str(offset))
            continue
        known = files.get(path, {})
        out[path] = Position(
            path=path,
            offset=int(offset),
            device=int(known.get("device", 0)),
            inode=int(known.get("inode", 0)),
            head=base64.b64decode(known.get("head", ""), validate=True),
            tail=bytes.fromhex(known.get("tail", "")),
            base=int(known.get("base", 0)),
            beside=Beside.from_row(known["beside"]) if "beside" in known else None,
        )
    return out


def _touch(path: Path) -> None:
    if path.is_file():
        os.utime(path)


def _replace_file(path: Path, text: str) -> None:
    """Mode 0600, flushed to disk, then renamed over the old one."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
