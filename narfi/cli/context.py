"""`narfi context`: the lines around a line of a stream."""

from typing import Annotated, Any

import typer

from narfi.cli.flags import Context, UsageError, connected, parse_time
from narfi.cli.output import EntryFormat, EntryPrinter, Mode, TimeFormat, shown_time

PATH = "/narfi/api/v1/context"


@connected
def context(
    context: Context,
    stream: Annotated[str, typer.Argument(help='All labels of the stream, as {app="x"}.')],
    when: Annotated[str, typer.Argument(help="Time of the line: ns, or RFC 3339.")],
    offset: Annotated[int, typer.Option(help="Lines of that time before it.")] = 0,
    before: Annotated[int, typer.Option("--before", "-B", help="Lines before it.")] = 10,
    after: Annotated[int, typer.Option("--after", "-A", help="Lines behind it.")] = 10,
    labels: Annotated[str, typer.Option(help="Of streams that share these labels.")] = "",
) -> None:
    """The lines around a line, exact where many share a time."""
    if context.stdin:
        raise UsageError("not supported")
    ts = int(when) if when.lstrip("-").isdigit() else parse_time(when, "when")
    params = [
        ("stream", stream),
        ("ts", str(ts)),
        ("offset", str(offset)),
        ("before", str(before)),
        ("after", str(after)),
        ("max_line_bytes", "0"),
        *([("labels", labels)] if labels else []),
    ]
    found = context.connection.get(PATH, params)
    own = [found["own"]] if found["own"] else []
    entries = [*found["before"], *own, *found["after"]]
    if context.output is not Mode.DEFAULT:
        form = EntryFormat(
            mode=context.output, utc=context.utc, times=context.time_format, include_common=True
        )
        printer = EntryPrinter(form=form, quiet=True)
        for one in entries:
            printer.entry(int(one["ts"]), one["labels"], one["line"])
        return
    for one in entries:
        _print(one, context, is_own=one is found["own"])


def _print(one: dict[str, Any], context: Context, *, is_own: bool) -> None:
    time = shown_time(int(one["ts"]), utc=context.utc, form=TimeFormat.RFC3339NANO)
    print(f"{'>' if is_own else ' '} {time} {one['line'].strip()}")
