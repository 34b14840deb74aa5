"""`query`, `instant-query`, `labels`, `series`: logcli's words (reference/logcli.md)."""

import time
from datetime import datetime
from typing import Annotated, Any

import typer

from narfi.cli.output import EntryPrinter, Mode, print_json, print_lines, text_of
from narfi.core.errors import AppError, ErrorKind
from narfi.core.units import parse_go_duration

DEFAULT_ADDRESS = "http://localhost:3100"


class UsageError(AppError):
    """A flag that cannot be used."""

    kind = ErrorKind.INVALID


Address = Annotated[str, typer.Option("--addr", envvar="LOKI_ADDR", help="Server address.")]
Tenant = Annotated[str, typer.Option("--org-id", envvar="LOKI_ORG_ID", help="Tenant.")]
Username = Annotated[str, typer.Option(envvar="LOKI_USERNAME")]
Password = Annotated[str, typer.Option(envvar="LOKI_PASSWORD")]
Token = Annotated[str, typer.Option("--bearer-token", envvar="LOKI_BEARER_TOKEN")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only the data.")]
Since = Annotated[str, typer.Option(help="How far back, when --from is absent.")]
From = Annotated[str, typer.Option("--from", help="Start, RFC 3339.")]
To = Annotated[str, typer.Option(help="End (exclusive), RFC 3339.")]
Output = Annotated[Mode, typer.Option("--output", "-o", help="default, raw or jsonl.")]


def _connection(
    address: str, tenant: str, username: str, password: str, token: str, quiet: bool
) -> Any:
    from narfi.cli.client import Connection

    return Connection(address, tenant, username, password, token, quiet)


def _ns(text: str, flag: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"unable to parse time {text!r} of --{flag}") from None
    if moment.tzinfo is None:
        raise UsageError(f"unable to parse time {text!r} of --{flag}: it needs a zone")
    return int(moment.timestamp() * 1_000_000) * 1000


def _bounds(since: str, start: str, to: str) -> tuple[int, int]:
    end_ns = _ns(to, "to") if to else time.time_ns()
    start_ns = _ns(start, "from") if start else end_ns - parse_go_duration(since)
    return start_ns, end_ns


def query(
    logql: Annotated[str, typer.Argument(help="The query.")],
    addr: Address = DEFAULT_ADDRESS,
    org_id: Tenant = "",
    username: Username = "",
    password: Password = "",
    bearer_token: Token = "",
    quiet: Quiet = False,
    output: Output = Mode.DEFAULT,
    since: Since = "1h",
    from_: From = "",
    to: To = "",
    limit: Annotated[int, typer.Option(help="Entries at most; 0 for all.")] = 30,
    batch: Annotated[int, typer.Option(min=1, help="Entries per request.")] = 1000,
    forward: Annotated[bool, typer.Option(help="Oldest first.")] = False,
    step: Annotated[str, typer.Option(help="Step of a metric query.")] = "",
    interval: Annotated[str, typer.Option(help="Least distance of entries.")] = "",
    no_labels: Annotated[bool, typer.Option(help="Without labels.")] = False,
    timezone: Annotated[str, typer.Option("--timezone", "-z", help="Local or UTC.")] = "Local",
) -> None:
    """Ask a range query."""
    connection = _connection(addr, org_id, username, password, bearer_token, quiet)
    start_ns, end_ns = _bounds(since, from_, to)
    extra = [(name, value) for name, value in (("step", step), ("interval", interval)) if value]
    printer = EntryPrinter(output, utc=timezone.upper() == "UTC", no_labels=no_labels, quiet=quiet)
    pager = _Pager(connection, logql, forward=forward, extra=extra)
    pager.run(printer, start_ns, end_ns, limit, batch)


class _Pager:
    """Pages through log answers; a metric answer is printed at once."""

    def __init__(
        self, connection: Any, logql: str, *, forward: bool, extra: list[tuple[str, str]]
    ) -> None:
        self._connection, self._logql, self._forward = connection, logql, forward
        self._extra = extra

    def run(
        self, printer: EntryPrinter, start_ns: int, end_ns: int, limit: int, batch: int
    ) -> None:
        """Ask until the limit is reached or nothing is left."""
        printed = 0
        seen: set[tuple[int, str, str]] = set()
        while limit == 0 or printed < limit:
            left = batch if limit == 0 else min(batch, limit - printed)
            data = self._page(start_ns, end_ns, left + len(seen))
            if data["resultType"] != "streams":
                print_json(data["result"])
                return
            entries = sorted(
                (
                    (int(ts), text_of(stream["stream"]), line, stream["stream"])
                    for stream in data["result"]
                    for ts, line, *_ in stream["values"]
                ),
                key=lambda entry: entry[0],
                reverse=not self._forward,
            )
            fresh = [entry for entry in entries if entry[:3] not in seen]
            if not fresh:
                return
            if not printed:
                printer.announce([stream["stream"] for stream in data["result"]])
            for ts, _, line, labels in fresh:
                printer.entry(ts, labels, line)
            printed += len(fresh)
            last = fresh[-1][0]
            seen = {entry[:3] for entry in entries if entry[0] == last}
            if len(seen) >= batch:
                message = (
                    f"{len(seen)} entries share the instant {last}: a batch of {batch} cannot get "
                    f"past it; use --batch {len(seen) + 1} or more"
                )
                raise UsageError(message)
            if self._forward:
                start_ns = last
            else:
                end_ns = last + 1

    def _page(self, start_ns: int, end_ns: int, limit: int) -> Any:
        params = [
            ("query", self._logql),
            ("limit", str(limit)),
            ("start", str(start_ns)),
            ("end", str(end_ns)),
            ("direction", "FORWARD" if self._forward else "BACKWARD"),
            *self._extra,
        ]
        return self._connection.get("/loki/api/v1/query_range", params)["data"]


def instant_query(
    logql: Annotated[str, typer.Argument(help="The metric query.")],
    addr: Address = DEFAULT_ADDRESS,
    org_id: Tenant = "",
    username: Username = "",
    password: Password = "",
    bearer_token: Token = "",
    quiet: Quiet = False,
    limit: Annotated[int, typer.Option(help="Entries at most.")] = 30,
    now: Annotated[str, typer.Option(help="When, RFC 3339.")] = "",
) -> None:
    """Ask a metric query at one time."""
    connection = _connection(addr, org_id, username, password, bearer_token, quiet)
    when = _ns(now, "now") if now else time.time_ns()
    params = [("query", logql), ("limit", str(limit)), ("time", str(when))]
    print_json(connection.get("/loki/api/v1/query", params)["data"]["result"])


def labels(
    name: Annotated[str, typer.Argument(help="Show the values of this label.")] = "",
    addr: Address = DEFAULT_ADDRESS,
    org_id: Tenant = "",
    username: Username = "",
    password: Password = "",
    bearer_token: Token = "",
    quiet: Quiet = False,
    since: Since = "1h",
    from_: From = "",
    to: To = "",
) -> None:
    """List label names, or the values of one."""
    connection = _connection(addr, org_id, username, password, bearer_token, quiet)
    start_ns, end_ns = _bounds(since, from_, to)
    path = f"/loki/api/v1/label/{name}/values" if name else "/loki/api/v1/labels"
    found = connection.get(path, [("start", str(start_ns)), ("end", str(end_ns))])
    print_lines(found.get("data", []))


def series(
    matcher: Annotated[str, typer.Argument(help='Selector, for instance {app="x"}.')],
    addr: Address = DEFAULT_ADDRESS,
    org_id: Tenant = "",
    username: Username = "",
    password: Password = "",
    bearer_token: Token = "",
    quiet: Quiet = False,
    since: Since = "1h",
    from_: From = "",
    to: To = "",
) -> None:
    """List the streams that a selector finds."""
    connection = _connection(addr, org_id, username, password, bearer_token, quiet)
    start_ns, end_ns = _bounds(since, from_, to)
    params = [("match", matcher), ("start", str(start_ns)), ("end", str(end_ns))]
    found = connection.get("/loki/api/v1/series", params)
    print_lines(text_of(pairs) for pairs in found["data"])
