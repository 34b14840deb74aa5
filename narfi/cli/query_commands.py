"""`query` and `instant-query`: logcli's words (reference/logcli.md §3-§7)."""

import sys
import time
from dataclasses import replace
from typing import IO, Annotated

import typer

from narfi.cli.flags import (
    Context,
    TimeSpan,
    UsageError,
    connected,
    parse_time,
    with_flags,
    with_times,
)
from narfi.cli.output import EntryFormat, EntryPrinter, print_json
from narfi.cli.paging import Pager
from narfi.cli.parallel import Parts, download
from narfi.cli.plan import print_plan
from narfi.cli.statistics import print_stats
from narfi.core.errors import AppError
from narfi.core.units import parse_go_duration

Explain = Annotated[bool, typer.Option("--explain", help="How the answer was found, on stderr.")]
Names = Annotated[list[str] | None, typer.Option(help="Repeatable.")]


def _form(
    no_labels: Annotated[bool, typer.Option(help="Without labels.")] = False,
    include_label: Names = None,
    exclude_label: Names = None,
    include_common_labels: Annotated[bool, typer.Option()] = False,
    labels_length: Annotated[int, typer.Option(help="Least width of labels.")] = 0,
    colored_output: Annotated[bool, typer.Option(help="A colour per stream.")] = False,
) -> EntryFormat:
    """How entries are printed, but for the shared flags."""
    return EntryFormat(
        no_labels=no_labels,
        include=tuple(include_label or ()),
        exclude=tuple(exclude_label or ()),
        include_common=include_common_labels,
        width=labels_length,
        colored=colored_output,
    )


def _parts(
    parallel_duration: Annotated[str, typer.Option(help="Length of a part.")] = "1h",
    parallel_max_workers: Annotated[int, typer.Option(help="Parts at once.")] = 1,
    part_path_prefix: Annotated[str, typer.Option(help="Write parts to files.")] = "",
    overwrite_completed_parts: Annotated[bool, typer.Option()] = False,
    merge_parts: Annotated[bool, typer.Option(help="Print the parts in order.")] = False,
    keep_parts: Annotated[bool, typer.Option(help="Keep merged parts.")] = False,
) -> Parts:
    """How a range is downloaded in parts."""
    return Parts(
        duration_ns=parse_go_duration(parallel_duration),
        workers=parallel_max_workers,
        prefix=part_path_prefix,
        overwrite=overwrite_completed_parts,
        merge=merge_parts,
        keep=keep_parts,
    )


@connected
@with_times
@with_flags(_form, "form")
@with_flags(_parts, "parts")
def query(
    context: Context,
    span: TimeSpan,
    form: EntryFormat,
    parts: Parts,
    logql: Annotated[str, typer.Argument(help="The query.")],
    limit: Annotated[int, typer.Option(help="Entries at most; 0 for all.")] = 30,
    batch: Annotated[int, typer.Option(min=1, help="Entries per request.")] = 1000,
    forward: Annotated[bool, typer.Option(help="Oldest first.")] = False,
    step: Annotated[str, typer.Option(help="Step of a metric query.")] = "",
    interval: Annotated[str, typer.Option(help="Least distance of entries.")] = "",
    tail: Annotated[bool, typer.Option("--tail", "-t", "--follow", "-f")] = False,
    delay_for: Annotated[int, typer.Option(help="Seconds that a tail lags.")] = 0,
    explain: Explain = False,
) -> None:
    """Ask a range query, or follow one."""
    if explain and (tail or context.stdin):
        raise UsageError("--explain needs a query that a server answers at once")
    form = replace(form, mode=context.output, utc=context.utc, times=context.time_format)
    printer = EntryPrinter(form=form, quiet=context.quiet)
    if context.stdin:
        if tail:
            raise UsageError("not supported")
        from narfi.cli.local import query_stdin

        query_stdin(logql, printer, forward=forward, limit=0)
        return
    if tail:
        from narfi.cli.tail import follow

        follow(context.connection, logql, printer, span.start_ns, limit, delay_for)
        return
    extra = [(name, value) for name, value in (("step", step), ("interval", interval)) if value]
    pager = Pager(
        connection=context.connection,
        logql=logql,
        forward=forward,
        extra=extra,
        stats=context.stats,
        explain=explain,
    )
    if parts.workers < 1:
        print("parallel-max-workers must be greater than 0, defaulting to 1.", file=sys.stderr)
    parallel = parts.workers > 1
    if not parallel and not parts.prefix:
        pager.run(printer, span, limit, batch)
        return

    def work(part: TimeSpan, out: IO[str]) -> None:
        pager.run(
            EntryPrinter(form=form, quiet=True, out=out), part, 0 if parallel else limit, batch
        )

    duration_ns = parts.duration_ns if parallel else max(span.end_ns - span.start_ns, 1)
    download(span, replace(parts, duration_ns=duration_ns, forward=forward), work)


@connected
@with_flags(_form, "form")
def instant_query(
    context: Context,
    form: EntryFormat,
    logql: Annotated[str, typer.Argument(help="The metric query.")],
    limit: Annotated[int, typer.Option(help="Entries at most.")] = 30,
    now: Annotated[str, typer.Option(help="When, RFC 3339.")] = "",
    forward: Annotated[bool, typer.Option(help="Oldest first.")] = False,
    explain: Explain = False,
) -> None:
    """Ask a metric query at one time."""
    if context.stdin:
        raise UsageError("metrics Query: not supported")
    when = parse_time(now, "now") if now else time.time_ns()
    direction = "FORWARD" if forward else "BACKWARD"
    params = [("query", logql), ("limit", str(limit)), ("time", str(when))]
    params.append(("direction", direction))
    params += [("explain", "true")] if explain else []
    data = context.connection.get("/loki/api/v1/query", params)["data"]
    if context.stats:
        print_stats(data.get("stats", {}))
    if explain:
        print_plan(data.get("explain", {}))
    print_json(data["result"])  # a server gives no entries here, so `form` has nothing to do


def fmt() -> None:
    """Lay out the query on stdin."""
    from logql.parser import parse_to_format
    from logql.pretty import pretty

    try:
        query = parse_to_format(sys.stdin.read().strip())
    except AppError as error:
        message = f"unable to format logql: failed to parse the query: {error.message}"
        raise UsageError(message) from error
    print(pretty(query))
