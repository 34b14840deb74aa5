"""Does each stage see what the stages before it left? Worked out by hand, on every way to answer.

Every case is asked of the reference, of heads and of stored blocks of shapes, with all planner
rules and with none.
"""

from collections.abc import Sequence

import pytest

from logql import ast
from logql.parser import parse
from narfi.core.labels import labels_text
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.query import Direction
from querier.result import MatrixResult, StreamsResult
from querier.rules import ALL_RULES, Rules
from tests.querier.stage_cases import ERRORS, FIELDS, LINES, METRICS, PLACES, REGEXES, Case
from tests.querier.test_engine import engine_of, options
from tests.reference import engine as reference
from tests.reference.logs import NS, START_NS, Entry

WAYS = [(None, ALL_RULES), (None, frozenset()), (1, ALL_RULES), (1, frozenset())]


def entries_of(case: Case) -> list[Entry]:
    """The lines of the stream, a second apart."""
    found: list[Entry] = []
    for k, given in enumerate(case.lines):
        line, metadata = (given, {}) if isinstance(given, str) else given
        found.append(({"app": "api"}, metadata, START_NS + k * NS, line.encode()))
    return found


def asked(engine: Engine, query: str, rules: Rules) -> list[tuple[dict[str, str], str]]:
    """(labels but `app`, line), oldest first."""
    span = options(START_NS, START_NS + 100 * NS, rules, direction=Direction.FORWARD, limit=100)
    result = engine.run(query, span).result
    assert isinstance(result, StreamsResult)
    rows = [
        (entry.ts_ns, _without_app(stream.labels), entry.line.decode())
        for stream in result.streams
        for entry in stream.entries
    ]
    return [(labels, line) for _, labels, line in sorted(rows, key=lambda row: row[0])]


def _without_app(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in pairs if (name, value) != ("app", "api")}


def check(case: Case, found: list[tuple[dict[str, str], str]]) -> None:
    """Lines as expected, and labels where they are told."""
    wanted = [(e, None) if isinstance(e, str) else e for e in case.expected]
    assert [line for _, line in found] == [line for line, _ in wanted], case.stages
    for (labels, _), (_, told) in zip(found, wanted, strict=True):
        assert told is None or labels == told, case.stages


@pytest.mark.parametrize(
    "case", [*PLACES, *REGEXES, *LINES, *FIELDS, *ERRORS], ids=lambda case: case.stages
)
def test_a_stage_sees_what_stands_at_its_place(executor: LocalExecutor, case: Case) -> None:
    query = '{app="api"} ' + case.stages
    expr = parse(query)
    assert isinstance(expr, ast.LogQuery)
    rows = reference.rows_of(expr, entries_of(case))
    labels = [_without_app(tuple(row.labels().items())) for row in rows]
    check(case, [(told, row.line.decode()) for told, row in zip(labels, rows, strict=True)])
    for shaped, rules in WAYS:
        check(case, asked(engine_of([entries_of(case)], executor, shaped), query, rules))


@pytest.mark.parametrize(("shaped", "rules"), WAYS)
@pytest.mark.parametrize(
    ("lines", "query", "expected"), METRICS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_metric_queries_see_the_same(
    executor: LocalExecutor,
    lines: Sequence[str],
    query: str,
    expected: dict[str, float],
    shaped: int | None,
    rules: Rules,
) -> None:
    same_time: list[Entry] = [({"app": "api"}, {}, START_NS, line.encode()) for line in lines]
    engine = engine_of([same_time], executor, shaped)
    result = engine.run(query, options(START_NS, START_NS, rules)).result
    assert isinstance(result, MatrixResult)
    found = {labels_text(s.labels): s.values.tolist() for s in result.series}
    assert found == {labels: [value] for labels, value in expected.items()}
    expr = parse(query)
    assert not isinstance(expr, ast.LogQuery)
    points = reference.evaluate(expr, same_time, [START_NS])
    assert {labels_text(k): list(v.values()) for k, v in points.items()} == found
