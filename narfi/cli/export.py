"""`narfi export`: all lines of a query into a file, in one of several forms."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from narfi.cli.client import Connection, ServerError
from narfi.cli.flags import Context, TimeSpan, UsageError, connected_to_file, with_times

PATH = "/narfi/api/v1/export"
ID_HEADER = "X-Narfi-Export-Id"
PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is exported."""

    query: str
    span: TimeSpan
    form: str
    columns: str
    backward: bool


Exporter = Callable[[Connection, Wanted, IO[bytes]], str]
"""Writes an export, and says in a line what it was; raises `AppError` when it is not whole."""


def _from_server(connection: Connection, wanted: Wanted, out: IO[bytes]) -> str:
    """As the server makes it, piece by piece."""
    params = [
        ("query", wanted.query),
        ("start", str(wanted.span.start_ns)),
        ("end", str(wanted.span.end_ns)),
        ("format", wanted.form),
        ("direction", "backward" if wanted.backward else "forward"),
        *([("columns", wanted.columns)] if wanted.columns else []),
    ]
    export_id = ""
    try:
        with connection.download(PATH, params) as found:
            export_id = found.headers.get(ID_HEADER, "")
            for piece in found.iter_bytes(PIECE_BYTES):
                out.write(piece)
    except ServerError as error:
        reason = _state(connection, export_id).get("reason") if export_id else None
        raise ServerError(f"{error.message}: {reason}" if reason else error.message) from error
    state = _state(connection, export_id)
    if not state:
        raise ServerError("the file was sent, but nobody says whether it is whole: see its end")
    if state["state"] != "complete":
        raise ServerError(f"the export is not whole: {state['reason']}")
    connection.warn([one["text"] for one in state["warnings"]])
    return f"{state['rows']:,} lines, {state['bytes']:,} bytes"


def _state(connection: Connection, export_id: str) -> dict[str, Any]:
    """What the server says of an export; nothing where another process answers."""
    found = connection.answer(f"{PATH}/{export_id}", timeout_s=30)
    return dict(found.json()) if found.is_success else {}


EXPORTERS: Mapping[str, Exporter] = {
    "jsonl": _from_server,
    "csv": _from_server,
    "txt": _from_server,
    "parquet": _from_server,
}
"""By form; one line for each."""


@connected_to_file
@with_times
def export(
    context: Context,
    span: TimeSpan,
    query: Annotated[str, typer.Argument(help="A log query.")],
    form: Annotated[str, typer.Option("--format", help=" or ".join(EXPORTERS))] = "txt",
    file: Annotated[str, typer.Option("--output", "-o", help="A file; else stdout.")] = "",
    columns: Annotated[str, typer.Option(help="Of csv: labels, a column each.")] = "",
    backward: Annotated[bool, typer.Option(help="Newest first.")] = False,
) -> None:
    """All lines of a query, however many, into a file."""
    if context.stdin:
        raise UsageError("not supported")
    if form not in EXPORTERS:
        raise UsageError(f"--format must be one of {', '.join(EXPORTERS)}")
    wanted = Wanted(query=query, span=span, form=form, columns=columns, backward=backward)
    with _sink(file) as out:
        told = EXPORTERS[form](context.connection, wanted, out)
    if not context.quiet:
        print(told, file=sys.stderr)


@contextmanager
def _sink(file: str) -> Iterator[IO[bytes]]:
    """Where it goes: a file that has its name only when it is whole."""
    if not file:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
