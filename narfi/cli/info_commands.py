"""`labels`, `series`, `stats`, `volume`, `volume_range`, `detected-fields` (logcli.md §6)."""

from typing import Annotated, Any

import typer

from narfi.cli.flags import Context, TimeSpan, UsageError, connected, with_times
from narfi.cli.output import Mode, print_json, print_lines, text_of
from narfi.core.units import format_bytes, parse_go_duration

Selector = Annotated[str, typer.Argument(help='Selector, for instance {app="x"}.')]


def _times(span: TimeSpan) -> list[tuple[str, str]]:
    return [("start", str(span.start_ns)), ("end", str(span.end_ns))]


@connected
@with_times
def labels(
    context: Context,
    span: TimeSpan,
    name: Annotated[str, typer.Argument(help="Show the values of this label.")] = "",
) -> None:
    """List label names, or the values of one."""
    if context.stdin:
        print_lines(["logcli"] if name == "source" else ["source"] if not name else [])
        return
    path = f"/loki/api/v1/label/{name}/values" if name else "/loki/api/v1/labels"
    print_lines(context.connection.get(path, _times(span)).get("data", []))


@connected
@with_times
def series(
    context: Context,
    span: TimeSpan,
    matcher: Selector,
    analyze_labels: Annotated[bool, typer.Option(help="Count values per label.")] = False,
) -> None:
    """List the streams that a selector finds."""
    if context.stdin:
        print_lines(['{source="logcli"}'])
        return
    params = [("match", matcher), *_times(span)]
    found = context.connection.get("/loki/api/v1/series", params)["data"]
    if not analyze_labels:
        print_lines(text_of(pairs) for pairs in found)
        return
    values: dict[str, list[str]] = {}
    for pairs in found:
        for name, value in pairs.items():
            values.setdefault(name, []).append(value)
    print(f"Total Streams:  {len(found)}\nUnique Labels:  {len(values)}\n")
    rows = [("Label Name", "Unique Values", "Found In Streams")]
    rows += [
        (name, str(len(set(held))), str(len(held)))
        for name, held in sorted(values.items(), key=lambda item: -len(set(item[1])))
    ]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    print_lines(f"{name:<{first}}  {unique:<{second}}  {where}" for name, unique, where in rows)


@connected
@with_times
def stats(context: Context, span: TimeSpan, query: Selector) -> None:
    """Tell how much a selector covers."""
    _no_stdin(context)
    found = context.connection.get("/loki/api/v1/index/stats", [("query", query), *_times(span)])
    size = format_bytes(found["bytes"])
    print(f"{{\n  bytes: {size}\n  chunks: {found['chunks']}")
    print(f"  streams: {found['streams']}\n  entries: {found['entries']}\n}}")


Targets = Annotated[list[str] | None, typer.Option("--targetLabels", help="Repeatable.")]
ByLabels = Annotated[bool, typer.Option("--aggregateByLabels")]


def _volume(
    context: Context,
    span: TimeSpan,
    path: str,
    extra: list[tuple[str, str]],
    targets: list[str] | None,
    by_labels: bool,
) -> None:
    _no_stdin(context)
    params = [*extra, *_times(span)]
    if targets:
        params.append(("targetLabels", ",".join(targets)))
    if by_labels:
        params.append(("aggregateBy", "labels"))
    print_json(context.connection.get(path, params)["data"]["result"])


@connected
@with_times
def volume(
    context: Context,
    span: TimeSpan,
    query: Selector,
    limit: Annotated[int, typer.Option(help="Series at most.")] = 30,
    target_labels: Targets = None,
    aggregate_by_labels: ByLabels = False,
) -> None:
    """Bytes by label."""
    extra = [("query", query), ("limit", str(limit))]
    path = "/loki/api/v1/index/volume"
    _volume(context, span, path, extra, target_labels, aggregate_by_labels)


@connected
@with_times
def volume_range(
    context: Context,
    span: TimeSpan,
    query: Selector,
    limit: Annotated[int, typer.Option(help="Series at most.")] = 30,
    step: Annotated[str, typer.Option(help="Length of a bucket.")] = "1h",
    target_labels: Targets = None,
    aggregate_by_labels: ByLabels = False,
) -> None:
    """Bytes by label over time."""
    seconds = str(parse_go_duration(step) // 10**9)
    extra = [("query", query), ("limit", str(limit)), ("step", seconds)]
    path = "/loki/api/v1/index/volume_range"
    _volume(context, span, path, extra, target_labels, aggregate_by_labels)


@connected
@with_times
def detected_fields(
    context: Context,
    span: TimeSpan,
    query: Annotated[str, typer.Argument(help="A log query.")],
    field: Annotated[str, typer.Argument(help="Show the values of this field.")] = "",
    limit: Annotated[int, typer.Option(help="Fields or values at most.")] = 100,
    line_limit: Annotated[int, typer.Option(help="Lines looked at.")] = 1000,
    step: Annotated[str, typer.Option()] = "10s",
) -> None:
    """Fields of the lines, their types and numbers of values."""
    _no_stdin(context)
    params = [("query", query), ("limit", str(limit)), ("line_limit", str(line_limit))]
    params += [("step", step), *_times(span)]
    name = f"detected_field/{field}/values" if field else "detected_fields"
    found: Any = context.connection.get(f"/loki/api/v1/{name}", params)
    if context.output is Mode.RAW:
        print_json(found)
    elif field:
        print_lines(found.get("values", []))
    else:
        print_lines(
            sorted(
                f"label: {f['label']}\t\ttype: {f['type']}\t\tcardinality: {f['cardinality']}"
                for f in found.get("fields", [])
            )
        )


def _no_stdin(context: Context) -> None:
    if context.stdin:
        raise UsageError("not supported")
