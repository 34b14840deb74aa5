"""`/narfi/api/v1/packs`: which questions and rules are there for the logs that a tenant has?

Packs as `narfi packs show` tells them, with queries that can be asked as they are; `here` says for
which of them the tenant has streams in the range.
"""

from collections.abc import Mapping, Sequence

import orjson
from fastapi import APIRouter, Request, Response

from logql.parser import parse_selector
from narfi.bundled.offered import OfferedPack, OfferedPacks
from narfi.bundled.questions import SavedQuery, with_range
from narfi.core.clock import NS_PER_S
from narfi.core.matchers import Matcher
from querier.budget import Budget
from querier.http_api.requests import (
    QueryContext,
    bounds_of,
    in_pool,
    json_response,
    parameters_from,
)
from querier.http_api.warnings import warnings_of
from querier.result import Told
from querier.service import QueryService, TimeRange
from ruler.group import Group, Rule

PATH = "/narfi/api/v1/packs"
POINTS = 60
"""Of a series over the range: `$__auto` becomes so much of it as one of them stands for."""
SHORTEST_S = 60
TOLD = ("summary", "runbook")
"""Annotations that are told of a rule."""


def packs_router(context: QueryContext, offered: OfferedPacks) -> APIRouter:
    """The endpoint."""
    router, service = APIRouter(), context.service

    @router.get(PATH)
    async def packs(request: Request) -> Response:
        tenants = context.tenants(request)
        bounds = bounds_of(context, tenants, parameters_from(request.scope["query_string"]))
        place = TimeRange(tenants, bounds.start_ns, max(bounds.end_ns, bounds.start_ns + 1))
        seconds = max(SHORTEST_S, (bounds.end_ns - bounds.start_ns) // NS_PER_S)

        def work(budget: Budget) -> bytes:
            offer = offered.all()
            here = present(service, place, {one.name: one.selector for one in offer.packs}, budget)
            told = [_pack(one, seconds, here=one.name in here.value) for one in offer.packs]
            warnings = warnings_of((*offer.faults, *here.warnings))
            return orjson.dumps({"packs": told, "warnings": warnings})

        return json_response(await in_pool(context, request, work))

    return router


def present(
    service: QueryService, place: TimeRange, selectors: Mapping[str, str], budget: Budget
) -> Told[frozenset[str]]:
    """Names of the selectors that streams of the range satisfy."""
    values: dict[str, Sequence[str]] = {}
    found, warnings = set[str](), list[str]()

    def is_there(matchers: Sequence[Matcher]) -> bool:
        if len(matchers) > 1:
            told = service.index_stats(place, matchers, budget)
            warnings.extend(told.warnings)
            return told.value.streams > 0
        (matcher,) = matchers
        if matcher.name not in values:
            names = service.label_values(place, matcher.name, "", budget)
            warnings.extend(names.warnings)
            values[matcher.name] = names.value
        return any(map(matcher.matches, values[matcher.name]))

    for name, selector in selectors.items():
        if is_there(parse_selector(f"{{{selector}}}").matchers):
            found.add(name)
    return Told(frozenset(found), tuple(dict.fromkeys(warnings)))


def _pack(pack: OfferedPack, seconds: int, *, here: bool) -> dict[str, object]:
    return {
        "name": pack.name,
        "title": pack.title,
        "version": pack.version,
        "selector": f"{{{pack.selector}}}",
        "here": here,
        "questions": [_question(one, pack.selector, seconds) for one in pack.questions],
        "rules": [_rule(rule, group) for group in pack.groups for rule in group.rules],
    }


def _question(one: SavedQuery, selector: str, seconds: int) -> dict[str, object]:
    query = one.text(selector).replace("$__range", f"{seconds}s")
    return {
        "title": one.title,
        "question": one.question,
        "query": with_range(query, f"{max(SHORTEST_S, seconds // POINTS)}s"),
        "kind": one.kind,
        "unit": one.unit,
    }


def _rule(rule: Rule, group: Group) -> dict[str, object]:
    return {
        "group": group.name,
        "name": rule.name,
        "type": "alerting" if rule.alert else "recording",
        "query": rule.expr.strip(),
        "for": rule.for_ns // NS_PER_S,
        "labels": dict(rule.labels),
        **{name: rule.annotations.get(name, "") for name in TOLD},
    }
