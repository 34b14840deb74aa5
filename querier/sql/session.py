"""How is a SQL query run? In a DuckDB of its own in memory, over views of stored blocks.

The only module that imports DuckDB, and only when a session begins: it is an extra.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from narfi.core.errors import AppError, ErrorKind
from querier.sql.hidden import HiddenRows
from querier.sql.line_text import name_sql, quoted
from querier.sql.selects import check_select
from querier.sql.shapes import Stored
from querier.sql.views import (
    HIDDEN_TABLE,
    LOGS,
    STREAM_TABLE,
    Period,
    View,
    counts_sql,
    streams_sql,
    views_of,
)

FETCHED_ROWS = 4096
_WITH_ANSWER = ("EXPLAIN", "PRAGMA", "CALL")
"""Statements besides SELECT and its kind that give rows."""


class SqlError(AppError):
    """The query is wrong, or DuckDB is not installed, or could not read a file (`of_data`)."""

    kind = ErrorKind.INVALID
    of_data = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confines:
    """What a statement from a distance may take."""

    memory_bytes: int
    threads: int
    rows: int  # of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlAnswer:
    """Rows as values of JSON; `truncated`: there are more."""

    columns: tuple[Column, ...]
    rows: list[list[object]]
    truncated: bool


class SqlSession:
    """One connection; not thread-safe, but for `interrupt`."""

    def __init__(
        self, stored: Stored, period: Period, hidden: Mapping[Path, HiddenRows] | None = None
    ) -> None:
        try:
            import duckdb
        except ImportError as error:
            message = "narfi sql needs DuckDB; install the extra: pip install 'narfi[sql]'"
            raise SqlError(message) from error
        self._error: type[Exception] = duckdb.Error
        self._of_data: tuple[type[Exception], ...] = (
            duckdb.IOException,
            duckdb.InvalidInputException,
            duckdb.InternalException,
            duckdb.SerializationException,
        )
        self._duck: Any = duckdb.connect(
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
        )
        self._folders = tuple(stored.folders)
        self._execute(streams_sql(stored))
        if hidden:
            self._hide(hidden)
            period = replace(period, hides=True)
        self.views = views_of(stored, period)
        self._stored, self._period = stored, period
        self._hidden = frozenset(hidden or ())
        self._counts: Counter[str] | None = None
        self._created: set[str] = set()

    def _hide(self, hidden: Mapping[Path, HiddenRows]) -> None:
        """Take away hidden streams, and make the table of hidden rows."""
        self._execute(f"CREATE TABLE {HIDDEN_TABLE} (folder VARCHAR, row BIGINT)")
        for folder, gone in hidden.items():
            name = quoted(str(folder))
            for table, numbers in (("streams", gone.streams), ("rows", gone.rows)):
                self._duck.register(table, pa.table({"number": numbers}))
            self._execute(
                f"DELETE FROM {STREAM_TABLE} WHERE folder = {name} "
                "AND stream IN (SELECT number FROM streams)"
            )
            self._execute(f"INSERT INTO {HIDDEN_TABLE} SELECT {name}, number FROM rows")
            for table in ("streams", "rows"):
                self._duck.unregister(table)

    def columns(self, view: View) -> list[Column]:
        """Names and types of a view."""
        rows = self._execute(f"DESCRIBE {view.sql}").fetchall()
        return [Column(row[0], row[1]) for row in rows]

    def run(self, text: str, *, as_json: bool) -> tuple[list[str], Iterator[Sequence[str | None]]]:
        """Names and rows of the last statement's answer, as texts; no names: it gives none.

        `as_json`: one text a row, a JSON object.
        """
        self._create(text)
        try:
            statements = self._duck.extract_statements(text)
            for statement in statements[:-1]:
                self._duck.execute(statement)
            if not statements:
                return [], iter(())
            kind = statements[-1].type.name
            if kind == "SELECT":
                return self._select(statements[-1].query.rstrip().rstrip(";"), as_json=as_json)
            self._duck.execute(statements[-1])
            if kind not in _WITH_ANSWER:
                return [], iter(())
            names = [column[0] for column in self._duck.description]
            rows = [[str(value) for value in row] for row in self._duck.fetchall()]
        except self._error as error:
            raise self._told(error) from error
        if as_json:
            return names, iter([[json.dumps(dict(zip(names, row, strict=True)))] for row in rows])
        return names, iter(rows)

    def _select(
        self, query: str, *, as_json: bool
    ) -> tuple[list[str], Iterator[Sequence[str | None]]]:
        inner = f"({query}\n)"  # behind a comment at the end, a line of its own
        found = self._duck.execute(f"SELECT * FROM {inner} LIMIT 0")
        names = [column[0] for column in found.description]  # DuckDB makes them distinct
        if as_json:
            packed = ", ".join(f"{name_sql(n)} := {name_sql(n)}" for n in names)
            wanted = f"to_json(struct_pack({packed}))::VARCHAR"
        else:
            wanted = ", ".join(f"{name_sql(n)}::VARCHAR" for n in names)
        listed = ", ".join(map(name_sql, names))
        return names, self._rows(f"SELECT {wanted} FROM {inner} AS answer({listed})")

    def _rows(self, sql: str) -> Iterator[Sequence[str | None]]:
        try:
            found = self._duck.execute(sql)
            while rows := found.fetchmany(FETCHED_ROWS):
                yield from rows
        except self._error as error:
            raise self._told(error) from error

    def _create(self, text: str) -> None:
        """Views that the text names (each costs a look at its files); all, when it names none."""
        lowered = text.lower()
        named = [view for view in self.views if view.name in lowered] or self.views
        for view in named:
            if view.name not in self._created:
                self._execute(f"CREATE VIEW {view.name} AS {view.sql}")
                self._created.add(view.name)

    def _execute(self, sql: str, values: Sequence[object] = ()) -> Any:
        try:
            return self._duck.execute(sql, values) if values else self._duck.execute(sql)
        except self._error as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> SqlError:
        """DuckDB's own words."""
        found = SqlError(str(error))
        found.of_data = isinstance(error, self._of_data)
        return found

    def interrupt(self) -> None:
        """End what runs, from another thread."""
        self._duck.interrupt()

    def answer(self, text: str, confines: Confines) -> SqlAnswer:
        """What one SELECT over the views gives, from somebody who is not trusted.

        From then on the session opens no file but those of the blocks and changes no setting.
        Raises `RefusedSqlError`.
        """
        serialized = self._execute("SELECT json_serialize_sql(?)", [text]).fetchone()[0]
        check_select(serialized, {view.name for view in self.views})
        self._create(text)
        self._confine(confines)
        try:
            (statement,) = self._duck.extract_statements(text)
            inner = f"({statement.query.rstrip().rstrip(';')}\n)"
            described = self._duck.execute(f"DESCRIBE SELECT * FROM {inner}").fetchall()
            columns = tuple(Column(row[0], row[1]) for row in described)
            wanted = ", ".join(_as_text(column) for column in columns)
            listed = ", ".join(name_sql(column.name) for column in columns)
            found = self._duck.execute(
                f"SELECT {wanted} FROM {inner} AS answer({listed}) LIMIT {confines.rows + 1}"
            )
            rows: list[list[object]] = []
            while some := found.fetchmany(FETCHED_ROWS):
                rows += [[_value(c, t) for c, t in zip(columns, r, strict=True)] for r in some]
        except self._error as error:
            raise self._told(error) from error
        most = confines.rows
        return SqlAnswer(columns=columns, rows=rows[:most], truncated=len(rows) > most)

    def _confine(self, confines: Confines) -> None:
        folders = ", ".join(quoted(f"{folder}/") for folder in self._folders)
        for setting in (
            f"memory_limit = '{confines.memory_bytes}B'",
            f"threads = {confines.threads}",
            "temp_directory = ''",
            "python_enable_replacements = false",
            f"allowed_directories = [{folders}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._execute(f"SET {setting}")

    def count(self, view: View) -> int:
        """Rows of a view: within the period, and not hidden."""
        if self._counts is None:
            self._counts = self._counted()
        return self._counts[view.name]

    def _counted(self) -> Counter[str]:
        """By name of the view; DuckDB reads what the footers cannot tell: blocks on the edge of the
        period, and with hidden rows.
        """
        start_ns, end_ns = self._period.start_ns, self._period.end_ns
        read = {
            folder
            for folder, (first, last) in self._stored.times.items()
            if first < start_ns or last >= end_ns or folder in self._hidden
        }
        known = self._stored.only(self._stored.times.keys() - read)
        found = Counter({shape.name: shape.rows for shape in known.shapes})
        found[LOGS] = known.rows
        if read:
            sql = counts_sql(self._stored.only(read), self._period)
            for name, rows in self._execute(sql).fetchall():
                found[LOGS] += rows
                if name is not None:
                    found[name] += rows
        return found


_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_WHOLE_NUMBERS = (*_WHOLE, *(f"U{name}" for name in _WHOLE))
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")
_NESTED = ("MAP(", "STRUCT(", "UNION(", "LIST", "JSON")


def _is_nested(column: Column) -> bool:
    return column.kind.startswith(_NESTED) or column.kind.endswith("]")


def _as_text(column: Column) -> str:
    name = name_sql(column.name)
    return f"to_json({name})::VARCHAR" if _is_nested(column) else f"{name}::VARCHAR"


def _value(column: Column, text: str | None) -> object:
    """A value of JSON; numbers that JSON cannot say are texts."""
    if text is None:
        return None
    if column.kind in _WHOLE_NUMBERS:
        number = int(text)
        return number if -(2**63) <= number < 2**64 else text
    if column.kind.startswith(_FRACTIONS):
        fraction = float(text)
        return fraction if math.isfinite(fraction) else text
    if column.kind == "BOOLEAN":
        return text == "true"
    if _is_nested(column):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
