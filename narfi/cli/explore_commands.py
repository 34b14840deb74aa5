"""`fields`, `facets` and `patterns`: what is in the lines, as tables (docs/api.md)."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from narfi.cli.flags import Context, TimeSpan, UsageError, connected, with_times
from narfi.cli.output import Mode, print_json

Query = Annotated[str, typer.Argument(help="A log query.")]


def _asked(
    context: Context, span: TimeSpan, name: str, query: str, params: Sequence[tuple[str, str]]
) -> Any:
    """The answer of an endpoint; None when it was printed as JSON."""
    if context.stdin:
        raise UsageError("not supported")
    times = [("start", str(span.start_ns)), ("end", str(span.end_ns))]
    path = f"/narfi/api/v1/{name}"
    found = context.connection.get(path, [("query", query), *times, *params])
    if context.output is Mode.DEFAULT:
        return found
    print_json(found)
    return None


def visible(text: str) -> str:
    """The text without what a terminal would obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], right: str = "") -> None:
    """Columns as wide as what is in them; those named in `right` stand at the right."""
    cells = [list(head), *([visible(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligned = [">" if name in right.split() else "<" for name in head]
    for line in cells:
        parts = (f"{c:{a}{w}}" for c, a, w in zip(line, aligned, widths, strict=True))
        print("  ".join(parts).rstrip())


@connected
@with_times
def fields(context: Context, span: TimeSpan, query: Query) -> None:
    """Fields of the lines: type, source, share of the lines that have each."""
    found = _asked(context, span, "fields", query, [])
    if found is None:
        return
    print_table(
        ("field", "type", "from", "lines", "share", "values"),
        (
            (
                one["name"],
                one["type"],
                one["parser"] or one["source"],
                f"{'' if one['exact'] else '~'}{one['rows']:,}",
                f"{one['share']:.1%}",
                "" if one["distinct"] is None else f"{one['distinct']:,}",
            )
            for one in found["fields"]
        ),
        right="lines share values",
    )
    print(f"{found['rows']:,} lines")


@connected
@with_times
def facets(
    context: Context,
    span: TimeSpan,
    query: Query,
    names: Annotated[list[str], typer.Argument(metavar="FIELD...", help="Labels or fields.")],
    limit: Annotated[int, typer.Option(help="Values of each at most.")] = 10,
    keep: Annotated[
        list[str] | None, typer.Option(help="Count without what the query demands of it.")
    ] = None,
) -> None:
    """The most frequent values of fields in all matching lines, with their counts."""
    params = [("fields", ",".join(names)), ("limit", str(limit))]
    params += [("keep", name) for name in keep or ()]
    found = _asked(context, span, "facets", query, params)
    if found is None:
        return
    for number, facet in enumerate(found["facets"]):
        if number:
            print()
        _print_facet(facet)


def _print_facet(facet: dict[str, Any]) -> None:
    rows = facet["rows"]
    shown = [(one["value"], one["count"]) for one in facet["top"]]
    more = facet["distinct"] - len(shown)
    if more:
        shown.append((f"({more:,} more values)", facet["other"]))
    if facet["missing"]:
        shown.append(("(none)", facet["missing"]))
    name = facet["name"] + (f" | {facet['parser']}" if facet["parser"] else "")
    print_table(
        (visible(name), "lines", "share"),
        ((value, f"{count:,}", f"{count / rows:.1%}") for value, count in shown),
        right="lines share",
    )


@connected
@with_times
def patterns(
    context: Context,
    span: TimeSpan,
    query: Query,
    limit: Annotated[int, typer.Option(help="Patterns at most.")] = 30,
    compare: Annotated[bool, typer.Option(help="With the range before.")] = False,
) -> None:
    """Patterns of the lines, most frequent first."""
    params = [("limit", str(limit)), *([("compare", "previous")] if compare else [])]
    found = _asked(context, span, "patterns", query, params)
    if found is None:
        return
    head = ("lines", "share", *(("before", "change") if compare else ()), "level", "pattern")
    rows = (
        (
            f"{one['count']:,}",
            f"{one['share']:.1%}",
            *((f"{one['before']:,}", _change(one)) if compare else ()),
            one["level"],
            one["pattern"],
        )
        for one in found["patterns"]
    )
    print_table(head, rows, right="lines share before change")
    print(f"{found['rows']:,} lines")


def _change(one: dict[str, Any]) -> str:
    return one["change"] if one["change"] != "same" else f"x{one['factor']:g}"
