"""Is each rewrite the step that its text says? Plans before and after, as `explain` shows them."""

import pytest
from hypothesis import given, settings

from logql import ast
from logql.format import format_expr
from logql.parser import parse
from narfi.core.errors import AppError
from querier.plan.build import log_plan, range_plan
from querier.plan.nodes import Plan, searched
from querier.plan.printed import plan_lines
from querier.plan.rewrites.order import REWRITES, rewritten
from querier.rules import ALL_RULES, Rule, Rules
from tests.querier.test_engine import RULES, options
from tests.reference.budget import examples
from tests.reference.logs import NS, START_NS
from tests.reference.queries import LOG_QUERIES, range_aggregations

TIMES = (START_NS, START_NS + 60 * NS)


def plan_of(text: str, *by: str) -> Plan:
    """The plan of a query without any rewrite; series are named by some labels."""
    expr = parse(text)
    if isinstance(expr, ast.LogQuery):
        return log_plan(expr, options(*TIMES, frozenset(), limit=10))
    assert isinstance(expr, ast.RangeAggregation)
    return range_plan(expr, ast.Grouping(by, without=False), TIMES)


ENDS = "choose the newest 10"
CASES = [
    (
        Rule.SEARCH_PREFIX,
        plan_of('{a="b"} | json | x > 4 | line_format "{{.y}}"'),
        ['scan {a="b"} reading lines, all metadata', "| json", "| x>4", ENDS],
    ),
    (
        Rule.STREAM_ENDS,
        plan_of('{a="b"} | json'),
        ['scan {a="b"} reading lines, all metadata', f"{ENDS} from the ends of the streams"],
    ),
    (
        Rule.LITERAL_PRUNING,
        plan_of('{a="b"} | json |= "GET" != "x"'),
        [
            "scan {a=\"b\"} reading lines, all metadata, where b'GET' can be",
            '|= "GET"',
            '!= "x"',
            "| json",
            ENDS,
        ],
    ),
    (
        Rule.SHAPE_COLUMNS,
        plan_of('{a="b"} | json'),
        ['scan {a="b"} reading lines, all metadata as typed columns', "| json", ENDS],
    ),
    (
        Rule.UNREAD_LINES,
        plan_of('{a="b"} | level = "x"'),
        ['scan {a="b"} reading all metadata', '| level="x"', ENDS],
    ),
    (
        Rule.UNREAD_METADATA,
        plan_of('count_over_time({a="b"} | level = "x" [1m])', "pod"),
        [
            'scan {a="b"} reading lines, metadata level, pod',
            '| level="x"',
            "count_over_time[1m] by (pod)",
        ],
    ),
    (
        Rule.EARLY_STOP,
        plan_of('{a="b"} | json'),
        ['scan {a="b"} reading lines, all metadata', "| json", f"{ENDS}, stop early"],
    ),
    (
        Rule.STREAM_COUNTS,
        plan_of('count_over_time({a="b"}[1m])', "a"),
        [
            'count {a="b"} by timestamps, scan what has metadata of these names',
            "count_over_time[1m] by (a)",
        ],
    ),
]


@pytest.mark.parametrize(("rule", "plan", "after"), CASES, ids=[case[0].value for case in CASES])
def test_a_rewrite_changes_what_it_is_for(rule: Rule, plan: Plan, after: list[str]) -> None:
    changed, told = rewritten(plan, frozenset((rule,)))
    assert told == {rule}
    lines = list(plan_lines(changed))
    assert lines[: len(after)] == after
    assert rewritten(changed, frozenset((rule,))) == (changed, frozenset())  # nothing is left to do


def test_every_rule_has_a_rewrite_and_a_case() -> None:
    assert set(REWRITES) == set(Rule) == {rule for rule, _, _ in CASES}


@pytest.mark.parametrize(
    "text",
    [
        'count_over_time({a="b"} | json | x="y" [1m])',
        'sum_over_time({a="b"} | unwrap x [1m])',
        'bytes_over_time({a="b"} |= "x" [1m])',
    ],
)
def test_what_looks_at_rows_is_not_counted_from_timestamps(text: str) -> None:
    plan = plan_of(text, "a")
    assert rewritten(plan, frozenset((Rule.STREAM_COUNTS,))) == (plan, frozenset())


def test_bytes_need_lines() -> None:
    plan, _ = rewritten(plan_of('bytes_over_time({a="b"}[1m])', "a"), ALL_RULES)
    assert searched(plan).columns.lines


@settings(max_examples=examples(100))
@given(LOG_QUERIES | range_aggregations(), RULES)
def test_rewrites_are_taken_once(query: ast.LogQuery | ast.RangeAggregation, rules: Rules) -> None:
    """A plan that was rewritten stays as it is, and what is fetched is never changed."""
    try:
        plan = plan_of(format_expr(query), "app")
    except AppError:
        return  # a stage that does not compile
    once, _ = rewritten(plan, rules)
    assert rewritten(once, rules) == (once, frozenset())
