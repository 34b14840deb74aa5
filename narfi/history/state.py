"""What is known of an import after its process died? Cursors, counts, refused lines, in SQLite.

Invariant: a page is noted in one durable transaction after the target acknowledged it: its cursor,
its counts and its refused lines together, or nothing. What was pushed and not noted is pushed
again, which changes nothing. The file holds no secrets, but refused lines are in it.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from narfi.history.errors import StateError
from narfi.history.page import Cursor, Refused
from narfi.history.tally import Counts

VERSION = "1"
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE part (name TEXT PRIMARY KEY, cursor TEXT NOT NULL, done INTEGER NOT NULL);
CREATE TABLE stream (id INTEGER PRIMARY KEY, tenant TEXT, labels TEXT, UNIQUE (tenant, labels));
CREATE TABLE tally (
  stream INTEGER, window INTEGER, entries INTEGER, bytes INTEGER, PRIMARY KEY (stream, window)
) WITHOUT ROWID;
CREATE TABLE refused (
  id INTEGER PRIMARY KEY, tenant TEXT, labels TEXT, ts TEXT, line BLOB, metadata TEXT, reason TEXT
);
"""


class State:
    """One import's file; used by one thread, and by one process at a time. Raises `StateError`."""

    def __init__(self, path: Path, about: Mapping[str, str]) -> None:
        """Open or create it; `about` says which import it is, and must be what it was."""
        self.path = path
        self._streams: dict[tuple[str, str], int] = {}
        try:
            self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            self._begin(dict(about))
        except sqlite3.Error as error:
            self._db.close()
            raise self._unusable(error) from error
        except StateError:
            self._db.close()
            raise

    def _unusable(self, error: Exception) -> StateError:
        text = str(error)
        if "locked" in text:
            return StateError(f"{self.path}: another import uses this state file")
        if "full" in text or "disk I/O" in text:
            text = f"{text}: nothing after the last note is lost, make room and repeat the command"
        elif "not a database" in text:
            text = "this file is no state of an import, give another --state"
        return StateError(f"state file {self.path} cannot be used: {text}")

    def _begin(self, about: dict[str, str]) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN EXCLUSIVE")
        if not self._db.execute("SELECT name FROM sqlite_master").fetchone():
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._db.executemany(
                "INSERT INTO about VALUES (?, ?)", [*about.items(), ("version", VERSION)]
            )
        self._db.execute("COMMIT")
        known = self.about()
        if known.get("version") == VERSION and not self._is_begun():
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM about")  # nothing was done: it may be another now
            rows = [*about.items(), ("version", VERSION)]
            self._db.executemany("INSERT INTO about VALUES (?, ?)", rows)
            self._db.execute("COMMIT")
            return
        if known.get("version") != VERSION:
            raise StateError(f"{self.path} was written by another version, or is no state file")
        for name, value in about.items():
            if known.get(name) != value:
                raise StateError(
                    f"{self.path} is of another import: {name} was {known.get(name)!r} and is now "
                    f"{value!r}; repeat the command as it was, or give another --state"
                )

    def _is_begun(self) -> bool:
        row = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM part) OR EXISTS (SELECT 1 FROM refused)"
        ).fetchone()
        return bool(row[0])

    def about(self) -> dict[str, str]:
        """What import it is, and facts that were kept with `keep`."""
        return dict(self._db.execute("SELECT name, value FROM about"))

    def keep(self, name: str, make: Callable[[], str]) -> str:
        """A fact as it was at the first start, when it was made."""
        known = self.about().get(name)
        if known is not None:
            return known
        value = make()
        self._write("INSERT INTO about VALUES (?, ?)", [(name, value)])
        return value

    def _write(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            self._db.execute("BEGIN")
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise self._unusable(error) from error

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def cursors(self) -> dict[str, Cursor]:
        """Where each part goes on."""
        rows = self._db.execute("SELECT name, cursor, done FROM part")
        return {name: Cursor(cursor, bool(done)) for name, cursor, done in rows}

    def note(
        self, cursors: Mapping[str, Cursor], counts: Counts, refused: Iterable[Refused]
    ) -> None:
        """Everything before the cursors is at the target, but for what was refused."""
        try:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO part VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
                "SET cursor = excluded.cursor, done = excluded.done",
                [(name, cursor.text, int(cursor.done)) for name, cursor in cursors.items()],
            )
            self._db.executemany(
                "INSERT INTO tally VALUES (?, ?, ?, ?) ON CONFLICT (stream, window) DO UPDATE "
                "SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes",
                [
                    (self._stream(tenant, labels), window, entries, size)
                    for (tenant, labels, window), (entries, size) in counts.items()
                ],
            )
            self._db.executemany(
                "INSERT INTO refused (tenant, labels, ts, line, metadata, reason) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [_refused_row(one) for one in refused],
            )
            self._db.execute("COMMIT")
        except BaseException as error:
            self._undo()
            self._streams.clear()
            if isinstance(error, sqlite3.Error):
                raise self._unusable(error) from error
            raise

    def _stream(self, tenant: str, labels: str) -> int:
        key = (tenant, labels)
        found = self._streams.get(key)
        if found is None:
            self._db.execute("INSERT OR IGNORE INTO stream (tenant, labels) VALUES (?, ?)", key)
            row = self._db.execute("SELECT id FROM stream WHERE tenant = ? AND labels = ?", key)
            found = self._streams[key] = int(row.fetchone()[0])
        return found

    def counts(self) -> Iterator[tuple[str, str, int, int, int]]:
        """(tenant, labels, window, entries, bytes of lines) of all that was delivered."""
        yield from self._db.execute(
            "SELECT tenant, labels, window, entries, bytes FROM tally "
            "JOIN stream ON stream.id = tally.stream ORDER BY tenant, window, labels"
        )

    def totals(self) -> tuple[int, int, int]:
        """Entries and bytes of lines that were delivered, and entries that were refused."""
        (entries, size) = self._db.execute(
            "SELECT COALESCE(SUM(entries), 0), COALESCE(SUM(bytes), 0) FROM tally"
        ).fetchone()
        (refused,) = self._db.execute("SELECT COUNT(*) FROM refused").fetchone()
        return entries, size, refused

    def refused(self) -> Iterator[Refused]:
        """What is not at the target, in the order in which it was refused."""
        rows = self._db.execute(
            "SELECT tenant, labels, ts, line, metadata, reason FROM refused ORDER BY id"
        )
        for tenant, labels, ts, line, metadata, reason in rows:
            pairs = tuple((name, value) for name, value in json.loads(metadata))
            yield Refused(
                tenant=tenant, labels=labels, entry=(int(ts), bytes(line), pairs), reason=reason
            )

    def write_refused(self, path: Path) -> int:
        """Refused lines as JSON, one a line, for people and for another import; how many."""
        count = 0
        with closing(path.open("w", encoding="utf-8")) as file:
            for one in self.refused():
                ts_ns, line, metadata = one.entry
                shown = {
                    "timestamp": str(ts_ns),
                    "labels": one.labels,
                    "line": line.decode("utf-8", "replace"),
                    "metadata": dict(metadata),
                    "tenant": one.tenant,
                    "reason": one.reason,
                }
                file.write(json.dumps(shown, ensure_ascii=False) + "\n")
                count += 1
        return count

    def close(self) -> None:
        """Let the file go."""
        self._db.close()


def _refused_row(one: Refused) -> tuple[object, ...]:
    ts_ns, line, metadata = one.entry
    # times of what was not understood may be beyond 64 bits: text
    return one.tenant, one.labels, str(ts_ns), line, json.dumps(list(metadata)), one.reason
