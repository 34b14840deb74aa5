"""`narfi sql`: stored logs as tables, asked in SQL; reads the data folder, not the server."""

import csv
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narfi.cli.data_folder import data_folder
from narfi.cli.flags import UsageError, parse_time

if TYPE_CHECKING:
    from narfi.core.tenant import TenantId
    from querier.sql.hidden import HiddenRows
    from querier.sql.session import SqlSession
    from querier.sql.views import View
    from storage.catalog.base import BlockRow
    from storage.catalog.delete_log import DeleteRequest

MIN_NS, MAX_NS = -(2**63), 2**63 - 1


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
) -> None:
    """Ask stored logs in SQL: the views `logs` and `shape_…`; needs the extra `sql`."""
    if bool(query) == tables:
        raise UsageError("give either a query or --tables")
    from narfi.core.tenant import DEFAULT_TENANT, check_tenant
    from querier.sql.session import SqlSession
    from querier.sql.shapes import find_shapes
    from querier.sql.views import Period
    from storage.catalog.snapshot import pending_deletes, visible_blocks

    data = data_folder(data_dir, config)
    data.check_holds_the_blocks("narfi sql")
    folder = data.root.resolve()
    start_ns = parse_time(from_, "from") if from_ else MIN_NS
    end_ns = parse_time(to, "to") if to else MAX_NS
    owner = check_tenant(tenant) if tenant else DEFAULT_TENANT
    deletes = pending_deletes(folder / "catalog.db", owner)
    blocks = visible_blocks(folder / "catalog.db", owner, start_ns, end_ns)
    objects = folder / "objects"
    hidden = _hidden(objects, owner, blocks, deletes) if deletes else {}
    session = SqlSession(find_shapes(objects, blocks), Period(start_ns, end_ns), hidden)
    if tables:
        _print_views(session.views, session, output)
        return
    names, rows = session.run(query, as_json=output in (SqlOutput.JSON, SqlOutput.JSONL))
    if names:
        _print(names, rows, output)


def _hidden(
    objects: Path,
    tenant: "TenantId",
    blocks: "Sequence[BlockRow]",
    deletes: "Sequence[DeleteRequest]",
) -> "dict[Path, HiddenRows]":
    """What pending delete requests hide, by the folder of the block."""
    from querier.reading.deletes import deletion_of
    from querier.sql.hidden import hidden_rows
    from storage.objects.filesystem import LocalObjects

    found = hidden_rows(LocalObjects(objects), tenant, blocks, [deletion_of(d) for d in deletes])
    return {objects / one.prefix: one for one in found}


def _print_views(views: Sequence["View"], session: "SqlSession", output: SqlOutput) -> None:
    """For people a paragraph a view, for programs a row."""
    rows: list[list[str]] = []
    for view in views:
        columns = [f"{column.name} {column.kind}" for column in session.columns(view)]
        if output is SqlOutput.TABLE:
            print(f"{view.name}  {view.rows} rows")
            print(textwrap.indent(view.template, "    "), end="\n" if view.template else "")
            print("".join(f"        {column}\n" for column in columns))
        elif output is SqlOutput.CSV:
            rows.append([view.name, str(view.rows), view.template, ", ".join(columns)])
        else:
            content = {"view": view.name, "rows": view.rows, "template": view.template}
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
