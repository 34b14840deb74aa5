"""Is advice given where a figure asks for it, and is the funnel that of the counts?"""

from querier.plan.advice import (
    MANY_ROWS,
    MUCH_BYTES,
    RULE_TEXTS,
    STAGE_TEXTS,
    Stage,
    advice_of,
    funnel,
)
from querier.result import QueryStats, Read, SourceCount
from querier.rules import Rule
from storage.scan import ReadStats

TEXT = '{app="a"} | json | status="500"'


def read_of(rows: int, stats: QueryStats) -> Read:
    return Read(
        query=TEXT,
        plan=(),
        stages=(),
        fetch_stages=(),
        heads=SourceCount(1, 1),
        blocks=SourceCount(1, 1),
        rows=rows,
        bytes=rows * 100,
        stats=stats,
    )


def costs(scanned: int, passed: int, *, decoded: int = 0, seconds: float = 0.1) -> QueryStats:
    return QueryStats(
        lines_scanned=scanned,
        bytes_scanned=scanned * 100,
        lines_after_filter=passed,
        exec_time_s=seconds,
        reading=ReadStats(rows_pruned=0, rows_decoded=decoded, bytes_decoded=decoded * 100),
        entries_returned=7,
    )


def told(text: str, rows: int, stats: QueryStats) -> str:
    return " / ".join(advice_of(text, [read_of(rows, stats)], stats))


def test_the_funnel() -> None:
    stats = costs(1000, 10, decoded=20)
    stats.reading.rows_pruned = 500
    found = {one.stage: one.rows for one in funnel([read_of(5000, stats), read_of(100, stats)])}
    assert found == {
        Stage.CONSIDERED: 5100,
        Stage.SELECTED: 3000,
        Stage.READ: 2000,
        Stage.PASSED: 20,
        Stage.DECODED: 40,
        Stage.RETURNED: 14,
    }


def test_a_cheap_query_gets_none() -> None:
    rows = MUCH_BYTES // 100 - 1
    assert told(TEXT, rows, costs(min(rows, MANY_ROWS - 1), 0)) == ""


def test_few_rows_pass() -> None:
    many = 10 * MANY_ROWS
    assert "another label in the selector" in told(TEXT, 3 * many, costs(many, many // 100))
    assert "another label in" not in told(TEXT, 3 * many, costs(many, many // 2))
    stopped = costs(many, many // 100)
    stopped.rules.add(Rule.EARLY_STOP)
    assert told(TEXT, 3 * many, stopped) == ""


def test_most_entries_are_read() -> None:
    many = 10 * MANY_ROWS
    assert "reads 80% of all entries" in told(TEXT, many * 10 // 8, costs(many, many))


def test_lines_are_put_together() -> None:
    many = 10 * MANY_ROWS
    assert "2,000,000 lines had to be put together" in told(
        TEXT, 3 * many, costs(many, many, decoded=many)
    )


def test_a_regular_expression_without_a_text() -> None:
    many = 10 * MANY_ROWS
    odd = '{app="a"} |~ "[a-z]+[0-9]"'
    assert "no text that every line must have" in told(odd, 3 * many, costs(many, many))
    good = 'rate({app="a"} |~ "took [0-9]+"[1m])'
    assert told(good, 3 * many, costs(many, many)) == ""


def test_a_long_query() -> None:
    many = 10 * MANY_ROWS
    assert "it took 3.0 s for" in told(TEXT, 3 * many, costs(many, many, seconds=3))


def test_every_rule_and_stage_is_told_in_words() -> None:
    assert set(RULE_TEXTS) == set(Rule)
    assert set(STAGE_TEXTS) == set(Stage)
