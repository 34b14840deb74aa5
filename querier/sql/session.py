"""How is a SQL query run? In a DuckDB of its own in memory, over views of stored blocks.

The only module that imports DuckDB, and only when a session begins: it is an extra.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from narfi.core.errors import AppError, ErrorKind
from querier.sql.hidden import HiddenRows
from querier.sql.line_text import name_sql, quoted
from querier.sql.shapes import Stored
from querier.sql.views import (
    EVER,
    HIDDEN_TABLE,
    STREAM_TABLE,
    Period,
    View,
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


class SqlSession:
    """One connection; not thread-safe."""

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
        self._execute(streams_sql(stored))
        if hidden:
            self._hide(hidden)
            period = replace(period, hides=True)
        self.views = views_of(stored, period)
        self._period = period
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

    def _execute(self, sql: str) -> Any:
        try:
            return self._duck.execute(sql)
        except self._error as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> SqlError:
        """DuckDB's own words."""
        found = SqlError(str(error))
        found.of_data = isinstance(error, self._of_data)
        return found

    def count(self, view: View) -> int:
        """Rows of a view: within the period, and not hidden."""
        if not self._period.hides and self._period == EVER:
            return view.rows  # as the footers say
        ((rows,),) = self._execute(f"SELECT count(*) FROM ({view.sql})").fetchall()
        return int(rows)
