"""What do histograms and fields say of rows? Counted row by row; an empty value is none."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from logql import ast
from tests.reference import engine
from tests.reference.logs import Entry
from tests.reference.pipeline import Row

PARSERS: dict[str | None, tuple[ast.Stage, ...]] = {
    None: (),
    "json": (ast.JsonParser(),),
    "logfmt": (ast.LogfmtParser(),),
}


def rows_by(query: ast.LogQuery, entries: Sequence[Entry], parser: str | None) -> list[Row]:
    """The rows of a query with a parser behind it."""
    return engine.rows_of(replace(query, stages=(*query.stages, *PARSERS[parser])), entries)


def histogram(
    rows: Sequence[Row], time_range: tuple[int, int], count: int, name: str | None
) -> dict[str, list[int]]:
    """Rows of each value in each of so many buckets, which are as short as they can be."""
    start, end = time_range
    step = 1
    while start + step * count < end:  # as many ns as are needed, found without a division
        step = max(step + 1, (end - start) // count)
    found: dict[str, list[int]] = defaultdict(lambda: [0] * count)
    for row in rows:
        if start <= row.ts < end:
            bucket = next(k for k in range(count) if row.ts < start + (k + 1) * step)
            found[row.labels().get(name, "") if name else ""][bucket] += 1
    return dict(found)


def shown_series(found: dict[str, list[int]], most: int, count: int) -> list[tuple[str, list[int]]]:
    """Those with the most rows, and the others added."""
    order = sorted(found.items(), key=lambda item: (-sum(item[1]), item[0].encode()))
    shown, rest = order[:most], [counts for _, counts in order[most:]]
    if rest:
        shown.append(("(other)", [sum(counts) for counts in zip(*rest, strict=True)]))
    return shown or [("", [0] * count)]


def valued(rows: Sequence[Row], name: str) -> int:
    """Rows that have a value of the name."""
    return sum(1 for row in rows if row.labels().get(name))


def sources(rows: Sequence[Row]) -> dict[str, Counter[str]]:
    """How many rows have each name, by where it comes from."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        by_source = {"label": row.stream, "metadata": row.metadata, "parsed": row.parsed}
        for source, labels in by_source.items():
            found[source].update(name for name, value in labels.items() if value)
    return found
