"""`narfi import`: which sources are there? Each a module, imported when it is called."""

from typing import Annotated

import typer

from narfi.cli.flags import with_flags
from narfi.cli.import_flags import ImportFlags, import_command, source_flags
from narfi.history.place import Place

imports = typer.Typer(no_args_is_help=True, help="Bring history from servers and files.")


@imports.callback()
def _imports() -> None:
    """Bring history from servers and files."""


@imports.command("loki")
@import_command
@with_flags(source_flags, "source")
def loki(
    flags: ImportFlags,
    source: Place,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", help="Of the source; repeatable.")
    ] = None,
    match: Annotated[str, typer.Option(help='Only these streams, as {app="x"}.')] = "",
    since: Annotated[str, typer.Option(help="From here on, RFC 3339 or how long ago.")] = "30d",
    until: Annotated[str, typer.Option(help="Up to here, excluded; now by default.")] = "",
    queries: Annotated[
        float, typer.Option(min=0, help="Questions to the source a second; 0: as it goes.")
    ] = 0.0,
    batch: Annotated[int, typer.Option(min=10, help="Entries of one answer.")] = 5000,
) -> None:
    """From a running server that speaks Loki's API: Loki, or another Narfi."""
    from narfi.cli.import_loki import Asked, run

    asked = Asked(
        source=source,
        tenants=tuple(tenant or ()),
        match=match,
        since=since,
        until=until,
        queries_per_s=queries,
        batch=batch,
    )
    raise typer.Exit(run(asked, flags))
