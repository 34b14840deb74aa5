"""`narfi status`, `narfi queries`: how is a running server, and how is a query of it ended?"""

import time
from typing import Annotated, Any

import typer

from narfi.cli.flags import Context, UsageError, connected
from narfi.cli.output import Mode, print_json, shown_time
from narfi.core.units import format_bytes

STATUS, QUERIES = "/narfi/api/v1/status", "/narfi/api/v1/queries"
MAX_TEXT = 100
"""Characters of a query in a line."""


@connected
def status(context: Context) -> None:
    """Tell how the parts of a server are; `-o jsonl` prints all that it tells."""
    found = context.connection.get(STATUS)
    if context.output is not Mode.DEFAULT:
        print_json(found)
        return
    state = "ready" if found["ready"] else f"not ready: {found['not_ready_because']}"
    disk, flush = found["disk"], found["flush"]
    blocks = found["blocks"]["visible"] if found["blocks"] is not None else "unknown number of"
    print(f"narfi {found['version']}, {', '.join(found['roles'])}, up {found['uptime_s']:.0f} s")
    print(state)
    print(f"{blocks} blocks, {format_bytes(flush['unflushed_bytes'])} in none", end="")
    print(f", {format_bytes(disk['free_bytes'])} of {format_bytes(disk['total_bytes'])} disk free")
    for one in found["parts"]:
        since = shown_time(one["since_ns"], utc=context.utc)
        print(f"{one['state']:9} {one['part']:14} since {since}")
        if one["what"]:
            print(f"          {one['what']}\n          to do: {one['step']}")


@connected
def drain(
    context: Context,
    wait: Annotated[float, typer.Option(help="Seconds before, while clients go elsewhere.")] = 0,
) -> None:
    """Put everything that a server acknowledged into blocks, before it is stopped for long."""
    time.sleep(wait)
    context.connection.request("POST", "/flush")
    print("everything that was acknowledged before is in blocks")


@connected
def queries(
    context: Context,
    action: Annotated[str, typer.Argument(help="`cancel`, or nothing to list them.")] = "",
    query_id: Annotated[str, typer.Argument(help="Which one to cancel.")] = "",
    recent: Annotated[bool, typer.Option(help="Those that have ended too.")] = False,
) -> None:
    """List the queries that a server works on, or end one."""
    if action not in ("", "cancel") or (action == "cancel") != bool(query_id):
        raise UsageError("write `narfi queries`, or `narfi queries cancel ID`")
    if action:
        context.connection.request("DELETE", f"{QUERIES}/{query_id}")
        print(f"query {query_id} was told to end")
        return
    found = context.connection.get(QUERIES)
    if context.output is not Mode.DEFAULT:
        print_json(found)
        return
    for one in found["queries"]:
        _print(one, one["state"], one["memory_bytes"])
    for one in found["recent"] if recent else []:
        _print(one, one["error"] or "ended", one["peak_bytes"])


def _print(one: dict[str, Any], state: str, memory: int) -> None:
    text = " ".join(one["query"].split())
    shown = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    print(
        f"{one['id']}  {one['seconds']:8.1f} s  {format_bytes(memory):>8}  "
        f"{'|'.join(one['tenants'])}  {one['who']}  {one['route']}  {shown}  ({state})"
    )
