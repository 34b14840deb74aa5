"""Does who may see some streams get the answers of a server that has no others?

Against a slow twin: an engine over the entries of permitted streams alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from logql import ast
from logql.format import format_expr
from narfi.core.errors import InvalidRequestError
from narfi.core.grant import Streams
from narfi.core.limits import Limits
from narfi.core.matchers import Matcher, MatchOp
from querier.budget import Budget
from querier.engine import Engine
from querier.executors.local import LocalExecutor
from querier.explore.distribution import distribution_of
from querier.explore.facets import FacetsAsked, facets_of
from querier.explore.histogram import histogram_of
from querier.explore.question import Question
from querier.explore.volume import volume_groups
from querier.query import Direction, QueryOptions
from querier.result import Answer
from querier.rules import Rules
from querier.service import QueryService, TimeRange
from tests.querier.reading.test_hiding import REQUESTS, hiding_of, what_is_left
from tests.querier.test_engine import (
    METRICS,
    PARTS,
    RULES,
    SHAPED,
    TENANT,
    check_log_query,
    check_metric_query,
    engine_of,
)
from tests.reference.budget import examples
from tests.reference.deleted import Asked
from tests.reference.logs import NS, START_NS, Entry
from tests.reference.queries import LOG_QUERIES, SELECTORS, range_aggregations
from tests.storage.blocks import small_groups

POLICIES = SELECTORS.map(lambda selector: selector.matchers).filter(bool)
EVERYTHING = TimeRange((TENANT,), START_NS - NS, START_NS + 100 * NS)


class Restricted:
    """An engine as somebody sees it who may see some streams."""

    def __init__(self, engine: Engine, permitted: Streams) -> None:
        self._engine, self._permitted = engine, permitted

    def run(self, text: str, options: QueryOptions) -> Answer:
        """With a budget of that one."""
        return self._engine.run(text, replace(options, budget=Budget(streams=self._permitted)))


def may_see(entry: Entry, permitted: Streams) -> bool:
    """The rule: each matcher accepts the label, which is empty where there is none."""
    return all(matcher.matches(entry[0].get(matcher.name, "")) for matcher in permitted)


def permitted_of(parts: Sequence[list[Entry]], permitted: Streams) -> list[list[Entry]]:
    """Of each part."""
    return [[entry for entry in part if may_see(entry, permitted)] for part in parts]


@settings(max_examples=examples(100), deadline=None)
@given(
    PARTS,
    REQUESTS,
    POLICIES,
    LOG_QUERIES,
    st.none() | SHAPED,
    st.sampled_from(Direction),
    st.sampled_from([1, 3, 1000]),
    RULES,
)
def test_log_queries(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    requests: list[Asked],
    policy: Streams,
    query: ast.LogQuery,
    shaped: int | None,
    direction: Direction,
    limit: int,
    rules: Rules,
) -> None:
    """Pending deletions hide what they hide besides."""
    with small_groups(2 if shaped else None):
        engine = engine_of(parts, executor, shaped, hiding_of(requests))
    left = permitted_of(what_is_left(parts, requests), policy)
    check_log_query(Restricted(engine, policy), left, query, direction, limit, rules)  # type: ignore[arg-type]


@settings(max_examples=examples(100), deadline=None)
@given(
    PARTS,
    POLICIES,
    METRICS | range_aggregations(),
    st.none() | SHAPED,
    st.sampled_from([1, 3, 7]),
    st.integers(0, 25),
    RULES,
)
def test_metric_queries(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    policy: Streams,
    expr: ast.MetricExpr,
    shaped: int | None,
    step_s: int,
    first_s: int,
    rules: Rules,
) -> None:
    steps = [START_NS + (first_s + k * step_s) * NS for k in range(5)]
    with small_groups(2 if shaped else None):
        engine = engine_of(parts, executor, shaped)
    left = permitted_of(parts, policy)
    check_metric_query(Restricted(engine, policy), left, expr, steps, rules)  # type: ignore[arg-type]


def told(service: QueryService, budget: Budget, selector: Streams) -> dict[str, object]:
    """What all endpoints but queries and tails tell."""
    edges = np.array([EVERYTHING.start_ns, START_NS + 5 * NS, EVERYTHING.end_ns], np.int64)
    found: dict[str, object] = {
        "series": service.series(EVERYTHING, [selector], budget).value,
        "all series": service.series(EVERYTHING, [()], budget).value,
        "names": service.label_names(EVERYTHING, "", budget).value,
        "stats": service.index_stats(EVERYTHING, selector, budget).value,
        "patterns": service.patterns(EVERYTHING, selector, 100 * NS, budget).value,
    }
    for name in ("app", "env", "level", "no-such"):
        found[name] = service.label_values(EVERYTHING, name, "", budget).value
    found |= explored(service, budget, selector)
    for by_name in (False, True):
        options = volume_groups(selector, ["app"], by_name)
        volumes = service.volume(EVERYTHING, selector, edges, options, budget).value
        found[f"volume {by_name}"] = [(v.labels, v.bytes.tolist()) for v in volumes]
    return found


def explored(service: QueryService, budget: Budget, selector: Streams) -> dict[str, object]:
    """What the page asks of the streams of a selector."""
    asked = FacetsAsked(names=("app", "level", "status", "msg"), limit=9, in_lines=True)

    def ask(question: Question) -> dict[str, object]:
        histogram = histogram_of(question, 5, "level")
        return {
            "facets": [(f.name, f.top, f.missing) for f in facets_of(question, asked)],
            "histogram": [(value, counts.tolist()) for value, counts in histogram.series],
            "distribution": distribution_of(question, "status").figures,
        }

    whole = QueryOptions(
        tenants=(TENANT,),
        start_ns=EVERYTHING.start_ns,
        end_ns=EVERYTHING.end_ns,
        step_ns=1,
        limits=Limits(),
        budget=budget,
    )
    text = format_expr(ast.LogQuery(ast.Selector(tuple(selector))))
    try:
        return service.explore(text, whole, ask).value
    except InvalidRequestError as error:  # a selector that may not be asked
        return {"refused": error.message}


@settings(max_examples=examples(60), deadline=None)
@given(PARTS, POLICIES, SELECTORS, st.none() | SHAPED)
def test_every_other_question(
    executor: LocalExecutor,
    parts: list[list[Entry]],
    policy: Streams,
    selector: ast.Selector,
    shaped: int | None,
) -> None:
    limits = Limits()
    everything = QueryService(engine_of(parts, executor, shaped), lambda _: limits)
    twin = engine_of(permitted_of(parts, policy), executor, shaped)
    permitted = QueryService(twin, lambda _: limits)
    for _ in range(2):  # caches know of other readers
        told(everything, Budget(), selector.matchers)
        assert told(everything, Budget(streams=policy), selector.matchers) == told(
            permitted, Budget(), selector.matchers
        )


def test_what_an_attempt_sees_is_what_its_request_may_see() -> None:
    streams = (Matcher("a", MatchOp.EQ, "b"),)
    with Budget(streams=streams).attempt() as tried:
        assert tried.streams == streams
