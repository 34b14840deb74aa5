"""`narfi queries`: what does a running server do, and how is a query ended?"""

from typing import Annotated, Any

import typer

from narfi.cli.flags import Context, UsageError, connected
from narfi.cli.output import Mode, print_json
from narfi.core.units import format_bytes

QUERIES = "/narfi/api/v1/queries"
MAX_TEXT = 100
"""Characters of a query in a line."""


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
