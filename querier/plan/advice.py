"""Where did the rows of a query go, and what would make it cheaper? From what was counted.

The figures are those of `explain`; nothing here reads a log. Advice is given only where a figure
says that it pays: a query that is cheap gets none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from logql import ast
from logql.parser import parse
from logql.validate import range_aggregations
from narfi.core.units import shown_bytes
from querier.operators.line_filter import needles_of_filter
from querier.result import QueryStats, Read
from querier.rules import Rule

MUCH_BYTES = 100 << 20
"""Of lines that are read: below it nothing is worth a word."""
MANY_ROWS = 200_000
FEW = 0.02
"""Of the rows that are read: so small a part passes that another way to it would pay."""
LONG_S = 2.0


class Stage(StrEnum):
    """What becomes of rows, in order."""

    CONSIDERED = "considered"
    """All entries of the heads and blocks of the time range."""
    SELECTED = "selected"
    """What labels and times leave, before literals are looked for."""
    READ = "read"
    """What is read, or counted from timestamps."""
    PASSED = "passed"
    """What the stages of the query let through."""
    DECODED = "decoded"
    """Lines that were put together from columns, for filters, parsers or the answer."""
    RETURNED = "returned"


STAGE_TEXTS: Mapping[Stage, str] = {
    Stage.CONSIDERED: "all entries of the heads and blocks of this time",
    Stage.SELECTED: "left by labels and times",
    Stage.READ: "read, or counted from timestamps",
    Stage.PASSED: "let through by the stages of the query",
    Stage.DECODED: "put together from columns, for filters, parsers or the answer",
    Stage.RETURNED: "in the answer",
}
RULE_TEXTS: Mapping[Rule, str] = {
    Rule.LITERAL_PRUNING: "what cannot hold a text of the line filters is not read",
    Rule.SHAPE_COLUMNS: "filters and parsers look at typed columns instead of lines",
    Rule.UNREAD_LINES: "lines are not read, since nothing looks at them",
    Rule.UNREAD_METADATA: "structured metadata that nothing looks at is not read",
    Rule.SEARCH_PREFIX: "only stages that drop rows run until the rows of the answer are known",
    Rule.STREAM_ENDS: "the answer is cut from the ends of the streams",
    Rule.EARLY_STOP: "what lies behind the last row of the answer is not read",
    Rule.STREAM_COUNTS: "rows are counted from timestamps, and none is read",
}
"""What a rule saved, for people."""


@dataclass(frozen=True, slots=True)
class Funnel:
    """Rows and line bytes of a stage; bytes are None where nobody counts them."""

    stage: Stage
    rows: int
    bytes: int | None


def funnel(reads: Sequence[Read]) -> tuple[Funnel, ...]:
    """The rows of all selectors of a query."""
    stats = QueryStats()
    for read in reads:
        stats.add(read.stats)
    reading = stats.reading
    return (
        Funnel(Stage.CONSIDERED, sum(r.rows for r in reads), sum(r.bytes for r in reads)),
        Funnel(Stage.SELECTED, stats.lines_scanned + reading.rows_pruned, None),
        Funnel(Stage.READ, stats.lines_scanned, stats.bytes_scanned),
        Funnel(Stage.PASSED, stats.lines_after_filter, None),
        Funnel(Stage.DECODED, reading.rows_decoded, reading.bytes_decoded),
        Funnel(Stage.RETURNED, stats.entries_returned, stats.bytes_returned),
    )


def advice_of(text: str, reads: Sequence[Read], stats: QueryStats) -> list[str]:
    """Sentences, the one that helps most first; none for a query that is cheap."""
    if stats.bytes_scanned < MUCH_BYTES and stats.lines_scanned < MANY_ROWS:
        return []
    return list(dict.fromkeys(_sentences(text, reads, stats)))


def _sentences(text: str, reads: Sequence[Read], stats: QueryStats) -> Iterator[str]:
    stages = [stage for query in _log_queries(text) for stage in query.stages]
    for read in reads:
        yield from _of_read(read)
    decoded = stats.reading.rows_decoded
    if decoded >= MANY_ROWS and decoded * 2 > stats.lines_scanned:
        yield (
            f"{decoded:,} lines had to be put together from columns: a filter on a field "
            '(for instance | json | status="500") is answered without'
        )
    filters = [stage for stage in stages if isinstance(stage, ast.LineFilter)]
    for stage in filters:
        if stage.op is ast.LineOp.MATCHES and not needles_of_filter(stage):
            yield (
                "the regular expression of |~ has no text that every line must have: "
                'a |= "…" with such a text in front of it leaves out most lines before'
            )
    if stats.exec_time_s > LONG_S:
        yield (
            f"it took {stats.exec_time_s:.1f} s for {shown_bytes(stats.bytes_scanned)} of lines: "
            "a shorter range of time costs in proportion"
        )


def _of_read(read: Read) -> Iterator[str]:
    stats = read.stats
    scanned, passed = stats.lines_scanned - stats.lines_counted, stats.lines_after_filter
    if scanned < MANY_ROWS or Rule.EARLY_STOP in stats.rules:
        return
    share = passed / scanned
    if share <= FEW and not stats.reading.rows_pruned:
        yield (
            f"of {scanned:,} rows that were read {passed:,} passed ({share:.2%}): another label in "
            'the selector, or a line filter |= "…" with a text of the wanted lines, reads fewer'
        )
    if scanned > read.rows / 2:
        yield (
            f"the selector reads {scanned / read.rows:.0%} of all entries of this time: "
            "another label, or a shorter range, reads fewer"
        )


def _log_queries(text: str) -> Iterator[ast.LogQuery]:
    query = parse(text)
    if isinstance(query, ast.LogQuery):
        yield query
        return
    for aggregation in range_aggregations(query):
        yield aggregation.log_range.query
