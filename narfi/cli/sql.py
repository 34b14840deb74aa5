"""`narfi sql`: stored logs as tables, asked in SQL; reads the data folder, not the server."""

import csv
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from narfi.cli.data_folder import data_folder
from narfi.cli.flags import EXIT_WARNED, UsageError, parse_time
from narfi.cli.output import print_warnings

if TYPE_CHECKING:
    from querier.sql.session import SqlSession
    from querier.sql.views import View


class SqlOutput(StrEnum):
    """Forms of answers."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def sql(
    query: Annotated[str, typer.Argument(help="A statement of DuckDB's SQL.")] = "",
    data_dir: Annotated[str, typer.Option(help="Data folder of the server.")] = "",
    config: Annotated[str, typer.Option(help="The server's YAML file.")] = "",
    tenant: Annotated[str, typer.Option(envvar="LOKI_ORG_ID", help="Tenant.")] = "",
    from_: Annotated[str, typer.Option("--from", help="Oldest entries, RFC 3339.")] = "",
    to: Annotated[str, typer.Option("--to", help="End (exclusive), RFC 3339.")] = "",
    output: Annotated[SqlOutput, typer.Option("--output", "-o")] = SqlOutput.TABLE,
    tables: Annotated[bool, typer.Option("--tables", help="List the views.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Look at every byte first.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings: exit status 3.")] = False,
) -> None:
    """Ask stored logs in SQL: the views `logs` and `shape_…`; needs the extra `sql`."""
    if bool(query) == tables:
        raise UsageError("give either a query or --tables")
    from narfi.core.tenant import DEFAULT_TENANT, check_tenant
    from querier.sql.opening import Asked, StoredLogs
    from querier.sql.views import EVER, Period

    data = data_folder(data_dir, config)
    data.check_holds_the_blocks("narfi sql")
    folder = data.root.resolve()
    start_ns = parse_time(from_, "from") if from_ else EVER.start_ns
    end_ns = parse_time(to, "to") if to else EVER.end_ns
    owner = check_tenant(tenant) if tenant else DEFAULT_TENANT
    asked = Asked(tenant=owner, period=Period(start_ns, end_ns), deep=deep)
    stored = StoredLogs(folder, asked)
    if tables:
        session = stored.session()
        _print_views(session.views, session, output)
    else:
        names, rows = stored.run(query, as_json=output in (SqlOutput.JSON, SqlOutput.JSONL))
        if names:
            _print(names, rows, output)
    warnings = stored.warnings()
    print_warnings(warnings)
    if strict and warnings:
        raise typer.Exit(EXIT_WARNED)


def _print_views(views: Sequence["View"], session: "SqlSession", output: SqlOutput) -> None:
    """For people a paragraph a view, for programs a row; rows are those that a query would see."""
    rows: list[list[str]] = []
    for view in views:
        count = session.count(view)
        columns = [f"{column.name} {column.kind}" for column in session.columns(view)]
        if output is SqlOutput.TABLE:
            print(f"{view.name}  {count} rows")
            print(textwrap.indent(view.template, "    "), end="\n" if view.template else "")
            print("".join(f"        {column}\n" for column in columns))
        elif output is SqlOutput.CSV:
            rows.append([view.name, str(count), view.template, ", ".join(columns)])
        else:
            content = {"view": view.name, "rows": count, "template": view.template}
            rows.append([json.dumps({**content, "columns": columns}, ensure_ascii=False)])
    if output is not SqlOutput.TABLE:
        _print(("view", "rows", "template", "columns"), iter(rows), output)


def _print(names: Sequence[str], rows: Iterator[Sequence[str | None]], output: SqlOutput) -> None:
    if output is SqlOutput.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif output is SqlOutput.JSONL:
        for row in rows:
            print(row[0])
    elif output is SqlOutput.JSON:
        mark = "["
        for row in rows:
            print(mark, row[0], sep="")
            mark = ","
        print("]" if mark == "," else "[]")
    else:
        _print_table(names, rows)


def _print_table(names: Sequence[str], rows: Iterator[Sequence[str | None]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for name in names:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else value) for value in row))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 10**4)
    console.print(table)
