"""`narfi import`: which sources are there? And what sends history elsewhere."""

from pathlib import Path
from typing import Annotated, Any

import typer

from narfi.cli.flags import with_flags
from narfi.cli.import_flags import ImportFlags, import_command, source_flags, target_flags
from narfi.core.units import parse_bytes, parse_prometheus_duration
from narfi.history.place import Place

imports = typer.Typer(no_args_is_help=True, help="Bring history from servers and files.")

Paths = Annotated[list[Path], typer.Argument(help="Files, or folders of them; gz, bz2, zst too.")]
LabelFlag = Annotated[
    list[str] | None, typer.Option("--label", help="NAME=VALUE of every entry; repeatable.")
]
LabelFrom = Annotated[
    list[str] | None, typer.Option(help="NAME=PATH of a member that becomes a label; repeatable.")
]
MetadataFrom = Annotated[
    list[str] | None, typer.Option(help="NAME=PATH of a member that becomes metadata; repeatable.")
]
TimeField = Annotated[str, typer.Option(help="Member that has the time.")]
LineField = Annotated[str, typer.Option(help="Member that is the line; the whole object if not.")]
Since = Annotated[str, typer.Option(help="Only from here on, RFC 3339 or how long ago.")]
Until = Annotated[str, typer.Option(help="Only up to here, excluded.")]


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


@imports.command()
@import_command
def jsonl(
    flags: ImportFlags,
    paths: Paths,
    label: LabelFlag = None,
    label_from: LabelFrom = None,
    metadata_from: MetadataFrom = None,
    time_field: TimeField = "",
    line_field: LineField = "",
    since: Since = "",
    until: Until = "",
) -> None:
    """From files of JSON objects, one a line."""
    _files(
        "jsonl",
        flags,
        paths,
        (label, since, until),
        label_from=tuple(label_from or ()),
        metadata_from=tuple(metadata_from or ()),
        time_field=time_field,
        line_field=line_field,
    )


@imports.command()
@import_command
def elastic(
    flags: ImportFlags,
    paths: Paths,
    label: LabelFlag = None,
    label_from: LabelFrom = None,
    metadata_from: MetadataFrom = None,
    time_field: TimeField = "@timestamp",
    line_field: LineField = "",
    since: Since = "",
    until: Until = "",
) -> None:
    """From exports of Elasticsearch or OpenSearch: bulk bodies, or elasticdump's objects."""
    _files(
        "elastic",
        flags,
        paths,
        (label, since, until),
        label_from=tuple(label_from or ()),
        metadata_from=tuple(metadata_from or ()),
        time_field=time_field,
        line_field=line_field,
    )


@imports.command()
@import_command
def text(
    flags: ImportFlags,
    paths: Paths,
    label: LabelFlag = None,
    time_format: Annotated[
        str, typer.Option(help="Go layout or name of the time at a line's beginning.")
    ] = "",
    location: Annotated[
        str, typer.Option(help="Zone of times that have none, as Europe/Rome.")
    ] = "",
    join: Annotated[
        bool, typer.Option(help="Lines without a time belong to the one before.")
    ] = False,
    at: Annotated[
        str, typer.Option(help="Time of lines that have none, RFC 3339 or mtime: the file's.")
    ] = "",
    since: Since = "",
    until: Until = "",
) -> None:
    """From plain text whose lines begin with a time, in whatever common form."""
    more = {"time_format": time_format, "location": location, "join": join, "at": at}
    _files("text", flags, paths, (label, since, until), **more)


@imports.command()
@import_command
def logcli(
    flags: ImportFlags,
    paths: Paths,
    label: LabelFlag = None,
    since: Since = "",
    until: Until = "",
) -> None:
    """From what `logcli query` or `narfi query` printed: -o jsonl, or the default form."""
    _files("logcli", flags, paths, (label, since, until))


@imports.command()
@import_command
def docker(
    flags: ImportFlags,
    paths: Annotated[list[Path], typer.Argument(help="As /var/lib/docker/containers.")],
    label: LabelFlag = None,
    since: Since = "",
    until: Until = "",
) -> None:
    """From folders of Docker's json-file driver."""
    _files("docker", flags, paths, (label, since, until))


@imports.command()
@import_command
def cri(
    flags: ImportFlags,
    paths: Annotated[list[Path], typer.Argument(help="As /var/log/pods.")],
    label: LabelFlag = None,
    since: Since = "",
    until: Until = "",
) -> None:
    """From folders of containerd or CRI-O."""
    _files("cri", flags, paths, (label, since, until))


def _files(
    form: str,
    flags: ImportFlags,
    paths: list[Path],
    common: tuple[list[str] | None, str, str],
    **more: Any,
) -> None:
    """Import files; `common`: labels, since, until; `more`: what this form alone is told."""
    from narfi.cli.import_files import FilesAsked, run

    label, since, until = common
    asked = FilesAsked(
        form=form,
        paths=tuple(paths),
        labels=tuple(label or ()),
        since=since,
        until=until,
        **more,
    )
    raise typer.Exit(run(asked, flags))


@with_flags(target_flags, "target")
@with_flags(source_flags, "source")
def export_otlp(
    source: Place,
    target: Place,
    out: Annotated[Path | None, typer.Option(help="File that gets a request a line.")] = None,
    tenant: Annotated[str, typer.Option(help="Of both.")] = "",
    match: Annotated[str, typer.Option(help='Only these streams, as {app="x"}.')] = "",
    since: Annotated[str, typer.Option(help="From here on, RFC 3339 or how long ago.")] = "1h",
    until: Annotated[str, typer.Option(help="Up to here, excluded; now by default.")] = "",
    state: Annotated[
        Path, typer.Option(help="What was done; the same command goes on where it stopped.")
    ] = Path("narfi-export.state"),
    rate: Annotated[str, typer.Option(help="Sent at most, a second, as 2MB.")] = "",
    batch: Annotated[int, typer.Option(min=10, help="Entries of one answer.")] = 5000,
    give_up: Annotated[str, typer.Option(help="Wait so long for a busy server.")] = "10m",
) -> None:
    """Send entries of a server as OTLP to an endpoint (--to …/v1/logs), or into a file (--out)."""
    from narfi.cli.export_otlp import ExportAsked, run

    asked = ExportAsked(
        source=source,
        target=target,
        file=out,
        tenant=tenant,
        match=match,
        since=since,
        until=until,
        state=state,
        rate_bytes=float(parse_bytes(rate)) if rate else 0.0,
        batch=batch,
        give_up_s=parse_prometheus_duration(give_up) / 1e9,
    )
    raise typer.Exit(run(asked))
